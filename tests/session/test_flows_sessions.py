"""Sessions: seen, ended, and over by themselves; and when a fresh proof is asked for."""

from datetime import timedelta

from services.session.domain.methods import MethodKind
from services.session.domain.sessions import Client
from services.session.flows import Policy, Reauthentication, Tracking
from services.session.flows.outcomes import (
    Enrolled,
    Gone,
    NotEnrolled,
    Outcome,
    ReauthenticationNeeded,
    Removed,
    Sessions,
    Standing,
)
from services.session.store.session_list import Listed, SessionList
from tests.hands import START
from tests.session.house import HOME, PASSWORD, House, Visitor, counted, faults_of

MFA = frozenset({MethodKind.MFA})


def listed(outcome: Outcome) -> tuple[Listed, ...]:
    assert isinstance(outcome, Sessions)
    return outcome.listed


async def is_over(visitor: Visitor) -> bool:
    try:
        return not (await visitor.visit()).authenticated
    except Gone:
        return True


async def logged_in(house: House, number: int, address: str = HOME) -> list[Visitor]:
    visitors = [house.visitor(address) for _ in range(number)]
    for visitor in visitors:
        house.clock.turn(seconds=3)
        await visitor.log_in()
    return visitors


# The list


async def test_the_list_has_the_live_sessions_of_either_kind(house: House) -> None:
    ada = await house.visitor().join()
    browser = house.visitor("192.0.2.9", client=Client.BROWSER)
    await browser.log_in()
    pending = house.visitor()
    await pending.sign_up("bob@example.org")

    first, second = listed(await ada.sessions())

    assert first.is_current
    assert not second.is_current
    assert (first.ip, first.user_agent, first.created_at) == (HOME, "test", START)
    assert second.ip == "192.0.2.9"
    assert [session.is_current for session in listed(await browser.sessions())] == [True, False]


async def test_the_list_is_bounded_and_never_without_the_current_session(house: House) -> None:
    ada = await house.visitor().join()
    visit = await ada.visit()
    assert visit.session is not None
    for _ in range(10):
        await logged_in(house, 11)

    sessions = listed(await ada.sessions())

    assert len(sessions) == 100
    assert sessions[0].id == visit.session.id


async def test_sessions_are_ended_one_by_one(house: House) -> None:
    """N3: the one that was ended is over at once."""
    ada = await house.visitor().join()
    one, two = await logged_in(house, 2)
    visit = await one.visit()
    assert visit.session is not None

    left = listed(await ada.end_sessions(visit.session.id))

    assert visit.session.id not in {session.id for session in left}
    assert await is_over(one)
    assert not await is_over(two)
    assert not await is_over(ada)
    assert (await house.events())[-1] == "session_ended"
    assert visit.session.id not in (await house.event_rows())[-1].data


async def test_ending_the_current_session_is_a_logout(house: House) -> None:
    ada = await house.visitor().join()
    await logged_in(house, 1)
    ids = [session.id for session in listed(await ada.sessions())]

    outcome = await ada.end_sessions(*ids)

    assert isinstance(outcome, Standing)
    assert not outcome.visit.authenticated
    assert await house.session_rows() == []


async def test_nobody_ends_a_session_of_somebody_else(house: House) -> None:
    ada = await house.visitor().join()
    bob = await house.visitor().join("bob@example.org")
    mine, theirs = await ada.visit(), await bob.visit()
    assert mine.session is not None
    assert theirs.session is not None

    for other in (theirs.session.id, "unknown"):
        outcome = await ada.end_sessions(mine.session.id, other)
        assert faults_of(outcome) == ["invalid_choice"]
    assert not await is_over(bob)
    assert not await is_over(ada)


async def test_one_update_ends_a_hundred_sessions_and_what_is_under_way(house: House) -> None:
    """N4: the number of sessions costs nothing."""
    ada = await (await house.visitor().join()).protect()
    others = []
    for _ in range(10):
        others += await logged_in(house, 10)
        house.clock.turn(minutes=1)
    before = counted()

    outcome = await ada.end_all_sessions()

    after = counted()
    assert isinstance(outcome, Standing)
    assert not outcome.visit.authenticated
    assert after["write"] - before["write"] == 1
    assert after["commit"] - before["commit"] == 1
    assert all([await is_over(other) for other in [ada, *others]])
    assert (await house.events())[-1] == "sessions_ended"


# Idle life and tracking


async def test_a_session_that_is_not_used_is_over(house: House) -> None:
    """N5: unused for SESSION_IDLE_TIMEOUT, whatever is left of its life."""
    house = house.under(Policy(tracking=Tracking(idle=timedelta(hours=1))))
    ada = await house.visitor().join()
    other = house.visitor()
    await other.log_in()
    for _ in range(3):
        house.clock.turn(minutes=50)
        assert (await ada.visit()).authenticated

    assert await is_over(other)
    assert len(listed(await ada.sessions())) == 1
    house.clock.turn(hours=1)
    assert await is_over(ada)


async def test_use_does_not_prolong_the_absolute_life(house: House) -> None:
    """N5: SESSION_COOKIE_AGE is from the login on."""
    policy = Policy(session_lifetime=timedelta(hours=2), tracking=Tracking(idle=timedelta(hours=1)))
    ada = await house.under(policy).visitor().join()
    for _ in range(2):
        house.clock.turn(minutes=50)
        assert (await ada.visit()).authenticated
    house.clock.turn(minutes=20)
    assert await is_over(ada)


async def test_use_is_noted_once_a_minute_where_it_is_tracked(house: House) -> None:
    tracked = house.under(Policy(tracking=Tracking(activity=True)))
    ada = await tracked.visitor().join()
    house.clock.turn(minutes=5)
    ada.address = "192.0.2.77"
    before = counted()

    for _ in range(5):
        await ada.visit()

    assert counted()["write"] - before["write"] == 1
    (session,) = listed(await ada.sessions())
    assert session.last_seen_at == house.clock()
    assert session.ip == "192.0.2.77"


async def test_without_tracking_a_session_costs_one_read(house: House) -> None:
    ada = await house.visitor().join()
    house.clock.turn(minutes=5)
    before = counted()
    await ada.visit()
    after = counted()
    assert after["read"] - before["read"] == 1
    assert after["write"] == before["write"]


async def test_noting_a_use_does_not_revive_a_session(house: House) -> None:
    """N3: the note is an UPDATE of a row that has to be there."""
    tracked = house.under(Policy(tracking=Tracking(activity=True)))
    ada = await tracked.visitor().join()
    house.clock.turn(minutes=5)
    session = (await ada.visit()).session
    assert session is not None
    await ada.log_out()

    await SessionList(house.db).note_use(
        session, house.clock(), every=timedelta(0), ip=HOME, user_agent="test"
    )

    assert await house.session_rows() == []


# Reauthentication


async def test_changes_to_the_second_factor_need_a_fresh_proof_by_any_means(house: House) -> None:
    """N6: as in allauth, a password will do."""
    ada = await (await house.visitor().join()).protect()
    house.clock.turn(minutes=6)
    assert isinstance(await ada.deactivate(), ReauthenticationNeeded)
    await ada.reauthenticate()
    assert isinstance(await ada.deactivate(), Removed)


async def test_with_a_second_factor_only_that_may_be_asked_for(house: House) -> None:
    """N7: with MFA_REQUIRE_MFA_FOR_CHANGES a stolen password does not turn MFA off."""
    house = house.under(Policy(reauthentication=Reauthentication(mfa_by_mfa=True)))
    ada = await (await house.visitor().join()).protect()
    await ada.reauthenticate(PASSWORD)

    needed = await ada.deactivate()

    assert isinstance(needed, ReauthenticationNeeded)
    assert needed.methods == MFA
    await ada.reauthenticate_by_code(ada.otp())
    assert isinstance(await ada.deactivate(), Removed)


async def test_a_fresh_proof_may_be_waived(house: House) -> None:
    """N6: with MFA_REAUTHENTICATION_REQUIRED off, as in allauth."""
    house = house.under(Policy(reauthentication=Reauthentication(mfa=False)))
    ada = await house.visitor().join()
    assert isinstance(await ada.show_totp(), NotEnrolled)
    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    assert isinstance(await ada.deactivate(), Removed)
