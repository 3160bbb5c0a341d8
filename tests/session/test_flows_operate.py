"""What operators do takes effect at once, is on record, and is told to the person."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from services.session.domain.mails import MailKind
from services.session.domain.stages import Stage
from services.session.flows import PasswordHasher, Policy, build_operating
from services.session.flows.operate import Operating, WeakPassword
from services.session.flows.outcomes import (
    Gone,
    LoginNeeded,
    NotEnrolled,
    Refused,
    StageNeeded,
    Standing,
)
from shared.errors import Conflict, Malformed, NotFound, Unavailable
from tests.session.house import ADA, PASSWORD, RING, Cut, House, counted, faults_of
from tests.session.keys import by_passkey, log_in
from tests.webauthn.authenticator import Device

Act = Callable[[Operating], Awaitable[Any]]

ENDING: dict[str, Act] = {
    "disable": lambda do: do.disable(ADA),
    "end-all": lambda do: do.end_sessions(ADA),
    "reset-mfa": lambda do: do.reset_mfa(ADA),
    "delete": lambda do: do.delete(ADA),
}


def operating(house: House) -> Operating:
    """Return what an operator has at hand."""
    return build_operating(
        house.db,
        ring=RING,
        clock=house.clock,
        policy=Policy(),
        hasher=PasswordHasher(queue=1, threads=1, memory=8, passes=1),
    )


async def told(house: House) -> list[MailKind]:
    return [mail.kind for mail in await house.notices()]


async def last_event(house: House) -> tuple[str, dict[str, object], str]:
    row = (await house.event_rows())[-1]
    return row.type.removeprefix("mfa.session."), json.loads(row.data), row.context


async def test_an_account_that_is_created_can_be_logged_in_to(house: House) -> None:
    user_id = await operating(house).create(" Ada@Example.ORG ", PASSWORD, verified=True)

    outcome = await house.visitor().log_in()

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert (await house.user()).id == user_id
    assert await told(house) == [MailKind.ACCOUNT_CREATED, MailKind.NEW_LOGIN]


async def test_an_account_whose_address_is_not_taken_as_verified_waits_for_the_code(
    house: House,
) -> None:
    await operating(house).create(ADA, PASSWORD, verified=False)
    ada = house.visitor()

    outcome = await ada.log_in()

    assert isinstance(outcome, Standing)
    assert outcome.visit.pending is Stage.VERIFY_EMAIL
    assert isinstance(await ada.verify(await house.code()), Standing)


async def test_an_account_without_a_password_opens_to_none(house: House) -> None:
    await operating(house).create(ADA, None, verified=True)

    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]
    assert not (await operating(house).find(ADA)).has_password


async def test_creating_is_on_record_and_says_who_did_it(house: House) -> None:
    await operating(house).create(ADA, None, verified=True)

    assert await last_event(house) == ("user_created", {"by": "operator"}, "{}")


async def test_an_account_is_not_made_where_it_cannot_be(house: House) -> None:
    do = operating(house)
    await do.create(ADA, PASSWORD, verified=True)

    with pytest.raises(Conflict):
        await do.create("ADA@example.org", None, verified=True)
    with pytest.raises(Malformed):
        await do.create("nobody", None, verified=True)
    with pytest.raises(WeakPassword):
        await do.create("bob@example.org", "12345678", verified=True)
    assert await house.events() == ["user_created"]


@pytest.mark.parametrize("name", ["ADA@example.org ", "the id"])
async def test_a_person_is_found_by_address_and_by_id(house: House, name: str) -> None:
    await house.visitor().join()
    user_id = (await house.user()).id

    found = await operating(house).find(user_id if name == "the id" else name)

    assert (found.id, found.email, found.live_sessions) == (user_id, ADA, 1)
    with pytest.raises(NotFound):
        await operating(house).find("bob@example.org")


async def test_disabling_ends_sessions_and_enabling_does_not_revive_them(house: House) -> None:
    """O6: an account that is disabled has no session, whatever becomes of it."""
    ada = await house.visitor().join()
    do = operating(house)

    await do.disable(ADA)
    with pytest.raises(Gone):
        await ada.visit()
    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]
    await do.enable(ADA)
    with pytest.raises(Gone):
        await ada.visit()

    assert isinstance(await house.visitor().log_in(), Standing)
    assert await told(house) == [
        MailKind.ACCOUNT_DISABLED,
        MailKind.ACCOUNT_ENABLED,
        MailKind.NEW_LOGIN,
    ]
    assert {"user_disabled", "user_enabled"} <= set(await house.events())


@pytest.mark.parametrize("act", ENDING.values(), ids=ENDING)
async def test_a_login_under_way_does_not_survive(house: House, act: Act) -> None:
    """O6: not even with the right code, and not after an account is enabled again."""
    ada = await (await house.visitor().join()).protect()
    pending = ada.elsewhere()
    await pending.log_in()

    await act(operating(house))

    with pytest.raises(Gone):
        await pending.authenticate(ada.otp())
    if act is ENDING["disable"]:
        await operating(house).enable(ADA)
        with pytest.raises(Gone):
            await pending.authenticate(ada.otp())


@pytest.mark.parametrize("act", ENDING.values(), ids=ENDING)
async def test_a_code_that_is_being_judged_does_not_open_a_session(house: House, act: Act) -> None:
    """O6: the login is refused by its own last write."""
    ada = await (await house.visitor().join()).protect()
    pending = ada.elsewhere()
    await pending.log_in()
    held = house.wire.hold("POST", "verifications", Cut.AFTER)

    judged = asyncio.create_task(pending.authenticate(ada.otp()))
    await held.arrived.wait()
    await act(operating(house))
    held.go_on.set()

    assert isinstance(await judged, StageNeeded | LoginNeeded | Refused)
    alive = [row for row in await house.session_rows() if row.authenticated_at is not None]
    assert len(alive) <= 1  # the one in which TOTP was turned on


async def test_a_login_that_waits_for_its_address_ends_with_the_account(house: House) -> None:
    """O6: in every stage."""
    await operating(house).create(ADA, PASSWORD, verified=False)
    ada = house.visitor()
    await ada.log_in()
    code = await house.code()

    await operating(house).disable(ADA)

    with pytest.raises(Gone):
        await ada.verify(code)


async def test_nothing_is_disabled_or_enabled_twice(house: House) -> None:
    await house.visitor().join()
    do = operating(house)

    with pytest.raises(Conflict):
        await do.enable(ADA)
    await do.disable(ADA)
    with pytest.raises(Conflict):
        await do.disable(ADA)


async def test_unlocking_forgets_the_failures_of_the_password(house: House) -> None:
    await house.visitor().join()
    for number in range(6):
        stranger = house.visitor(address=f"203.0.113.{number}")
        await stranger.log_in(password="wrong")
    locked = await house.visitor(address="203.0.113.200").log_in()

    await operating(house).unlock(ADA)

    assert isinstance(locked, Refused)
    assert isinstance(await house.visitor(address="203.0.113.201").log_in(), Standing)
    assert MailKind.ACCOUNT_UNLOCKED in await told(house)


async def test_unlocking_ends_the_rest_of_the_second_factor(house: House) -> None:
    """L1: an operator is one of those who may."""
    ada = await (await house.visitor().join()).protect()
    pending = ada.elsewhere(address="203.0.113.1")
    await pending.log_in()
    for number in range(6):
        await pending.authenticate(ada.wrong_otp(number))
    assert (await house.user()).mfa_failures == 5

    await operating(house).unlock(ADA)

    assert isinstance(await pending.authenticate(ada.otp()), Standing)


@pytest.mark.parametrize("address", ["192.0.2.1", "203.0.113.1"])
async def test_unlocking_forgives_passwords_wherever_they_were_tried(
    house: House, address: str
) -> None:
    """L1: from where the owner has logged in before, and from elsewhere."""
    await (await house.visitor().join()).log_out()
    visitor = house.visitor(address)
    for _ in range(6):
        await visitor.log_in(password="wrong")
    assert faults_of(await visitor.log_in()) == ["too_many_login_attempts"]
    do = operating(house)
    assert await do.limited_until(await do.find(ADA)) == house.clock() + timedelta(minutes=5)

    await do.unlock(ADA)

    assert await do.limited_until(await do.find(ADA)) is None
    assert isinstance(await visitor.log_in(), Standing)


async def test_sessions_are_listed_and_ended_one_by_one_or_all(house: House) -> None:
    await house.visitor().join()
    here, there = house.visitor(), house.visitor(address="198.51.100.7")
    await here.log_in()
    house.clock.turn(minutes=1)
    await there.log_in()
    do = operating(house)

    listed = await do.sessions(ADA)
    await do.end_session(ADA, listed[-1].id)

    assert [session.address for session in listed][-1] == "198.51.100.7"
    with pytest.raises(Gone):
        await there.visit()
    assert (await here.visit()).authenticated
    assert len(await do.sessions(ADA)) == 2
    with pytest.raises(NotFound):
        await do.end_session(ADA, listed[-1].id)
    await do.end_sessions(ADA)
    with pytest.raises(Gone):
        await here.visit()
    assert await do.sessions(ADA) == []


async def test_nobody_elses_session_is_ended(house: House) -> None:
    await house.visitor().join()
    bob = await house.visitor().join("bob@example.org")
    (session,) = await operating(house).sessions("bob@example.org")

    with pytest.raises(NotFound):
        await operating(house).end_session(ADA, session.id)

    assert (await bob.visit()).authenticated


async def test_the_second_factor_is_reset_while_its_factor_is_down(house: House) -> None:
    """The factor is asked later, by the sweep, and forgets what does not count any more."""
    ada = await (await house.visitor().join()).protect()
    await house.mails()
    house.wire.break_down()

    assert await operating(house).reset_mfa(ADA) is True

    again = ada.elsewhere()
    assert isinstance(await again.log_in(), Standing)
    assert (await again.visit()).authenticated
    assert await house.registered() == []
    await house.sweeps.collect_dead()
    house.wire.restore()
    house.clock.turn(hours=1)
    await house.sweeps.collect_dead()
    assert await house.enrolled() == []
    assert MailKind.SECOND_FACTOR_RESET in await told(house)


async def test_a_reset_tells_of_who_has_no_password(house: House) -> None:
    """And a session that is open may still set one."""
    device = Device()
    ada = await by_passkey(house, device)

    assert await operating(house).reset_mfa(ADA) is False

    assert isinstance(await log_in(house.visitor(), device), Refused)
    assert isinstance(await ada.change_password(None, PASSWORD), Standing)
    assert isinstance(await house.visitor().log_in(), Standing)


@pytest.mark.parametrize("by_passkey_again", [False, True])
async def test_after_a_reset_whoever_owns_the_address_has_an_account_without_a_password(
    house: House, by_passkey_again: bool
) -> None:
    """The same account; and whoever was in it is so no more."""
    ada = await by_passkey(house, Device())
    user_id = (await house.user()).id
    await operating(house).reset_mfa(ADA)
    house.clock.turn(minutes=1)
    assert (await ada.visit()).authenticated

    owner = await by_passkey(house, Device()) if by_passkey_again else house.visitor()
    if not by_passkey_again:
        await owner.sign_up()
        assert (await ada.visit()).authenticated
        assert isinstance(await owner.verify(await house.code()), Standing)

    assert (await owner.visit()).authenticated
    assert (await house.user()).id == user_id
    with pytest.raises(Gone):
        await ada.visit()


@pytest.mark.parametrize("verified", [False, True])
async def test_an_account_that_was_made_without_a_password_is_its_addresss(
    house: House, verified: bool
) -> None:
    """It is for whoever gives the code that is mailed there, and for nobody before."""
    user_id = await operating(house).create(ADA, None, verified=verified)
    owner = house.visitor()
    await owner.sign_up()
    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]

    assert isinstance(await owner.verify(await house.code()), Standing)

    assert (await owner.visit()).authenticated
    assert (await house.user()).id == user_id
    assert isinstance(await house.visitor().log_in(), Standing)


async def test_an_activation_in_progress_does_not_survive_a_reset(house: House) -> None:
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    held = house.wire.hold("POST", "complete", Cut.BEFORE)

    activation = asyncio.create_task(ada.activate(ada.otp()))
    await held.arrived.wait()
    await operating(house).reset_mfa(ADA)
    held.go_on.set()

    with pytest.raises(Unavailable):
        await activation
    assert await house.registered() == []
    house.clock.turn(minutes=2)
    await house.sweeps.collect_dead()
    assert await house.enrolled() == []
    assert isinstance(await ada.show_totp(), NotEnrolled)


async def test_every_act_is_one_write(house: House) -> None:
    await (await house.visitor().join()).protect()
    before, commits = len(await house.events()), counted()["commit"]
    do = operating(house)

    for act in (do.disable, do.enable, do.unlock, do.end_sessions, do.reset_mfa, do.delete):
        await act(ADA)

    assert counted()["commit"] - commits == 6
    rows = (await house.event_rows())[before:]
    assert [row.type.removeprefix("mfa.session.") for row in rows] == [
        "user_disabled",
        "user_enabled",
        "user_unlocked",
        "user_sessions_ended",
        "second_factor_reset",
        "user_deleted",
    ]
    assert {json.loads(row.data)["by"] for row in rows} == {"operator"}
    assert {row.context for row in rows} == {"{}"}


async def test_what_changed_meanwhile_is_not_overwritten(pg_house: House) -> None:
    """Two operators at once: one of them is told."""
    await pg_house.visitor().join()

    done = await asyncio.gather(
        *(operating(pg_house).disable(ADA) for _ in range(8)), return_exceptions=True
    )

    assert done.count(None) == 1
    assert all(isinstance(other, Conflict) for other in done if other is not None)


@pytest.mark.parametrize("act", ENDING.values(), ids=ENDING)
async def test_no_login_in_progress_survives_on_postgresql(pg_house: House, act: Act) -> None:
    """O6: whichever comes first, the session is over afterwards."""
    ada = await (await pg_house.visitor().join()).protect()
    for number in range(4):
        others = [ada.elsewhere(address=f"192.0.2.{number + 10}") for _ in range(4)]
        await asyncio.gather(*(other.log_in() for other in others))
        logins = [other.authenticate(ada.otp()) for other in others]
        results = await asyncio.gather(act(operating(pg_house)), *logins, return_exceptions=True)
        pg_house.clock.turn(seconds=30)
        for other in others:
            if act is not ENDING["reset-mfa"]:  # which ends logins, and no session
                with pytest.raises(Gone):
                    await other.visit()
        if act is ENDING["reset-mfa"] or act is ENDING["delete"]:
            return
        assert results[0] is None
        if act is ENDING["disable"]:
            await operating(pg_house).enable(ADA)
