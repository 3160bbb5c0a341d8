"""A code is good once, and every attempt is on record."""

import json

import pyotp
import pytest
from sqlalchemy import select

from services.totp.domain.codes import Judgement, Policy, Verdict
from services.totp.flows import TotpFlows
from services.totp.store import AuthenticatorStore
from shared import context
from shared.database import Database, Statement
from shared.database.events import OUTBOX
from shared.errors import Conflict, NotFound
from tests.hands import Hands
from tests.totp.conftest import counted, spent_since

EVENTS = Statement(select(OUTBOX.c.type, OUTBOX.c.subject, OUTBOX.c.data).order_by(OUTBOX.c.seq))


async def recorded(db: Database) -> list[str]:
    """Return what has been recorded, without the common head."""
    return [row.type.removeprefix("mfa.totp.") for row in await db.all(EVENTS)]


async def enrol(flows: TotpFlows, clock: Hands, id: str = "a1", user: str = "ada") -> pyotp.TOTP:
    """Enrol a device, and let its first code pass by."""
    offer = await flows.begin(user, id, f"session-{id}", f"{user}@example.com")
    device = pyotp.TOTP(offer.secret)
    assert await flows.complete(user, id, f"session-{id}", device.at(clock()), None)
    clock.turn(seconds=30)
    return device


async def test_a_code_works_once(flows: TotpFlows, clock: Hands, db: Database) -> None:
    """T1: a code is accepted at most once."""
    device = await enrol(flows, clock)
    code = device.at(clock())

    first = await flows.verify("ada", ["a1"], code)
    second = await flows.verify("ada", ["a1"], code)

    assert first == Judgement(Verdict.ACCEPTED, "a1")
    assert second == Judgement(Verdict.REPLAYED, "a1")
    assert (await recorded(db))[-2:] == ["accepted", "replayed"]


@pytest.mark.parametrize("tolerance", [0, 1, 2, 3])
async def test_a_code_works_once_in_its_whole_window(
    store: AuthenticatorStore, clock: Hands, tolerance: int
) -> None:
    """T2: the mark outlasts the window, whatever the tolerance."""
    flows = TotpFlows(store, clock, Policy(), tolerance=tolerance)
    device = await enrol(flows, clock)
    clock.turn(seconds=30 * tolerance)
    code = device.at(clock())  # good from now - tolerance to now + tolerance
    clock.turn(seconds=-30 * tolerance)

    accepted = []
    for _ in range((2 * tolerance + 3) * 6):
        judgement = await flows.verify("ada", ["a1"], code)
        accepted.append(judgement.verdict is Verdict.ACCEPTED)
        clock.turn(seconds=5)

    assert accepted[0]
    assert sum(accepted) == 1


async def test_an_older_code_is_refused_after_a_newer_one(
    store: AuthenticatorStore, clock: Hands
) -> None:
    """T1: only a greater time step than the last is accepted."""
    flows = TotpFlows(store, clock, Policy(), tolerance=1)
    device = await enrol(flows, clock)
    older, newer = device.at(clock()), device.at(clock(), counter_offset=1)

    assert (await flows.verify("ada", ["a1"], newer)).verdict is Verdict.ACCEPTED
    assert (await flows.verify("ada", ["a1"], older)).verdict is Verdict.REPLAYED


async def test_a_used_code_is_refused_in_every_notation(flows: TotpFlows, clock: Hands) -> None:
    """T3: codes are normalised before they are compared and before the mark is looked up."""
    device = await enrol(flows, clock)
    code = device.at(clock())
    assert (await flows.verify("ada", ["a1"], f" {code[:3]} {code[3:]}")).verdict == "accepted"

    for notation in (code, f"{code[:3]}-{code[3:]}", f"{code} ", " ".join(code)):
        assert (await flows.verify("ada", ["a1"], notation)).verdict is Verdict.REPLAYED


async def test_the_code_that_enrols_is_spent(flows: TotpFlows, clock: Hands) -> None:
    """T4: the code that confirms the enrolment does not log in."""
    offer = await flows.begin("ada", "a1", "s1", "ada@example.com")
    code = pyotp.TOTP(offer.secret).at(clock())
    assert await flows.complete("ada", "a1", "s1", code, None)

    assert (await flows.verify("ada", ["a1"], code)).verdict is Verdict.REPLAYED


async def test_tolerance_is_zero_unless_set(
    flows: TotpFlows, store: AuthenticatorStore, clock: Hands
) -> None:
    """T5: codes of the neighbouring steps pass only where the settings say so."""
    device = await enrol(flows, clock)
    before, after = device.at(clock(), counter_offset=-1), device.at(clock(), counter_offset=1)

    strict = [(await flows.verify("ada", ["a1"], code)).verdict for code in (before, after)]
    clock.turn(seconds=30)
    tolerant = TotpFlows(store, clock, Policy(), tolerance=1)
    late = await tolerant.verify("ada", ["a1"], device.at(clock(), counter_offset=-1))

    assert strict == [Verdict.REJECTED, Verdict.REJECTED]
    assert late.verdict is Verdict.ACCEPTED


async def test_the_server_tells_the_time(flows: TotpFlows, clock: Hands) -> None:
    """T7: a code is good in its own period of the server's clock, to the microsecond."""
    device = await enrol(flows, clock)
    early = device.at(clock(), counter_offset=1)
    clock.turn(seconds=14.999999)
    too_early = await flows.verify("ada", ["a1"], early)
    late = device.at(clock())
    clock.turn(seconds=0.000001)

    assert too_early.verdict is Verdict.REJECTED
    assert (await flows.verify("ada", ["a1"], late)).verdict is Verdict.REJECTED
    assert (await flows.verify("ada", ["a1"], early)).verdict is Verdict.ACCEPTED


async def test_each_attempt_gets_a_new_secret(flows: TotpFlows) -> None:
    """T6: a new secret of 160 bits for each enrolment."""
    offers = [await flows.begin("ada", f"e{n}", "s1", "ada@example.com") for n in range(20)]

    assert len({offer.secret for offer in offers}) == 20
    assert {len(pyotp.TOTP(offer.secret).byte_secret()) for offer in offers} == {20}


async def test_asking_again_shows_a_new_secret(
    flows: TotpFlows, clock: Hands, db: Database
) -> None:
    """T6: a new secret each time, also under the same id; the one before it is dead."""
    first, second = [await flows.begin("ada", "e1", "s1", "ada@example.com") for _ in range(2)]
    codes = [pyotp.TOTP(offer.secret).at(clock()) for offer in (first, second)]

    assert first.secret != second.secret
    assert await flows.complete("ada", "e1", "s1", codes[0], None) is None
    assert await flows.complete("ada", "e1", "s1", codes[1], None)
    assert await recorded(db) == [
        "enrolment_started",
        "enrolment_started",
        "activation_failed",
        "activated",
    ]


async def test_asking_again_begins_the_ten_minutes_again(flows: TotpFlows, clock: Hands) -> None:
    await flows.begin("ada", "e1", "s1", "ada@example.com")
    clock.turn(minutes=9)
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    clock.turn(minutes=9)

    assert await flows.complete("ada", "e1", "s1", pyotp.TOTP(offer.secret).at(clock()), None)


@pytest.mark.parametrize(("user", "session"), [("ada", "session-a1"), ("ada", "s2"), ("eve", "s1")])
async def test_what_is_enrolled_is_not_enrolled_again(
    flows: TotpFlows, clock: Hands, db: Database, user: str, session: str
) -> None:
    """T6: nothing is begun under the id of an authenticator, whoever asks."""
    device = await enrol(flows, clock, "a1")
    before = await recorded(db)

    with pytest.raises(Conflict):
        await flows.begin(user, "a1", session, "ada@example.com")

    assert await recorded(db) == before
    assert (await flows.verify("ada", ["a1"], device.at(clock()))).verdict is Verdict.ACCEPTED


async def test_a_new_enrolment_replaces_the_sessions_last(flows: TotpFlows, clock: Hands) -> None:
    """T6: of one session's secrets only the newest counts."""
    old = await flows.begin("ada", "e1", "s1", "ada@example.com")
    new = await flows.begin("ada", "e2", "s1", "ada@example.com")

    with pytest.raises(NotFound):
        await flows.complete("ada", "e1", "s1", pyotp.TOTP(old.secret).at(clock()), None)
    assert await flows.complete("ada", "e2", "s1", pyotp.TOTP(new.secret).at(clock()), None)


@pytest.mark.parametrize(
    ("user", "enrolment", "session"),
    [("eve", "e1", "s1"), ("ada", "e2", "s1"), ("ada", "e1", "s2")],
)
async def test_a_secret_is_bound_to_who_asked(
    flows: TotpFlows, clock: Hands, user: str, enrolment: str, session: str
) -> None:
    """T6: nobody else, and no other session, can complete an enrolment."""
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    code = pyotp.TOTP(offer.secret).at(clock())

    with pytest.raises(NotFound):
        await flows.complete(user, enrolment, session, code, None)


async def test_an_enrolment_id_belongs_to_one(flows: TotpFlows) -> None:
    """T6: another session or user cannot take over an enrolment by its id."""
    await flows.begin("ada", "e1", "s1", "ada@example.com")

    for user, session in (("ada", "s2"), ("eve", "s1")):
        with pytest.raises(Conflict):
            await flows.begin(user, "e1", session, "eve@example.com")


async def test_an_enrolment_does_not_wait_for_ever(flows: TotpFlows, clock: Hands) -> None:
    """T6: after ten minutes the secret is dead, and asking again shows another."""
    old = await flows.begin("ada", "e1", "s1", "ada@example.com")
    clock.turn(minutes=10)
    with pytest.raises(NotFound):
        await flows.complete("ada", "e1", "s1", pyotp.TOTP(old.secret).at(clock()), None)

    new = await flows.begin("ada", "e1", "s1", "ada@example.com")

    assert new.secret != old.secret
    assert await flows.complete("ada", "e1", "s1", pyotp.TOTP(new.secret).at(clock()), None)


async def test_completing_is_repeatable(flows: TotpFlows, clock: Hands, db: Database) -> None:
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    device = pyotp.TOTP(offer.secret)
    code = device.at(clock())
    first = await flows.complete("ada", "e1", "s1", code, "phone")
    clock.turn(minutes=2)
    await flows.verify("ada", ["e1"], device.at(clock()))

    again = await flows.complete("ada", "e1", "s1", code, "phone")
    other_code = await flows.complete("ada", "e1", "s1", device.at(clock()), "phone")

    assert again is not None
    assert first is not None
    assert (again.id, again.name, again.created_at) == (first.id, "phone", first.created_at)
    assert other_code is None
    assert (await recorded(db)).count("activated") == 1
    with pytest.raises(NotFound):  # T6: still only for the session that enrolled it
        await flows.complete("ada", "e1", "s2", code, None)


async def test_a_completion_is_not_repeatable_for_ever(flows: TotpFlows, clock: Hands) -> None:
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    code = pyotp.TOTP(offer.secret).at(clock())
    await flows.complete("ada", "e1", "s1", code, None)
    clock.turn(minutes=10)

    assert await flows.complete("ada", "e1", "s1", code, None) is None


async def test_a_wrong_code_leaves_the_enrolment_open(
    flows: TotpFlows, clock: Hands, db: Database
) -> None:
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    code = pyotp.TOTP(offer.secret).at(clock())
    wrong = f"{(int(code) + 1) % 10**6:06}"

    assert await flows.complete("ada", "e1", "s1", wrong, None) is None
    assert await flows.authenticators("ada") == []
    assert await flows.complete("ada", "e1", "s1", code, None)
    assert await recorded(db) == ["enrolment_started", "activation_failed", "activated"]


async def test_only_the_authenticators_that_are_named_count(flows: TotpFlows, clock: Hands) -> None:
    device = await enrol(flows, clock)
    other = await enrol(flows, clock, "b1", "bob")

    for user, ids, code in (
        ("ada", [], device.at(clock())),
        ("ada", ["a2"], device.at(clock())),
        ("bob", ["a1", "b1"], device.at(clock())),  # the code of another user
        ("ada", ["a1", "b1"], other.at(clock())),
        ("eve", ["a1"], device.at(clock())),
    ):
        assert await flows.verify(user, ids, code) == Judgement(Verdict.REJECTED)
    assert (await flows.verify("ada", ["x", "a1"], device.at(clock()))).verdict == "accepted"


async def test_a_pending_enrolment_is_no_authenticator(flows: TotpFlows, clock: Hands) -> None:
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    code = pyotp.TOTP(offer.secret).at(clock())

    assert (await flows.verify("ada", ["e1"], code)).verdict is Verdict.REJECTED
    assert await flows.authenticators("ada") == []


async def test_removing_is_repeatable_and_recorded_once(
    flows: TotpFlows, clock: Hands, db: Database
) -> None:
    device = await enrol(flows, clock)

    await flows.remove("eve", "a1")
    still = await flows.authenticators("ada")
    await flows.remove("ada", "a1")
    await flows.remove("ada", "a1")

    assert [authenticator.id for authenticator in still] == ["a1"]
    assert await flows.authenticators("ada") == []
    assert (await recorded(db)).count("removed") == 1
    assert (await flows.verify("ada", ["a1"], device.at(clock()))).verdict is Verdict.REJECTED


async def test_removing_ends_a_pending_enrolment_too(flows: TotpFlows, clock: Hands) -> None:
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    await flows.remove("ada", "e1")

    with pytest.raises(NotFound):
        await flows.complete("ada", "e1", "s1", pyotp.TOTP(offer.secret).at(clock()), None)


async def test_forgetting_leaves_nothing_of_a_person(flows: TotpFlows, clock: Hands) -> None:
    await enrol(flows, clock, "a1")
    await enrol(flows, clock, "a2")
    await enrol(flows, clock, "b1", "bob")
    pending = await flows.begin("ada", "e1", "s1", "ada@example.com")

    await flows.forget("ada")
    await flows.forget("ada")

    assert await flows.authenticators("ada") == []
    assert len(await flows.authenticators("bob")) == 1
    with pytest.raises(NotFound):
        await flows.complete("ada", "e1", "s1", pyotp.TOTP(pending.secret).at(clock()), None)


async def test_the_sweep_takes_only_what_has_expired(flows: TotpFlows, clock: Hands) -> None:
    await flows.begin("ada", "e1", "s1", "ada@example.com")
    clock.turn(minutes=9)
    alive = await flows.begin("bob", "e2", "s2", "bob@example.com")
    clock.turn(minutes=1)

    await flows.sweep()

    await flows.begin("eve", "e1", "s3", "eve@example.com")  # the id is free again
    assert await flows.complete("bob", "e2", "s2", pyotp.TOTP(alive.secret).at(clock()), None)


async def test_settings_may_change_under_enrolled_devices(
    store: AuthenticatorStore, clock: Hands
) -> None:
    device = await enrol(TotpFlows(store, clock, Policy()), clock)
    changed = TotpFlows(store, clock, Policy(digits=8, period=60))

    assert (await changed.verify("ada", ["a1"], device.at(clock()))).verdict == "accepted"
    offer = await changed.begin("ada", "a2", "s2", "ada@example.com")
    new_device = pyotp.TOTP(offer.secret, digits=8, interval=60)
    assert await changed.complete("ada", "a2", "s2", new_device.at(clock()), None)


async def test_each_authenticator_tells_the_form_of_its_own_codes(
    store: AuthenticatorStore, clock: Hands
) -> None:
    longer = TotpFlows(store, clock, Policy(digits=8))
    await enrol(TotpFlows(store, clock, Policy()), clock, "a1")
    offer = await longer.begin("ada", "a2", "s2", "ada@example.com")
    code = pyotp.TOTP(offer.secret, digits=8).at(clock())
    made = await longer.complete("ada", "a2", "s2", code, None)
    again = await longer.complete("ada", "a2", "s2", code, None)

    forms = [str(longer.code_form(kept)) for kept in await longer.authenticators("ada")]

    assert forms == ["digits:6", "digits:8"]
    assert [kept and str(longer.code_form(kept)) for kept in (made, again)] == ["digits:8"] * 2


async def test_where_a_code_bypasses_no_form_keeps_it_out(
    store: AuthenticatorStore, flows: TotpFlows, clock: Hands
) -> None:
    await enrol(flows, clock)
    bypassed = TotpFlows(store, clock, Policy(), bypass_code="letmein")

    (kept,) = await bypassed.authenticators("ada")

    assert bypassed.code_form(kept) is None


async def test_the_bypass_code_passes_and_says_so(store: AuthenticatorStore, clock: Hands) -> None:
    flows = TotpFlows(store, clock, Policy(), bypass_code="letmein")
    await flows.begin("ada", "e1", "s1", "ada@example.com")

    assert await flows.complete("ada", "e1", "s1", "letmein", None)
    for _ in range(2):
        assert await flows.verify("ada", ["e1"], "letmein") == Judgement(Verdict.ACCEPTED, "e1")
    assert (await flows.verify("bob", ["e1"], "letmein")).verdict is Verdict.REJECTED


async def test_without_a_bypass_code_nothing_bypasses(flows: TotpFlows, clock: Hands) -> None:
    await enrol(flows, clock)

    assert (await flows.verify("ada", ["a1"], "")).verdict is Verdict.REJECTED


async def test_events_tell_who_and_which_but_no_secret(
    flows: TotpFlows, clock: Hands, db: Database
) -> None:
    """T12: no event carries a secret, a code, or a wrong code."""
    context.enter(context.Context(request_id="r1", address="192.0.2.1"))
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    device = pyotp.TOTP(offer.secret)
    codes = [device.at(clock(), counter_offset=step) for step in range(2)]
    await flows.complete("ada", "e1", "s1", "424242", None)
    await flows.complete("ada", "e1", "s1", codes[0], None)
    await flows.verify("ada", ["e1"], codes[0])
    clock.turn(seconds=30)
    await flows.verify("ada", ["e1"], codes[1])
    await flows.verify("ada", ["e1"], "434343")
    await flows.remove("ada", "e1")

    rows = await db.all(Statement(select(OUTBOX)))

    told = json.dumps([dict(row) for row in rows])
    assert [row.type.rpartition(".")[2] for row in rows] == [
        "enrolment_started",
        "activation_failed",
        "activated",
        "replayed",
        "accepted",
        "failed",
        "removed",
    ]
    assert {row.subject for row in rows} == {"ada"}
    assert all(json.loads(row.context)["request_id"] == "r1" for row in rows)
    for secret in (offer.secret, *codes, "424242", "434343"):
        assert secret not in told


async def test_a_verification_is_one_read_and_one_write(flows: TotpFlows, clock: Hands) -> None:
    device = await enrol(flows, clock)
    good = device.at(clock())

    for code, verdict in ((good, "accepted"), (good, "replayed"), ("nonsense", "rejected")):
        writes = 2 if verdict == "replayed" else 1  # the spending that failed, and the event
        before = counted()
        assert (await flows.verify("ada", ["a1"], code)).verdict == verdict
        assert spent_since(before) == {"read": 1, "write": writes, "commit": 1}


async def test_an_enrolment_is_three_statements(flows: TotpFlows, clock: Hands) -> None:
    before = counted()
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")
    assert spent_since(before) == {"read": 0, "write": 1, "commit": 1}

    before = counted()
    assert await flows.complete("ada", "e1", "s1", pyotp.TOTP(offer.secret).at(clock()), None)
    assert spent_since(before) == {"read": 1, "write": 1, "commit": 1}
