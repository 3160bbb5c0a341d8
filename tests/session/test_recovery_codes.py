"""Recovery codes in the register: made along, shown, made anew, and gone with the last factor."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from services.session.domain.mails import MailKind
from services.session.flows import Policy, build_erasing
from services.session.flows.outcomes import (
    Absent,
    Authenticators,
    Codes,
    Enrolled,
    Gone,
    LoginNeeded,
    ReauthenticationNeeded,
    Removed,
    StageNeeded,
)
from services.session.flows.register import LIVE
from services.session.store.tables import keepers
from shared.database import Statement
from shared.errors import Conflict, Unavailable
from shared.factor import FactorClient
from tests.session.house import (
    ADA,
    Crash,
    Cut,
    House,
    Urls,
    Visitor,
    faults_of,
    open_house,
    second_replica,
    unavailable,
)
from tests.session.recovering import (
    DEAD,
    agrees,
    facts,
    gets_in,
    pending,
    rewrite,
    with_codes,
)
from tests.session.test_flows_delete import Ledger
from tests.session.test_flows_operate import operating

KEEPERS = Statement(select(keepers.c.factor).order_by(keepers.c.factor))
ONLY_TOTP = Policy(authenticators=("totp",))


async def ready_to_activate(house: House) -> Visitor:
    """Return somebody whose next step is to turn TOTP on."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    return ada


# Made along


async def test_the_first_factor_brings_codes_along(house: House) -> None:
    """One register write, one epoch, and no mail of their own."""
    ada = await ready_to_activate(house)
    before = await house.user()
    await house.notices()

    activated = await ada.activate(ada.otp())

    assert isinstance(activated, Enrolled)
    assert (activated.entry.type, activated.codes_generated) == ("totp", True)
    assert len(await house.registered("recovery_codes")) == 1
    assert await house.code_sets() == await house.registered("recovery_codes")
    assert (await house.user()).factor_epoch == before.factor_epoch + 1
    assert (await house.events())[-2:] == ["authenticator_added"] * 2
    (told,) = await house.notices()
    assert (told.kind, told.facts["factor"]) == (MailKind.AUTHENTICATOR_ADDED, "totp")
    assert [row.factor for row in await house.db.all(KEEPERS)] == ["recovery", "totp"]


@pytest.mark.parametrize("where", Cut)
async def test_without_recovery_the_activation_succeeds_without_codes(
    house: House, where: Cut
) -> None:
    """Whatever was made all the same is removed there, and its id is not used again."""
    ada = await ready_to_activate(house)
    house.wires["recovery"].cut("POST", "complete", where)

    activated = await ada.activate(ada.otp())

    assert isinstance(activated, Enrolled)
    assert activated.codes_generated is False
    assert await house.registered("recovery_codes") == []
    given_up = await house.code_sets()
    assert len(given_up) == (1 if where is Cut.AFTER else 0)
    assert (await house.user()).register_pending is None
    generated = await ada.generate_codes()
    assert isinstance(generated, Codes)
    assert generated.entry.id not in given_up
    assert await agrees(house)
    assert await house.code_sets() == [generated.entry.id]


async def test_a_wrong_code_at_the_activation_makes_no_codes(house: House) -> None:
    ada = await ready_to_activate(house)

    assert faults_of(await ada.activate(ada.wrong_otp())) == ["incorrect_code"]
    assert house.wires["recovery"].requests == []
    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    assert await agrees(house)


async def test_an_activation_that_does_not_come_to_count_leaves_no_codes(house: House) -> None:
    """N3: its session ended; what both factors made is left to the sweep."""
    ada = await ready_to_activate(house)
    held = house.wires["recovery"].hold("POST", "complete", Cut.AFTER)
    activation = asyncio.create_task(ada.activate(ada.otp()))
    await held.arrived.wait()
    await ada.log_out()
    held.go_on.set()

    assert await unavailable(activation)
    assert len(await house.code_sets()) == len(await house.enrolled()) == 1
    assert (await house.events())[-2:] == ["activation_abandoned"] * 2
    assert await agrees(house)
    assert await house.code_sets() == await house.enrolled() == []


@pytest.mark.parametrize("where", Cut)
async def test_an_activation_that_dies_while_codes_are_made_counts_in_nothing(
    house: House, where: Cut
) -> None:
    """O4: neither TOTP nor the codes; and the person may do it over."""
    ada = await ready_to_activate(house)
    held = house.wires["recovery"].hold("POST", "complete", where)
    activation = asyncio.create_task(ada.activate(ada.otp()))
    await held.arrived.wait()
    activation.cancel()
    await asyncio.wait([activation])
    assert await unavailable(ada.elsewhere().log_in())
    house.clock.turn(seconds=LIVE.total_seconds())

    await ada.show_totp()
    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    assert len(await house.registered("recovery_codes")) == 1
    assert await agrees(house)


async def test_who_has_codes_already_gets_no_others(house: House) -> None:
    """With a factor of another kind, which they came with."""
    ada = await with_codes(house)
    kept = await house.registered("recovery_codes")
    await rewrite(house, lambda entry: {**entry, "type": entry["type"].replace("totp", "key")})
    await ada.show_totp()

    activated = await ada.activate(ada.otp())

    assert isinstance(activated, Enrolled)
    assert activated.codes_generated is False
    assert await house.registered("recovery_codes") == await house.code_sets() == kept


async def test_where_codes_are_not_offered_none_are_made(house: House) -> None:
    house = house.under(ONLY_TOTP)
    ada = await ready_to_activate(house)

    activated = await ada.activate(ada.otp())

    assert isinstance(activated, Enrolled)
    assert activated.codes_generated is False
    assert house.wires["recovery"].requests == []
    assert await house.registered("recovery_codes") == []


# Shown


async def test_the_unused_codes_are_shown_and_no_others(house: House) -> None:
    ada = await with_codes(house)
    first, *others = ada.codes
    assert len(set(ada.codes)) == 10
    await ada.reauthenticate_by_code(first)

    shown = await ada.show_codes()

    assert isinstance(shown, Codes)
    assert shown.codes == tuple(others)
    assert shown.text is not None
    assert all(code in shown.text.splitlines() for code in others)
    assert first not in shown.text
    assert f"{ADA} at localhost" in shown.text


async def test_codes_are_not_shown_to_somebody_who_left_the_session_open(house: House) -> None:
    """N6."""
    ada = await with_codes(house)
    house.clock.turn(minutes=5)

    assert isinstance(await ada.show_codes(), ReauthenticationNeeded)
    assert isinstance(await ada.generate_codes(), ReauthenticationNeeded)
    assert isinstance(await house.visitor().show_codes(), LoginNeeded)
    assert isinstance(await house.visitor().generate_codes(), LoginNeeded)
    other = await pending(ada)
    assert isinstance(await other.show_codes(), LoginNeeded)


async def test_without_codes_nothing_has_to_be_proved_to_learn_that(house: House) -> None:
    ada = await house.visitor().join()

    assert await ada.show_codes() == Absent()


async def test_codes_that_are_shown_once_are_not_shown_twice(urls: Urls) -> None:
    """R3: not those that were made along, nor those that were made anew."""
    async with open_house(urls, mfa_recovery_codes_show_once=True) as house:
        ada = await with_codes(house)
        assert len(ada.codes) == 10
        again = await ada.show_codes()
        assert isinstance(again, Codes)
        assert (again.codes, again.text) == (None, None)

        generated = await ada.generate_codes()
        assert isinstance(generated, Codes)
        assert generated.codes is not None
        seen = await ada.show_codes()
        assert isinstance(seen, Codes)
        assert seen.codes is None
        assert await gets_in(ada, generated.codes[0])


async def test_the_register_learns_what_it_has_missed_when_codes_are_shown(house: House) -> None:
    """A code was spent, and the answer lost: the list is wrong until the factor is asked again."""
    ada = await with_codes(house)
    house.wires["recovery"].cut("POST", "verifications", Cut.AFTER)
    other = await pending(ada)
    assert await unavailable(other.authenticate(ada.codes[0]))
    assert (await facts(house))["unused"] == 10

    shown = await ada.show_codes()

    assert isinstance(shown, Codes)
    assert shown.entry.facts["unused"] == (await facts(house))["unused"] == 9
    before = await house.user()
    await ada.show_codes()
    assert await house.user() == before


async def test_a_refresh_gives_way_to_what_was_written_meanwhile(house: House) -> None:
    ada = await with_codes(house)
    house.wires["recovery"].cut("POST", "verifications", Cut.AFTER)
    assert await unavailable((await pending(ada)).authenticate(ada.codes[0]))
    held = house.wires["recovery"].hold("POST", "reveal", Cut.AFTER)
    showing = asyncio.create_task(ada.show_codes())
    await held.arrived.wait()
    assert await gets_in(ada, ada.codes[1])
    held.go_on.set()

    assert isinstance(await showing, Codes)
    assert (await facts(house))["unused"] == 8


async def test_codes_that_recovery_has_lost_are_told_to_be_none(house: House) -> None:
    """They stay in the register, as everything does that its factor has lost."""
    ada = await with_codes(house)
    user_id = (await house.user()).id
    (lost,) = await house.code_sets()
    await house.recovery.remove(user_id, lost)

    shown = await ada.show_codes()

    assert isinstance(shown, Codes)
    assert (shown.codes, shown.entry.facts["unused"], shown.entry.facts["low"]) == (None, 0, True)
    assert await house.registered("recovery_codes") == [lost]
    assert isinstance(await ada.generate_codes(), Codes)
    assert await agrees(house)


# Made anew


async def test_a_new_set_replaces_the_old_one_in_one_write(house: House) -> None:
    """R4, R6: the old codes are dead with that write, logins under way end, and a mail tells."""
    ada = await with_codes(house)
    old, (old_set,) = ada.codes, await house.registered("recovery_codes")
    waiting = await pending(ada)
    epoch = (await house.user()).factor_epoch

    generated = await ada.generate_codes()

    assert isinstance(generated, Codes)
    assert generated.codes is not None
    assert not set(generated.codes) & set(old)
    assert await house.registered("recovery_codes") == [generated.entry.id] != [old_set]
    assert (await house.user()).factor_epoch == epoch + 1
    event = (await house.event_rows())[-1]
    assert event.type == "mfa.session.authenticator_replaced"
    assert json.loads(event.data) == {
        "factor": "recovery_codes",
        "authenticator_id": generated.entry.id,
        "replaced": [old_set],
    }
    assert MailKind.RECOVERY_CODES_GENERATED in [mail.kind for mail in await house.notices()]
    with pytest.raises(Gone):
        await waiting.visit()
    assert not await gets_in(ada, old[0])
    assert await gets_in(ada, generated.codes[0])
    assert await agrees(house)


async def test_codes_are_not_made_without_another_factor(house: House) -> None:
    """R5: and that is said before any proof is asked for."""
    ada = await house.visitor().join()

    assert faults_of(await ada.generate_codes()) == ["cannot_generate_recovery_codes"]
    assert house.wires["recovery"].requests == []


@pytest.mark.parametrize("where", Cut)
async def test_while_recovery_is_away_the_old_codes_stay(house: House, where: Cut) -> None:
    """O4: the change is given back at once, so that no login waits for it."""
    ada = await with_codes(house)
    kept = await house.registered("recovery_codes")
    house.wires["recovery"].cut("POST", "complete", where)

    assert await unavailable(ada.generate_codes())

    assert (await house.user()).register_pending is None
    assert await house.registered("recovery_codes") == kept
    assert MailKind.RECOVERY_CODES_GENERATED not in [m.kind for m in await house.notices()]
    assert await gets_in(ada, ada.codes[0])
    assert await gets_in(ada, ada.otp())
    assert await agrees(house)
    assert await house.code_sets() == kept


# The steps are: mark the register, call recovery, write the register clean.


async def dies_after_the_mark(house: House, ada: Visitor) -> None:
    with pytest.raises(Crash):
        await house.mortal(1).flows.recovery_codes.generate(await ada.visit())


async def dies_during_the_call(house: House, ada: Visitor) -> None:
    held = house.wires["recovery"].hold("POST", "complete", Cut.AFTER)
    generating = asyncio.create_task(ada.generate_codes())
    await held.arrived.wait()
    generating.cancel()
    await asyncio.wait([generating])


async def dies_before_the_last_write(house: House, ada: Visitor) -> None:
    with pytest.raises(Crash):
        await house.mortal(1, at_once=False).flows.recovery_codes.generate(await ada.visit())


Death = Callable[[House, Visitor], Awaitable[None]]
DEATHS = [dies_after_the_mark, dies_during_the_call, dies_before_the_last_write]


@pytest.mark.parametrize("death", DEATHS)
async def test_codes_that_were_half_made_never_count(house: House, death: Death) -> None:
    """The old ones do, and no login waits for recovery to undo it: it may even be away."""
    ada = await with_codes(house)
    kept = await house.registered("recovery_codes")
    await death(house, ada)
    house.clock.turn(seconds=LIVE.total_seconds() - 1)
    assert await unavailable(ada.elsewhere().log_in())
    house.clock.turn(seconds=1)
    house.wires["recovery"].break_down()

    assert await gets_in(ada, ada.otp())

    house.wires["recovery"].restore()
    assert await house.registered("recovery_codes") == kept
    assert await gets_in(ada, ada.codes[0])
    assert isinstance(await (await reauthenticated(ada)).generate_codes(), Codes)
    assert await agrees(house)


async def reauthenticated(ada: Visitor) -> Visitor:
    await ada.reauthenticate()
    return ada


async def test_after_an_unanswered_renewal_the_new_codes_count(house: House) -> None:
    ada = await with_codes(house)
    with pytest.raises(Crash):
        await house.mortal(2).flows.recovery_codes.generate(await ada.visit())

    assert not await gets_in(ada, ada.codes[0])
    shown = await ada.show_codes()
    assert isinstance(shown, Codes)
    assert shown.codes is not None
    assert await gets_in(ada, shown.codes[0])
    assert await agrees(house)


async def test_a_renewal_does_not_outlive_its_session(house: House) -> None:
    """N3: whoever is thrown out does not leave with the only codes that are good."""
    ada = await with_codes(house)
    kept = await house.registered("recovery_codes")
    held = house.wires["recovery"].hold("POST", "complete", Cut.AFTER)
    generating = asyncio.create_task(ada.generate_codes())
    await held.arrived.wait()
    await ada.log_out()
    held.go_on.set()

    assert await unavailable(generating)
    assert await house.registered("recovery_codes") == kept
    assert await agrees(house)


async def test_two_renewals_at_once_leave_one_set(pg_house: House) -> None:
    """R4: over two processes of each service."""
    ada = await with_codes(pg_house)
    async with second_replica(pg_house) as replica:
        other = ada.elsewhere(house=replica)
        await other.log_in()
        await other.authenticate(other.otp())
        await other.reauthenticate()
        outcomes = await asyncio.gather(
            *(door.generate_codes() for door in (ada, other) * 3), return_exceptions=True
        )

        made = [outcome for outcome in outcomes if isinstance(outcome, Codes)]
        assert made
        assert all(isinstance(outcome, Codes | Unavailable) for outcome in outcomes)
        (registered,) = await pg_house.registered("recovery_codes")
        for outcome in made:
            assert outcome.codes is not None
            good = await gets_in(ada, outcome.codes[0])
            assert good is (outcome.entry.id == registered)
    assert await agrees(pg_house)


# Gone


async def test_codes_go_with_the_last_real_factor_and_do_not_come_back(house: House) -> None:
    """R5: in the same write; a new enrolment has new ones."""
    ada = await with_codes(house)
    old = ada.codes

    assert await ada.deactivate() == Removed()

    assert await house.registered("recovery_codes") == []
    assert (await house.events())[-2:] == ["authenticator_removed"] * 2
    (told,) = await house.notices()
    assert (told.kind, told.facts["factor"]) == (MailKind.AUTHENTICATOR_REMOVED, "totp")
    (dead,) = await house.db.all(DEAD)
    assert dead.factor == "recovery"
    assert await ada.show_codes() == Absent()
    assert await house.sweeps.collect_dead() == 1
    assert await house.code_sets() == []

    await ada.protect()
    assert not await gets_in(ada, old[0])
    await ada.reauthenticate()
    await ada.show_codes()
    assert not set(ada.codes) & set(old)
    assert await gets_in(ada, ada.codes[0])
    assert await agrees(house)


async def test_the_last_factor_goes_while_recovery_is_away(house: House) -> None:
    """The codes are dead all the same, and are removed when it is back."""
    ada = await with_codes(house)
    house.wires["recovery"].break_down()

    assert await ada.deactivate() == Removed()
    await house.sweeps.collect_dead()
    house.wires["recovery"].restore()
    assert len(await house.code_sets()) == 1
    await ada.protect()
    assert not await gets_in(ada, ada.codes[0])
    house.clock.turn(minutes=2)
    assert await house.sweeps.collect_dead() == 1
    assert await agrees(house)


async def test_an_operators_reset_takes_the_codes_too(house: House) -> None:
    """And what is enrolled after that, in the same session, is something else."""
    ada = await with_codes(house)
    await operating(house).reset_mfa(ADA)
    assert await house.registered() == await house.registered("recovery_codes") == []

    await ada.show_totp()
    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    house.clock.turn(seconds=30)
    assert not await gets_in(ada, ada.codes[0])
    assert await house.sweeps.collect_dead() == 2
    assert await agrees(house)
    assert await gets_in(ada, ada.otp())


async def test_a_person_who_leaves_is_forgotten_by_recovery(house: House) -> None:
    ada = await with_codes(house)
    await house.flows.delete.delete(await ada.visit())
    erasing = build_erasing(
        house.db, factors=house.factors, ledger=Ledger(), clock=house.clock, policy=Policy()
    )

    assert await erasing.erase_due() == 1
    assert await house.code_sets() == await house.enrolled() == []


class Refusing(FactorClient):
    """A factor that makes no sense of what it is asked."""

    def __init__(self) -> None:
        pass

    async def remove(self, user_id: str, authenticator_id: str) -> None:
        raise Conflict("no")


async def test_a_sweep_goes_on_after_a_factor_that_refuses(house: House) -> None:
    """It is asked again later, and holds nobody up."""
    await with_codes(house)
    await operating(house).reset_mfa(ADA)
    recovery, house.factors["recovery"] = house.recovery, Refusing()

    assert await house.sweeps.collect_dead() == 1
    assert [row.factor for row in await house.db.all(DEAD)] == ["recovery"]
    house.factors["recovery"] = recovery
    assert await agrees(house)


# Offered no more


async def test_codes_that_are_not_offered_any_more_are_left_alone(house: House) -> None:
    """They are neither listed nor asked for, and go with the last real factor all the same."""
    ada = await with_codes(house)
    asked_before = len(house.wires["recovery"].requests)
    without = replace(ada, house=house.under(ONLY_TOTP))

    listed = await without.authenticators()
    assert isinstance(listed, Authenticators)
    assert [entry.type for entry in listed.entries] == ["totp"]
    assert (await without.visit()).types == ("totp",)
    other = await pending(replace(ada, house=without.house))
    assert faults_of(await other.authenticate(ada.codes[0])) == ["incorrect_code"]
    assert await gets_in(without, ada.otp())
    assert len(house.wires["recovery"].requests) == asked_before

    assert await gets_in(ada, ada.codes[0])
    assert await without.deactivate() == Removed()
    assert await house.registered("recovery_codes") == []
    assert await agrees(house)


async def test_a_login_that_waits_ends_with_a_renewal(house: House) -> None:
    """O6: also if it had been recognised before."""
    ada = await with_codes(house)
    late = await (await pending(ada)).visit()
    await ada.generate_codes()

    refused = await house.flows.authenticate.authenticate(late, ada.otp())
    assert isinstance(refused, StageNeeded)
