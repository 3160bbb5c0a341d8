"""The register: whatever dies at whatever moment, only what is written down counts."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select

from services.session.domain.mails import MailKind
from services.session.domain.register import Intent, Pending
from services.session.domain.stages import Stage
from services.session.flows import Policy, build_sweeps
from services.session.flows.outcomes import (
    Enrolled,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    Removed,
    Standing,
    Visit,
)
from services.session.flows.register import LIVE
from services.session.store.tables import dead_authenticators
from shared.database import Statement
from shared.errors import Unavailable
from shared.http.client import TIMEOUT
from tests.session.house import (
    ADA,
    RING,
    Crash,
    Cut,
    House,
    Visitor,
    change_user,
    faults_of,
    second_replica,
    unavailable,
)
from tests.session.keys import add_key
from tests.session.test_webauthn import add, options, remove, rename
from tests.webauthn.authenticator import Device

Attempt = Callable[[House, Visit, str], Awaitable[Outcome]]
Act = Callable[[], Coroutine[Any, Any, Outcome]]


async def activate(house: House, visit: Visit, code: str) -> Outcome:
    return await house.flows.totp.activate(visit, code)


async def deactivate(house: House, visit: Visit, _code: str) -> Outcome:
    return await house.flows.totp.deactivate(visit)


# The steps of a change are: mark the register, call the factor, write the register clean.


async def dies_after_the_mark(house: House, attempt: Attempt, visit: Visit, code: str) -> None:
    with pytest.raises(Crash):
        await attempt(house.mortal(1), visit, code)


async def dies_before_the_call(house: House, attempt: Attempt, visit: Visit, code: str) -> None:
    cut_call(house, attempt, Cut.BEFORE)
    with pytest.raises(Unavailable):
        await attempt(house, visit, code)


async def dies_during_the_call(house: House, attempt: Attempt, visit: Visit, code: str) -> None:
    cut_call(house, attempt, Cut.AFTER)
    with pytest.raises(Unavailable):
        await attempt(house, visit, code)


async def dies_before_the_last_write(
    house: House, attempt: Attempt, visit: Visit, code: str
) -> None:
    with pytest.raises(Crash):
        await attempt(house.mortal(1, at_once=False), visit, code)


async def dies_before_it_answers(house: House, attempt: Attempt, visit: Visit, code: str) -> None:
    with pytest.raises(Crash):
        await attempt(house.mortal(2), visit, code)


HALF_DONE = [
    dies_after_the_mark,
    dies_before_the_call,
    dies_during_the_call,
    dies_before_the_last_write,
]
DEATHS = [*HALF_DONE, dies_before_it_answers]
Death = Callable[[House, Attempt, Visit, str], Awaitable[None]]


async def long_after(death: Death, house: House, attempt: Attempt, visit: Visit, code: str) -> None:
    """Let a process die, and wait until what it was changing can no longer be alive."""
    await death(house, attempt, visit, code)
    house.clock.turn(seconds=LIVE.total_seconds())


def cut_call(house: House, attempt: Attempt, where: Cut) -> None:
    """Break the one call of the change."""
    method, part = ("POST", "complete") if attempt is activate else ("DELETE", "authenticators")
    house.wire.cut(method, part, where)


async def ready_to_activate(house: House) -> tuple[Visitor, Visit, str]:
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    return ada, await ada.visit(), ada.otp()


async def ready_to_remove(house: House) -> tuple[Visitor, Visit, str]:
    ada = await (await house.visitor().join()).protect()
    await ada.reauthenticate()
    return ada, await ada.visit(), ""


async def consistent(house: House) -> bool:
    """Tell whether register and factor agree, and the register is clean, once all is swept."""
    house.clock.turn(minutes=2)
    await house.sweeps.repair_registers()
    house.clock.turn(minutes=2)
    await house.sweeps.collect_dead()
    left = await house.db.all(Statement(select(*dead_authenticators.c)))
    clean = (await house.user()).register_pending is None
    return (
        clean
        and not left
        and await house.registered() == await house.enrolled()
        and await house.registered("recovery_codes") == await house.code_sets()
    )


def standing(outcome: object) -> Standing:
    assert isinstance(outcome, Standing), outcome
    return outcome


# A crash after each step of an activation, and then …


@pytest.mark.parametrize("death", HALF_DONE)
async def test_after_a_crashed_activation_a_login_needs_no_second_factor(
    house: House, death: Death
) -> None:
    """What was half made is dead: the person never saw it succeed."""
    ada, visit, code = await ready_to_activate(house)
    await long_after(death, house, activate, visit, code)

    assert standing(await ada.elsewhere().log_in()).visit.authenticated
    assert await house.registered() == []
    assert await consistent(house)


async def test_after_an_unanswered_activation_a_login_needs_the_second_factor(
    house: House,
) -> None:
    """What was written down counts, whether or not the person was told."""
    ada, visit, code = await ready_to_activate(house)
    await dies_before_it_answers(house, activate, visit, code)
    other = ada.elsewhere()

    assert standing(await other.log_in()).visit.pending == "mfa_authenticate"
    house.clock.turn(seconds=30)
    assert standing(await other.authenticate(other.otp())).visit.authenticated
    assert await consistent(house)


@pytest.mark.parametrize("death", HALF_DONE)
async def test_after_a_crashed_activation_another_one_works(house: House, death: Death) -> None:
    """… with a new secret, and one authenticator is the outcome."""
    ada, visit, code = await ready_to_activate(house)
    await long_after(death, house, activate, visit, code)
    await ada.show_totp()

    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    assert len(await house.registered()) == 1
    assert await consistent(house)


async def test_after_an_unanswered_activation_there_is_one_already(house: House) -> None:
    ada, visit, code = await ready_to_activate(house)
    await dies_before_it_answers(house, activate, visit, code)

    assert faults_of(await ada.activate(code)) == ["incorrect_code"]
    shown = await ada.show_totp()
    assert isinstance(shown, Enrolled)
    assert await consistent(house)


@pytest.mark.parametrize("death", DEATHS)
async def test_after_a_crashed_activation_a_removal_works(house: House, death: Death) -> None:
    ada, visit, code = await ready_to_activate(house)
    await long_after(death, house, activate, visit, code)

    assert await ada.deactivate() == Removed()
    assert await house.registered() == []
    assert standing(await ada.elsewhere().log_in()).visit.authenticated
    assert await consistent(house)


@pytest.mark.parametrize("death", DEATHS)
async def test_after_a_crashed_activation_the_sweeps_set_it_right(
    house: House, death: Death
) -> None:
    _, visit, code = await ready_to_activate(house)
    await long_after(death, house, activate, visit, code)

    assert await consistent(house)


# A crash after each step of a removal, and then …


@pytest.mark.parametrize("death", DEATHS)
async def test_after_a_crashed_removal_a_login_needs_no_second_factor(
    house: House, death: Death
) -> None:
    """A removal that was begun is carried on."""
    ada, visit, code = await ready_to_remove(house)
    await long_after(death, house, deactivate, visit, code)

    assert standing(await ada.elsewhere().log_in()).visit.authenticated
    assert await house.registered() == await house.enrolled() == []
    assert await consistent(house)


@pytest.mark.parametrize("death", DEATHS)
async def test_after_a_crashed_removal_an_activation_works(house: House, death: Death) -> None:
    ada, visit, code = await ready_to_remove(house)
    await long_after(death, house, deactivate, visit, code)
    await ada.elsewhere().log_in()
    await ada.show_totp()

    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    assert len(await house.registered()) == 1
    assert await consistent(house)


@pytest.mark.parametrize("death", DEATHS)
async def test_after_a_crashed_removal_another_one_works(house: House, death: Death) -> None:
    ada, visit, code = await ready_to_remove(house)
    await long_after(death, house, deactivate, visit, code)

    assert await ada.deactivate() == Removed()
    assert await house.registered() == await house.enrolled() == []
    assert await consistent(house)


@pytest.mark.parametrize("death", DEATHS)
async def test_after_a_crashed_removal_the_sweeps_set_it_right(house: House, death: Death) -> None:
    _, visit, code = await ready_to_remove(house)
    await long_after(death, house, deactivate, visit, code)

    assert await consistent(house)
    assert await house.registered() == []


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("repaired_by", ["a login", "a sweep"])
async def test_after_a_crashed_removal_the_person_is_told_once(
    house: House, death: Death, repaired_by: str
) -> None:
    """The mail is part of the write that makes it true, whoever writes it in the end."""
    ada, visit, code = await ready_to_remove(house)
    await house.notices()
    await long_after(death, house, deactivate, visit, code)
    told = [] if death in HALF_DONE else [MailKind.AUTHENTICATOR_REMOVED]
    assert [mail.kind for mail in await house.notices()] == told

    if repaired_by == "a login":
        assert standing(await ada.elsewhere().log_in()).visit.authenticated
    else:
        await house.sweeps.repair_registers()
    assert await consistent(house)
    await ada.elsewhere().log_in()

    removed = [m for m in await house.notices() if m.kind is MailKind.AUTHENTICATOR_REMOVED]
    assert len(told) + len(removed) == 1
    for mail in removed:
        assert (mail.to, mail.facts["factor"]) == (ADA, "totp")


async def test_a_crashed_activation_tells_nobody_that_anything_was_removed(house: House) -> None:
    ada, visit, code = await ready_to_activate(house)
    await house.notices()
    await long_after(dies_before_the_last_write, house, activate, visit, code)

    assert standing(await ada.elsewhere().log_in()).visit.authenticated
    assert await consistent(house)
    assert await house.notices() == []


# A dirty register, and a factor that is away


@pytest.mark.parametrize("death", HALF_DONE)
async def test_nobody_gets_past_a_dirty_register_while_the_factor_is_away(
    house: House, death: Death
) -> None:
    """O4: neither a login nor the next step of one passes on a guess."""
    ada, visit, code = await ready_to_remove(house)
    waiting = ada.elsewhere()
    await waiting.log_in()
    await long_after(death, house, deactivate, visit, code)
    for attempt in (ada.elsewhere().log_in(), waiting.authenticate(waiting.otp())):
        house.clock.turn(seconds=LIVE.total_seconds())
        house.wire.cut("DELETE", "authenticators", Cut.BEFORE)
        assert await unavailable(attempt)

    assert (await house.user()).register_pending is not None


async def test_a_login_that_waits_ends_when_its_second_factor_goes(house: House) -> None:
    """O6: a removal changes the factor epoch, and with it ends the login."""
    ada, visit, code = await ready_to_remove(house)
    waiting = ada.elsewhere()
    await waiting.log_in()
    late = await waiting.visit()
    await deactivate(house, visit, code)

    refused = await house.flows.authenticate.authenticate(late, waiting.otp())
    assert not isinstance(refused, Standing)


async def test_a_factor_that_lost_its_data_turns_nobodys_second_factor_off(house: House) -> None:
    """O4: a repair takes out what was pending, and believes no factor that has nothing."""
    ada, _, code = await ready_to_activate(house)
    await ada.activate(code)
    account = await house.account()
    (registered,) = await house.registered()
    await house.totp.remove(account.id, registered)
    half_made = Pending(intent=Intent.ADD, type="totp", id="half-made")
    await house.store.write(house.store.mark_register(account, half_made, house.clock()))
    house.clock.turn(seconds=LIVE.total_seconds())

    assert standing(await ada.elsewhere().log_in()).visit.pending is Stage.MFA_AUTHENTICATE
    assert await house.registered() == [registered]


@pytest.mark.parametrize("ready", [ready_to_activate, ready_to_remove])
async def test_nobody_takes_over_a_change_that_may_be_alive(
    house: House, ready: Callable[[House], Awaitable[tuple[Visitor, Visit, str]]]
) -> None:
    """Whoever meets it is told to come again, as long as its factor may still be called."""
    ada, visit, code = await ready(house)
    await dies_after_the_mark(house, activate if code else deactivate, visit, code)
    marked = await house.user()
    asked = len(house.wire.requests)
    house.clock.turn(seconds=LIVE.total_seconds() - 0.001)

    assert await unavailable(ada.elsewhere().log_in())
    assert await unavailable(ada.deactivate())
    assert await house.user() == marked
    assert len(house.wire.requests) == asked
    house.clock.turn(seconds=0.001)
    assert standing(await ada.elsewhere().log_in()).visit.authenticated
    assert await consistent(house)


def test_a_change_may_be_alive_for_longer_than_its_factors_are_waited_for() -> None:
    """TOTP, and then the recovery codes that are made along."""
    assert LIVE >= 3 * TIMEOUT


async def test_sweeps_leave_alone_what_is_under_way(house: House) -> None:
    """A register is dirty during every change; only after a minute has somebody died."""
    _, visit, code = await ready_to_remove(house)
    await dies_after_the_mark(house, deactivate, visit, code)

    assert await house.sweeps.repair_registers() == 0
    house.clock.turn(minutes=1)
    assert await house.sweeps.repair_registers() == 1


async def test_a_sweep_asks_again_while_the_factor_is_away(house: House) -> None:
    """After one minute, two, four, up to an hour."""
    ada, visit, code = await ready_to_activate(house)
    await long_after(dies_during_the_call, house, activate, visit, code)
    await ada.elsewhere().log_in()
    waits = []
    for _ in range(9):
        house.wire.cut("DELETE", "authenticators", Cut.BEFORE)
        asked, minutes = len(house.wire.requests), 0
        while len(house.wire.requests) == asked:
            house.clock.turn(minutes=1)
            minutes += 1
            await house.sweeps.collect_dead()
        waits.append(minutes)
    house.clock.turn(hours=1)

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert await house.sweeps.collect_dead() == 1


async def test_a_sweep_looks_for_a_factor_that_is_not_configured_as_rarely(house: House) -> None:
    """As for one that is away; once it is back, it is asked."""
    ada, visit, code = await ready_to_activate(house)
    await long_after(dies_during_the_call, house, activate, visit, code)
    await ada.elsewhere().log_in()
    factors = {name: factor for name, factor in house.factors.items() if name != "totp"}
    sweeps = build_sweeps(house.db, ring=RING, factors=factors, clock=house.clock, policy=Policy())
    dead = dead_authenticators.c
    looks, waits = Statement(select(dead.attempts).where(dead.factor == "totp")), []
    for seen in range(9):
        minutes = 0
        while (await house.db.all(looks))[0].attempts == seen:
            house.clock.turn(minutes=1)
            minutes += 1
            await sweeps.collect_dead()
        waits.append(minutes)
    house.clock.turn(hours=1)

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert await house.sweeps.collect_dead() == 1


async def test_a_change_does_not_undo_what_was_written_since_it_was_read(house: House) -> None:
    """What is written clean comes from what was read: a use meanwhile would never have been."""
    ada, read, code = await ready_to_remove(house)
    elsewhere = ada.elsewhere()
    await elsewhere.log_in()
    house.clock.turn(minutes=1)
    assert standing(await elsewhere.authenticate(elsewhere.otp())).visit.authenticated
    used, asked = await house.user(), len(house.wire.requests)

    assert await unavailable(deactivate(house, read, code))
    assert await house.user() == used
    assert len(house.wire.requests) == asked
    assert isinstance(await ada.deactivate(), Removed)


async def test_a_sweep_does_not_stop_at_a_register_that_it_cannot_repair(house: House) -> None:
    _, visit, code = await ready_to_remove(house)
    await dies_after_the_mark(house, deactivate, visit, code)
    house.clock.turn(minutes=1)
    house.wire.cut("DELETE", "authenticators", Cut.BEFORE)

    assert await house.sweeps.repair_registers() == 0
    assert (await house.user()).register_pending is not None


# Races, over two processes of each service


@pytest.mark.parametrize("where", Cut)
async def test_a_login_during_an_activation_comes_again(house: House, where: Cut) -> None:
    """O4, O8: it neither passes by what is about to count, nor destroys it."""
    ada, visit, code = await ready_to_activate(house)
    held = house.wire.hold("POST", "complete", where)
    async with second_replica(house) as replica:
        activation = asyncio.create_task(activate(house, visit, code))
        await held.arrived.wait()
        other = ada.elsewhere(house=replica)
        assert await unavailable(other.log_in())
        held.go_on.set()
        assert isinstance(await activation, Enrolled)
        assert standing(await other.log_in()).visit.pending is Stage.MFA_AUTHENTICATE

    assert len(await house.registered()) == 1
    assert await consistent(house)


@pytest.mark.parametrize("where", Cut)
async def test_a_login_during_an_activation_that_takes_too_long(
    pg_house: House, where: Cut
) -> None:
    """The login takes the register over; the activation that comes too late does not count."""
    ada, visit, code = await ready_to_activate(pg_house)
    held = pg_house.wire.hold("POST", "complete", where)
    async with second_replica(pg_house) as replica:
        activation = asyncio.create_task(activate(pg_house, visit, code))
        await held.arrived.wait()
        pg_house.clock.turn(seconds=LIVE.total_seconds())
        other = ada.elsewhere(house=replica)
        assert standing(await other.log_in()).visit.authenticated
        held.go_on.set()
        # Its authenticator was removed under it (then the code is refused), or made after that.
        with suppress(Unavailable):
            assert faults_of(await activation) == ["incorrect_code"]

    assert await pg_house.registered() == []
    assert await consistent(pg_house)


async def test_of_two_activations_one_counts(pg_house: House) -> None:
    """Two sessions, two secrets, one account: one authenticator is the outcome."""
    ada, visit, code = await ready_to_activate(pg_house)
    async with second_replica(pg_house) as replica:
        other = ada.elsewhere(house=replica)
        await other.log_in()
        await other.reauthenticate()
        await other.show_totp()
        outcomes = await asyncio.gather(
            activate(pg_house, visit, code),
            activate(replica, await other.visit(), other.otp()),
            return_exceptions=True,
        )

    assert sum(isinstance(outcome, Enrolled) for outcome in outcomes) == 1
    assert all(isinstance(o, Enrolled | Refused | Unavailable) for o in outcomes)
    assert len(await pg_house.registered()) == 1
    assert await consistent(pg_house)


def is_double(outcome: object) -> bool:
    """Tell whether the second of two equal activations was answered so."""
    return isinstance(outcome, Unavailable) or (
        isinstance(outcome, Refused) and faults_of(outcome) == ["incorrect_code"]
    )


@pytest.mark.parametrize("requests", [2, 6])
async def test_one_activation_asked_for_at_once_makes_one_authenticator(
    house: House, requests: int
) -> None:
    """T4: a button that was pressed twice; no right code is counted as a failure."""
    ada, _, code = await ready_to_activate(house)
    async with second_replica(house) as replica:
        doors = [ada.elsewhere(house=(house, replica)[n % 2]) for n in range(requests)]
        for door in doors:
            door.token = ada.token
        outcomes = await asyncio.gather(
            *(door.activate(code) for door in doors), return_exceptions=True
        )

    done = [outcome for outcome in outcomes if isinstance(outcome, Enrolled)]
    assert len(done) == 1
    assert all(is_double(outcome) for outcome in outcomes if outcome not in done)
    assert len(await house.registered()) == 1
    assert "second_factor_failed" not in await house.events()
    assert await consistent(house)


@pytest.mark.parametrize("where", Cut)
async def test_an_activation_is_not_lost_to_its_double(house: House, where: Cut) -> None:
    """The second request finds the first at the factor: it comes again, and destroys nothing."""
    ada, visit, code = await ready_to_activate(house)
    held = house.wire.hold("POST", "complete", where)
    async with second_replica(house) as replica:
        first = asyncio.create_task(activate(house, visit, code))
        await held.arrived.wait()
        double = ada.elsewhere(house=replica)
        double.token = ada.token
        assert await unavailable(double.activate(code))
        assert (await house.user()).mfa_failures == 0
        held.go_on.set()
        assert isinstance(await first, Enrolled)
        assert faults_of(await double.activate(code)) == ["incorrect_code"]

    assert len(await house.registered()) == 1
    assert "second_factor_failed" not in await house.events()
    assert await consistent(house)


async def logs_out(_: House, ada: Visitor) -> None:
    await ada.log_out()


async def loses_all_sessions(house: House, _: Visitor) -> None:
    await change_user(house, session_epoch=99)


async def is_disabled(house: House, _: Visitor) -> None:
    await change_user(house, disabled_at=1)


@pytest.mark.parametrize("ends", [logs_out, loses_all_sessions, is_disabled])
@pytest.mark.parametrize("where", Cut)
async def test_an_activation_does_not_outlive_its_session(
    house: House, ends: Callable[[House, Visitor], Awaitable[None]], where: Cut
) -> None:
    """N3, O6: whoever is thrown out leaves no second factor of their own behind."""
    ada, visit, code = await ready_to_activate(house)
    held = house.wire.hold("POST", "complete", where)
    activation = asyncio.create_task(activate(house, visit, code))
    await held.arrived.wait()
    await ends(house, ada)
    held.go_on.set()

    assert await unavailable(activation)
    assert await house.registered() == []
    assert "authenticator_added" not in await house.events()
    assert await consistent(house)


async def test_two_removals_end_in_one(pg_house: House) -> None:
    _, visit, code = await ready_to_remove(pg_house)
    async with second_replica(pg_house) as replica:
        outcomes = await asyncio.gather(
            *(deactivate(house, visit, code) for house in (pg_house, replica) * 3),
            return_exceptions=True,
        )

    assert Removed() in outcomes
    assert all(o == Removed() or isinstance(o, Unavailable) for o in outcomes)
    assert await pg_house.registered() == await pg_house.enrolled() == []
    assert await consistent(pg_house)


@pytest.mark.parametrize("where", Cut)
async def test_a_removal_that_was_overtaken_by_a_login_succeeds(
    pg_house: House, where: Cut
) -> None:
    """The login carried the removal on: gone is gone."""
    ada, visit, code = await ready_to_remove(pg_house)
    held = pg_house.wire.hold("DELETE", "authenticators", where)
    async with second_replica(pg_house) as replica:
        removal = asyncio.create_task(deactivate(pg_house, visit, code))
        await held.arrived.wait()
        pg_house.clock.turn(seconds=LIVE.total_seconds())
        assert standing(await ada.elsewhere(house=replica).log_in()).visit.authenticated
        held.go_on.set()
        assert await removal == Removed()

    assert await consistent(pg_house)


async def test_logins_and_changes_at_once_leave_everything_in_agreement(pg_house: House) -> None:
    ada = await (await pg_house.visitor().join()).protect()
    await ada.reauthenticate()

    async def change() -> None:
        for _ in range(3):
            with suppress(Unavailable):
                await ada.deactivate()
            with suppress(Unavailable):
                await ada.show_totp()
                await ada.activate(ada.otp())

    async def log_in(house: House) -> None:
        for _ in range(5):
            with suppress(Unavailable):
                await ada.elsewhere(house=house).log_in()

    async with second_replica(pg_house) as replica:
        await asyncio.gather(change(), *(log_in(house) for house in (pg_house, replica)))

    assert await consistent(pg_house)
    assert len(await pg_house.registered()) <= 1


async def to_activate(house: House) -> Act:
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    return lambda: ada.activate(ada.otp())


async def to_deactivate(house: House) -> Act:
    ada = await (await house.visitor().join()).protect()
    await ada.reauthenticate()
    return ada.deactivate


async def to_generate(house: House) -> Act:
    ada = await (await house.visitor().join()).protect()
    await ada.reauthenticate()
    return ada.generate_codes


async def to_add_a_key(house: House) -> Act:
    ada = await house.visitor().join()
    await ada.reauthenticate()
    made = Device().create(await options(ada))
    return lambda: add(ada, made)


async def to_remove_a_key(house: House) -> Act:
    ada = await house.visitor().join()
    key = await add_key(ada, Device())
    return lambda: remove(ada, key)


async def to_rename_a_key(house: House) -> Act:
    ada = await house.visitor().join()
    key = await add_key(ada, Device())
    return lambda: rename(ada, key, "New")


PREPARED = [
    to_activate,
    to_deactivate,
    to_generate,
    to_add_a_key,
    to_remove_a_key,
    to_rename_a_key,
]


@pytest.mark.parametrize("prepare", PREPARED)
async def test_a_proof_has_to_be_fresh_when_the_register_is_settled(
    house: House, prepare: Callable[[House], Awaitable[Act]]
) -> None:
    """O3: a repair may take its time, and what it leaves may ask for another proof."""
    act = await prepare(house)
    change = Pending(intent=Intent.ADD, type="totp", id="crashed")
    marked = house.store.mark_register(await house.account(), change, house.clock())
    assert await house.store.write(marked) is not None
    house.clock.turn(seconds=LIVE.total_seconds())
    before = (await house.account()).register.entries
    held = house.wire.hold("DELETE", "crashed", Cut.AFTER)
    doing = asyncio.create_task(act())
    await held.arrived.wait()
    house.clock.turn(minutes=6)
    held.go_on.set()

    assert isinstance(await doing, ReauthenticationNeeded)

    assert (await house.account()).register.entries == before
