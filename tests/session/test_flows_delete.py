"""A person who leaves is gone here at once, and everywhere else as soon as all have confirmed."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import delete as delete_from
from sqlalchemy import select
from structlog.testing import capture_logs

from services.session.domain.mails import MailKind
from services.session.flows import (
    PasswordHasher,
    Policy,
    Reauthentication,
    build_erasing,
    build_flows,
)
from services.session.flows.delete import LEASE, LONGEST_DELAY, Erasing
from services.session.flows.outcomes import (
    Gone,
    LoginNeeded,
    Outcome,
    ReauthenticationNeeded,
    Standing,
)
from services.session.gateway.ledger import LedgerClient
from services.session.store.rows import EMPTY_REGISTER
from services.session.store.tables import attempts, emails, erasures, keepers, origins, users
from shared.database import Statement, also
from shared.errors import Conflict, CountersignError, NotFound, Unavailable
from tests.session.house import ADA, RING, Crash, Cut, House, Visitor
from tests.session.test_flows_operate import operating

TABLES = (users, emails, origins, erasures, keepers)
LEFT = {table.name: Statement(select(*table.c)) for table in TABLES}
ABOUT = Statement(select(attempts.c.key).where(attempts.c.about.is_not(None)))


@dataclass
class Ledger(LedgerClient):
    """The ledger, as far as it can be seen from here."""

    away: CountersignError | None = None
    asked: list[str] = field(default_factory=list)

    async def forget(self, user_id: str) -> None:
        self.asked.append(user_id)
        if self.away is not None:
            raise self.away


def erasing(house: House, ledger: Ledger, *, configured: bool = True) -> Erasing:
    """Return what the worker does for those who are deleted, with or without any factor."""
    factors = house.factors if configured else {}
    return build_erasing(
        house.db, factors=factors, ledger=ledger, clock=house.clock, policy=Policy()
    )


async def left(house: House, table: str) -> int:
    return len(await house.db.all(LEFT[table]))


async def delete(visitor: Visitor) -> Outcome:
    flow = visitor.house.flows.delete
    return visitor.keep(await flow.delete(await visitor.visit()))


async def protected(house: House) -> Visitor:
    return await (await house.visitor().join()).protect()


async def test_a_person_deletes_themselves(house: House) -> None:
    ada = await protected(house)
    elsewhere = ada.elsewhere()
    await elsewhere.log_in()
    await house.notices()

    outcome = await delete(ada)

    assert isinstance(outcome, Standing)
    assert outcome.visit.session is None
    with pytest.raises(Gone):
        await elsewhere.authenticate(ada.otp())
    again = await house.visitor().log_in()
    assert [fault.code for fault in getattr(again, "faults", ())] == ["email_password_mismatch"]
    assert (await house.events())[-2] == "user_deleted"
    (mail,) = await house.notices()
    assert (mail.kind, mail.to) == (MailKind.ACCOUNT_DELETED, ADA)


async def test_nothing_but_the_id_is_left(house: House) -> None:
    ada = await protected(house)
    await ada.reauthenticate("wrong")
    before = await house.user()
    assert await house.db.all(ABOUT)

    await delete(ada)

    row = await house.user()
    assert row.id == before.id
    assert row.deleted_at is not None
    assert (row.password_hash, row.register_pending) == (None, None)
    assert row.register == EMPTY_REGISTER
    assert row.factor_epoch > before.factor_epoch
    assert row.session_epoch > before.session_epoch
    assert [await left(house, name) for name in ("emails", "origins", "erasures")] == [0, 0, 1]
    assert await house.db.all(ABOUT) == []


async def test_deleting_needs_a_proof_of_now(house: House) -> None:
    """N6: whoever finds a session open does not delete its owner."""
    ada = await house.visitor().join()
    assert isinstance(await delete(ada), ReauthenticationNeeded)
    await ada.reauthenticate()
    house.clock.turn(minutes=5)
    assert isinstance(await delete(ada), ReauthenticationNeeded)

    assert isinstance(await delete(house.visitor()), LoginNeeded)
    assert await left(house, "emails") == 1


@pytest.mark.parametrize("by_mfa", [False, True])
async def test_a_password_deletes_no_second_factor_where_it_may_not_change_one(
    house: House, by_mfa: bool
) -> None:
    """N7: to delete the account takes what to turn the second factor off takes."""
    rule = Reauthentication(mfa=False, mfa_by_mfa=by_mfa)
    house.flows = build_flows(
        house.db,
        ring=RING,
        factors=house.factors,
        clock=house.clock,
        policy=Policy(reauthentication=rule),
        hasher=PasswordHasher(queue=1, threads=1, memory=8, passes=1),
    )
    ada = await protected(house)
    house.clock.turn(minutes=6)
    await ada.reauthenticate()

    by_password = await delete(ada)

    assert isinstance(by_password, ReauthenticationNeeded if by_mfa else Standing)
    if by_mfa:
        await ada.reauthenticate_by_code(ada.otp())
        assert isinstance(await delete(ada), Standing)


async def test_the_address_is_free_again_and_the_id_is_not(house: House) -> None:
    ada = await protected(house)
    old = (await house.user()).id
    await delete(ada)
    await house.notices()

    newcomer = await house.visitor().join()

    visit = await newcomer.visit()
    assert visit.account is not None
    assert visit.account.id != old
    assert visit.account.register.entries == ()
    assert await left(house, "users") == 2


async def test_a_logout_that_comes_first_is_final(house: House) -> None:
    """N3: here too, the session that asks has to be there when it is written."""
    ada = await protected(house)
    visit = await ada.visit()
    await ada.log_out()

    assert isinstance(await house.flows.delete.delete(visit), LoginNeeded)
    assert await left(house, "emails") == 1


async def test_who_was_disabled_meanwhile_deletes_nothing(house: House) -> None:
    ada = await protected(house)
    visit = await ada.visit()
    await operating(house).disable(ADA)

    assert isinstance(await house.flows.delete.delete(visit), LoginNeeded)
    assert await left(house, "emails") == 1


async def test_everybody_is_asked_and_the_last_traces_go_when_all_have_confirmed(
    house: House,
) -> None:
    ada = await protected(house)
    user_id = (await house.user()).id
    await ada.elsewhere().log_in()
    await delete(ada)
    assert len(await house.session_rows()) == 1
    ledger = Ledger()

    assert await erasing(house, ledger).erase_due() == 1

    assert ledger.asked == [user_id]
    assert await house.enrolled() == []
    assert await house.session_rows() == []
    assert await left(house, "erasures") == 0
    assert (await house.events())[-1] == "user_erased"
    assert await erasing(house, ledger).erase_due() == 0


@pytest.mark.parametrize("error", [Unavailable("away"), NotFound("no such route")])
async def test_while_the_ledger_is_away_the_others_forget_and_it_is_asked_again(
    house: House, error: CountersignError
) -> None:
    ada = await protected(house)
    await delete(ada)
    ledger = Ledger(away=error)

    assert await erasing(house, ledger).erase_due() == 0
    assert await erasing(house, ledger).erase_due() == 0

    assert len(ledger.asked) == 1
    assert await house.enrolled() == []
    assert await left(house, "erasures") == 1
    ledger.away = None
    house.clock.turn(minutes=1)
    assert await erasing(house, ledger).erase_due() == 1
    assert await left(house, "erasures") == 0


async def test_while_a_factor_is_away_the_ledger_forgets_and_it_is_asked_again(
    house: House,
) -> None:
    ada = await protected(house)
    await delete(ada)
    house.wire.break_down()
    ledger = Ledger()

    assert await erasing(house, ledger).erase_due() == 0

    assert len(ledger.asked) == 1
    house.wire.restore()
    assert len(await house.enrolled()) == 1
    house.clock.turn(minutes=1)
    assert await erasing(house, ledger).erase_due() == 1
    assert await house.enrolled() == []


async def test_a_factor_that_is_configured_no_more_has_not_forgotten(house: House) -> None:
    """What it holds is still there: it is waited for until it is configured again."""
    ada = await protected(house)
    user_id = (await house.user()).id
    await delete(ada)
    ledger = Ledger()

    with capture_logs() as logs:
        assert await erasing(house, ledger, configured=False).erase_due() == 0
        assert await erasing(house, ledger, configured=False).erase_due() == 0

    assert ledger.asked == [user_id]
    assert await left(house, "erasures") == 1
    (told,) = logs
    assert (told["event"], told["log_level"]) == ("erasure_waits", "warning")
    assert "totp" in told["not_configured"]
    assert told["waits_for"] == []
    assert len(await house.enrolled()) == 1

    house.clock.turn(minutes=1)
    assert await erasing(house, ledger).erase_due() == 1
    assert await house.enrolled() == []
    assert [await left(house, name) for name in ("erasures", "keepers")] == [0, 0]
    assert (await house.events())[-1] == "user_erased"


@pytest.mark.parametrize("history", ["removed", "reset", "being added"])
async def test_a_factor_counts_as_told_whatever_became_of_it(house: House, history: str) -> None:
    """The register is no record of who knows somebody: it holds what counts today."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    if history == "being added":
        with pytest.raises(Crash):
            await Visitor(house.mortal(1), token=ada.token, secret=ada.secret).activate(ada.otp())
    else:
        await ada.activate(ada.otp())
    if history == "removed":
        await ada.deactivate()
    if history == "reset":
        await operating(house).reset_mfa(ADA)
    assert await house.registered() == []
    await operating(house).delete(ADA)

    assert await erasing(house, Ledger(), configured=False).erase_due() == 0

    house.clock.turn(seconds=LONGEST_DELAY / timedelta(seconds=1))
    assert await erasing(house, Ledger()).erase_due() == 1


async def test_who_never_met_a_factor_waits_for_none(house: House) -> None:
    await house.visitor().join()
    await operating(house).delete(ADA)

    assert await erasing(house, Ledger(), configured=False).erase_due() == 1


async def test_what_the_register_holds_at_the_end_is_remembered_in_any_case(house: House) -> None:
    """Also if it was written by a version that did not note who was told."""
    await protected(house)
    await house.db.apply(also(Statement(delete_from(keepers))))
    await operating(house).delete(ADA)

    assert await erasing(house, Ledger(), configured=False).erase_due() == 0


async def test_a_factor_that_is_told_while_all_are_asked_is_asked_too(house: House) -> None:
    """Whoever was recognised before the deletion may still begin an enrolment."""
    await house.visitor().join()
    user_id = (await house.user()).id
    await operating(house).delete(ADA)

    class Late(Ledger):
        async def forget(self, user_id: str) -> None:
            await house.store.write(house.store.keep(user_id, "totp"))

    assert await erasing(house, Late(), configured=False).erase_due() == 0
    house.clock.turn(seconds=LEASE / timedelta(seconds=1))
    assert await erasing(house, Ledger(), configured=False).erase_due() == 0
    assert user_id in [row.user_id for row in await house.db.all(LEFT["keepers"])]


async def test_an_operator_may_say_that_a_factor_is_no_more(house: House) -> None:
    ada = await protected(house)
    user_id = (await house.user()).id
    operator = operating(house)
    with pytest.raises(Conflict):
        await operator.waive_erasure(ADA, "totp")
    await delete(ada)
    await erasing(house, Ledger(), configured=False).erase_due()
    with pytest.raises(Conflict):
        await operator.waive_erasure(user_id, "smoke_signals")
    waiting = await operator.erasure(await operator.find(user_id))
    assert waiting is not None
    assert "totp" in waiting.factors
    assert waiting.attempts == 1

    for factor in waiting.factors:
        assert await erasing(house, Ledger(), configured=False).erase_due() == 0
        await operator.waive_erasure(user_id, factor)
    assert await erasing(house, Ledger(), configured=False).erase_due() == 1

    *_, erased = rows = await house.event_rows()
    waived = [row for row in rows if row.type == "mfa.session.user_erasure_waived"]
    assert {row.subject for row in waived} == {user_id}
    assert [json.loads(row.data) for row in waived] == [
        {"by": "operator", "factor": factor} for factor in waiting.factors
    ]
    assert erased.type == "mfa.session.user_erased"
    assert await operator.erasure(await operator.find(user_id)) is None
    with pytest.raises(Conflict):
        await operator.waive_erasure(user_id, "totp")


async def test_a_factor_that_was_waived_is_asked_where_it_is_configured(house: House) -> None:
    ada = await protected(house)
    user_id = (await house.user()).id
    await delete(ada)
    await operating(house).waive_erasure(user_id, "totp")
    house.wire.break_down()

    assert await erasing(house, Ledger()).erase_due() == 0

    house.wire.restore()
    house.clock.turn(minutes=1)
    assert await erasing(house, Ledger()).erase_due() == 1
    assert await house.enrolled() == []


async def test_pauses_grow_up_to_an_hour(house: House) -> None:
    await operating(house).create(ADA, None, verified=True)
    await operating(house).delete(ADA)
    ledger, asked = Ledger(away=Unavailable("away")), []

    for _ in range(600):
        await erasing(house, ledger).erase_due()
        asked.append(len(ledger.asked))
        house.clock.turn(minutes=1)

    assert [asked[minute] for minute in (0, 1, 2, 3, 7, 15)] == [1, 2, 2, 3, 4, 5]
    assert asked[-1] - asked[-61] == 1


async def test_a_worker_that_dies_leaves_the_rest_to_the_next(house: House) -> None:
    """Everything is repeatable: whoever comes after the lease begins anew."""
    ada = await protected(house)
    await delete(ada)
    ledger = Ledger()
    erasing_now = erasing(house, ledger)
    await erasing_now._people.take_erasure(house.clock(), LEASE)

    assert await erasing(house, ledger).erase_due() == 0
    house.clock.turn(seconds=LEASE / timedelta(seconds=1))
    assert await erasing(house, ledger).erase_due() == 1


async def test_two_workers_do_not_ask_twice_at_once(house: House) -> None:
    for number in range(6):
        await operating(house).create(f"p{number}@example.org", None, verified=True)
        await operating(house).delete(f"p{number}@example.org")
    ledger = Ledger()

    done = await asyncio.gather(*(erasing(house, ledger).erase_due() for _ in range(3)))

    assert sum(done) == 6
    assert len(ledger.asked) == len(set(ledger.asked)) == 6


async def test_a_change_that_was_left_half_done_leaves_nothing_behind(house: House) -> None:
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    dying = Visitor(house.mortal(1), token=ada.token, secret=ada.secret)
    with pytest.raises(Crash):
        await dying.activate(ada.otp())
    assert (await house.user()).register_pending is not None

    await delete(ada)
    await erasing(house, Ledger()).erase_due()
    house.clock.turn(minutes=2)
    await house.sweeps.repair_registers()
    await house.sweeps.collect_dead()

    assert (await house.user()).register_pending is None
    assert await house.enrolled() == []


async def test_what_a_factor_makes_after_it_has_forgotten_is_collected(house: House) -> None:
    """A call may be on its way while its person is deleted: it never counts, and does not stay."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    held = house.wire.hold("POST", "complete", Cut.AFTER)
    activation = asyncio.create_task(ada.activate(ada.otp()))
    await held.arrived.wait()

    await operating(house).delete(ADA)
    held.go_on.set()
    with pytest.raises(Unavailable):
        await activation
    await erasing(house, Ledger()).erase_due()
    house.clock.turn(minutes=2)
    await house.sweeps.collect_dead()

    assert await house.enrolled() == []
    assert await house.registered() == []


async def test_who_deletes_is_on_record(house: House) -> None:
    ada = await protected(house)
    await delete(ada)

    (row,) = [row for row in await house.event_rows() if row.type.endswith("user_deleted")]

    assert json.loads(row.data) == {"by": "person"}


async def test_a_deletion_leaves_no_survivor_on_postgresql(pg_house: House) -> None:
    """O6: logins that are completed, and deletions that are asked for twice, at the same time."""
    ada = await protected(pg_house)
    others = [ada.elsewhere(address=f"192.0.2.{number + 10}") for number in range(4)]
    await asyncio.gather(*(other.log_in() for other in others))
    visit = await ada.visit()

    outcomes = await asyncio.gather(
        pg_house.flows.delete.delete(visit),
        *(other.authenticate(ada.otp()) for other in others),
        pg_house.flows.delete.delete(visit),
        *(pg_house.visitor().log_in() for _ in range(4)),
        return_exceptions=True,
    )

    assert sorted(type(outcomes[place]).__name__ for place in (0, 5)) == [
        "LoginNeeded",
        "Standing",
    ]
    for other in others:
        with pytest.raises(Gone):
            await other.visit()
    await erasing(pg_house, Ledger()).erase_due()
    pg_house.clock.turn(minutes=2)
    await pg_house.sweeps.collect_dead()
    assert [await left(pg_house, name) for name in LEFT] == [1, 0, 0, 0, 0]
    assert await pg_house.session_rows() == []
    assert await pg_house.enrolled() == []
