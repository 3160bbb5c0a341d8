"""A code that is typed: whom it is for is told by its form, and every attempt counts once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from services.session.domain.mails import MailKind
from services.session.flows import Policy
from services.session.flows.outcomes import Codes, Outcome, Refused, Standing
from shared.database import Change, Database, Row, Step
from shared.event import Event
from tests.session.house import (
    ADA,
    Cut,
    House,
    Urls,
    Visitor,
    counted,
    faults_of,
    kinds,
    make_flows,
    open_house,
    second_replica,
    unavailable,
)
from tests.session.keys import add_key, answer, ask
from tests.session.recovering import WRONG, agrees, facts, gets_in, pending, rewrite, with_codes
from tests.webauthn.authenticator import Device

EIGHT_DIGITS = 8  # of the codes of both


def asked(house: House) -> dict[str, int]:
    """Return how many codes each factor has judged so far, if it was asked at all."""
    return {
        service: sum("verifications" in request for request in wire.requests)
        for service, wire in house.wires.items()
        if service in {"totp", "recovery"}
    }


# In place of TOTP


async def test_a_recovery_code_completes_a_login(house: House) -> None:
    """R1, R6: it is told how, what is left is noted, and the owner learns of it by mail."""
    ada = await with_codes(house)
    other = await pending(ada)
    before = asked(house)

    done = await other.authenticate(ada.codes[0])

    assert isinstance(done, Standing)
    assert kinds(done) == ["password", "mfa"]
    assert done.visit.session is not None
    method = done.visit.session.methods[-1]
    (set_id,) = await house.registered("recovery_codes")
    assert (method.type, method.id, method.amr) == ("recovery_codes", set_id, ("otp",))
    assert await facts(house) == {
        "code_form": "digits:8",
        "total": 10,
        "unused": 9,
        "low": False,
        "confirmed": True,
    }
    entry = (await house.account()).register.find(set_id)
    assert entry is not None
    assert entry.last_used_at == house.clock()
    (mail,) = [m for m in await house.notices() if m.kind is MailKind.RECOVERY_CODE_USED]
    assert (mail.to, mail.facts["left"]) == (ADA, "9")
    assert asked(house) == {**before, "recovery": before["recovery"] + 1}
    assert await agrees(house)


async def test_a_recovery_code_is_good_once(house: House) -> None:
    """R1: in whatever place."""
    ada = await with_codes(house)
    assert await gets_in(ada, ada.codes[0])

    assert not await gets_in(ada, ada.codes[0])
    assert faults_of(await ada.reauthenticate_by_code(ada.codes[0])) == ["incorrect_code"]
    assert isinstance(await ada.reauthenticate_by_code(ada.codes[1]), Standing)
    assert not await gets_in(ada, ada.codes[1])
    assert (await facts(house))["unused"] == 8


@pytest.mark.parametrize("separator", [" ", "-", "  ", "\u2013"])
async def test_a_code_is_good_however_it_is_grouped(house: House, separator: str) -> None:
    ada = await with_codes(house)
    code = ada.codes[0]

    assert await gets_in(ada, f" {code[:4]}{separator}{code[4:]} ")


async def test_letters_are_good_in_whatever_case(urls: Urls) -> None:
    """R2: 80 bits, grouped for reading."""
    async with open_house(urls, mfa_recovery_code_format="base32:16") as house:
        ada = await with_codes(house)
        assert all(len(code) == 19 and code.count("-") == 3 for code in ada.codes)

        assert await gets_in(ada, ada.codes[0].lower().replace("-", " "))
        assert await gets_in(ada, ada.codes[1].replace("-", ""))
        assert await gets_in(ada, ada.otp())


# By its form


async def test_the_form_tells_whom_a_code_is_for(house: House) -> None:
    """What is of no form that the person has is a failure, and nobody is asked."""
    ada = await with_codes(house)
    other = await pending(ada)
    before = asked(house)

    for wrong in (ada.wrong_otp(), WRONG, "1234567", "x" * 8, ""):
        assert faults_of(await other.authenticate(wrong)) == ["incorrect_code"]

    assert asked(house) == {name: count + 1 for name, count in before.items()}
    assert (await house.user()).mfa_failures == 5


async def test_where_forms_coincide_all_are_asked_and_one_attempt_counted(urls: Urls) -> None:
    """R7: TOTP first; and a right code of the second is no failure."""
    async with open_house(urls, digits=EIGHT_DIGITS) as house:
        ada = await with_codes(house)
        other = await pending(ada)
        before = asked(house)

        assert faults_of(await other.authenticate(ada.wrong_otp())) == ["incorrect_code"]

        assert asked(house) == {name: count + 1 for name, count in before.items()}
        assert (await house.user()).mfa_failures == 1
        assert (await house.events()).count("second_factor_failed") == 1
        done = await other.authenticate(ada.codes[0])
        assert isinstance(done, Standing)
        assert (await house.user()).mfa_failures == 0
        assert (await house.events()).count("second_factor_failed") == 1
        assert await gets_in(ada, ada.otp())


@pytest.mark.parametrize("said", ["nothing", "nonsense", "half"])
async def test_a_factor_of_which_no_form_is_known_is_asked_about_everything(
    house: House, said: str
) -> None:
    """As those are that were enrolled before forms were told."""
    ada = await with_codes(house)
    forms = {"nothing": {}, "nonsense": {"code_form": 8}, "half": {"code_form": "digits"}}
    await rewrite(house, lambda entry: {**entry, "facts": forms[said]})
    before = asked(house)

    assert await gets_in(ada, ada.codes[0])
    assert await gets_in(ada, ada.otp())

    assert asked(house) == {"totp": before["totp"] + 2, "recovery": before["recovery"] + 1}


def of_totp(ada: Visitor) -> str:
    return ada.wrong_otp()


def of_recovery(_: Visitor) -> str:
    return WRONG


def spent(ada: Visitor) -> str:
    return ada.codes[0]


def of_nobody(_: Visitor) -> str:
    return "BCDF"


@pytest.mark.parametrize("wrong", [of_totp, of_recovery, spent, of_nobody])
async def test_no_answer_tells_what_a_code_was_taken_for(
    house: House, wrong: Callable[[Visitor], str]
) -> None:
    ada = await with_codes(house)
    assert await gets_in(ada, ada.codes[0])
    other = await pending(ada)

    refused = await other.authenticate(wrong(ada))

    assert isinstance(refused, Refused)
    (fault,) = refused.faults
    assert (fault.code, fault.param, fault.message) == ("incorrect_code", "code", "Incorrect code.")
    assert (await house.user()).mfa_failures == 1


# Limits


async def test_guesses_at_all_kinds_share_one_limit(house: House) -> None:
    """R7, L3: and beyond it no right code is spent."""
    ada = await with_codes(house)
    other = await pending(ada)
    for number in range(5):
        wrong = WRONG if number % 2 else ada.wrong_otp(number)
        assert faults_of(await other.authenticate(wrong)) == ["incorrect_code"]
    before = asked(house)

    for code in (ada.codes[0], ada.otp(), WRONG):
        assert faults_of(await other.authenticate(code)) == ["too_many_login_attempts"]

    assert asked(house) == before
    house.clock.turn(minutes=5)
    assert await gets_in(ada, ada.codes[0])


async def test_parallel_guesses_reveal_no_more_than_the_limit(pg_house: House) -> None:
    """R7, L2: over two processes of each service."""
    ada = await with_codes(pg_house)
    async with second_replica(pg_house) as replica:
        doors = [await pending(ada) for _ in range(2)]
        doors[1].house = replica
        guesses = [f"{number:08}" for number in range(100, 112)]
        outcomes = await asyncio.gather(
            *(doors[n % 2].authenticate(guess) for n, guess in enumerate(guesses))
        )

    told = [faults_of(outcome) for outcome in outcomes]
    assert told.count(["incorrect_code"]) == 5
    assert told.count(["too_many_login_attempts"]) == 7


# Two at once, over two processes of each service


async def test_of_two_parallel_uses_of_a_code_one_wins(pg_house: House) -> None:
    """R1."""
    ada = await with_codes(pg_house)
    async with second_replica(pg_house) as replica:
        for code in ada.codes[:4]:
            # Failures of two rounds on end are within the limit, in whichever order.
            doors = [await pending(ada) for _ in range(3)]
            for door in doors[1:]:
                door.house = replica
            outcomes = await asyncio.gather(*(door.authenticate(code) for door in doors))
            passed = [o for o in outcomes if isinstance(o, Standing)]
            assert len(passed) == 1
    shown = await ada.show_codes()
    assert isinstance(shown, Codes)
    assert shown.entry.facts["unused"] == 6


async def test_of_two_parallel_uses_of_two_codes_both_win(pg_house: House) -> None:
    """R1: and what is left is told to the number once the codes are looked at."""
    ada = await with_codes(pg_house)
    async with second_replica(pg_house) as replica:
        doors = [await pending(ada) for _ in range(4)]
        for door in doors[2:]:
            door.house = replica
        outcomes = await asyncio.gather(
            *(door.authenticate(code) for door, code in zip(doors, ada.codes, strict=False))
        )

    assert all(isinstance(outcome, Standing) for outcome in outcomes)
    shown = await ada.show_codes()
    assert isinstance(shown, Codes)
    assert shown.entry.facts["unused"] == (await facts(pg_house))["unused"] == 6
    left = sorted(
        int(m.facts["left"])
        for m in await pg_house.notices()
        if m.kind is MailKind.RECOVERY_CODE_USED
    )
    assert left == [6, 7, 8, 9]


# A part that is away


class Held(Database):
    """The same database, for a process whose next write is held up."""

    def __init__(self, db: Database) -> None:
        self.__dict__.update(db.__dict__)
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()

    async def apply(self, change: Change | Step, *events: Event) -> Row | None:
        """Write, once it may go on."""
        self.arrived.set()
        await self.go_on.wait()
        return await super().apply(change, *events)


async def by_code(ada: Visitor) -> Outcome:
    """Complete a login by another recovery code."""
    return await (await pending(ada)).authenticate(ada.codes[1])


async def by_totp(ada: Visitor) -> Outcome:
    """Complete a login by TOTP."""
    ada.house.clock.turn(seconds=30)
    return await (await pending(ada)).authenticate(ada.otp())


async def by_reauthentication(ada: Visitor) -> Outcome:
    """Prove oneself again by another recovery code."""
    return await ada.reauthenticate_by_code(ada.codes[1])


@pytest.mark.parametrize("between", [by_code, by_totp, by_reauthentication])
async def test_what_another_use_has_changed_is_not_lost(
    house: House, between: Callable[[Visitor], Awaitable[Outcome]]
) -> None:
    """R2: whichever use is written down first, and nobody is asked again."""
    ada = await with_codes(house)
    waiting = await pending(ada)
    held = house.wires["recovery"].hold("POST", "verifications", Cut.AFTER)
    first = asyncio.create_task(waiting.authenticate(ada.codes[0]))
    await held.arrived.wait()
    assert isinstance(await between(ada), Standing)
    before = asked(house)
    held.go_on.set()

    assert isinstance(await first, Standing)

    assert asked(house) == before
    left = (await facts(house))["unused"]
    assert left == await unused(house) == (9 if between is by_totp else 8)
    mails = [m for m in await house.notices() if m.kind is MailKind.RECOVERY_CODE_USED]
    told = sorted(m.facts["left"] for m in mails)  # each of its own use
    assert told == (["9"] if between is by_totp else ["8", "9"])
    used = {entry.type: entry.last_used_at for entry in (await house.account()).register.entries}
    assert used["recovery_codes"] == house.clock()
    if between is by_totp:
        assert used["totp"] == house.clock()


async def test_a_reauthentication_loses_nothing_either(house: House) -> None:
    """R2: nor is it lost."""
    ada = await with_codes(house)
    waiting = await pending(ada)
    held = house.wires["recovery"].hold("POST", "verifications", Cut.AFTER)
    first = asyncio.create_task(ada.reauthenticate_by_code(ada.codes[0]))
    await held.arrived.wait()
    assert isinstance(await waiting.authenticate(ada.codes[1]), Standing)
    held.go_on.set()

    assert isinstance(await first, Standing)

    assert (await facts(house))["unused"] == await unused(house) == 8


async def test_a_passkey_loses_nothing_either(house: House) -> None:
    """R2: whoever logs in with it at that moment."""
    device = Device()
    ada = await with_codes(house)
    await add_key(ada, device)
    waiting = await pending(ada)
    other = ada.elsewhere()
    credential = device.get(await ask(other))
    held = Held(house.db)
    other.house = replace(house, flows=make_flows(held, house.factors, house.clock))
    first = asyncio.create_task(answer(other, credential))
    await held.arrived.wait()
    assert isinstance(await waiting.authenticate(ada.codes[0]), Standing)
    held.go_on.set()

    done = await first

    assert isinstance(done, Standing)
    assert done.visit.authenticated
    assert (await facts(house))["unused"] == await unused(house) == 9


async def test_a_proof_does_not_count_after_a_change_however_it_is_repeated(house: House) -> None:
    """R2, O2: uses are written upon other uses, and upon nothing else."""
    ada = await with_codes(house)
    waiting = await pending(ada)
    held = house.wires["recovery"].hold("POST", "verifications", Cut.AFTER)
    first = asyncio.create_task(waiting.authenticate(ada.codes[0]))
    await held.arrived.wait()
    assert isinstance(await by_code(ada), Standing)
    assert isinstance(await ada.generate_codes(), Codes)
    held.go_on.set()

    assert not isinstance(await first, Standing)

    assert (await facts(house))["unused"] == 10


async def test_uses_at_once_are_all_counted(pg_house: House) -> None:
    """R2: of ten codes at once all are good, and none is left."""
    ada = await with_codes(pg_house)
    waiting = [await pending(ada) for _ in ada.codes]

    done = await asyncio.gather(
        *(other.authenticate(code) for other, code in zip(waiting, ada.codes, strict=True))
    )

    assert all(isinstance(outcome, Standing) for outcome in done)
    assert (await facts(pg_house))["unused"] == await unused(pg_house) == 0


async def unused(house: House) -> object:
    """Return how many codes recovery has left for the only user."""
    held = await house.recovery.authenticators((await house.user()).id)
    return held.authenticators[0].facts["unused"]


async def test_over_the_limit_a_right_code_is_answered_as_a_wrong_one(house: House) -> None:
    """L5: and as soon: after the same reads and writes."""
    ada = await with_codes(house)
    house.clock.turn(minutes=30)
    answers = []
    for guess in (WRONG, ada.codes[0]):
        away = [await pending(ada) for _ in range(6)]
        for visitor in away:
            visitor.address = "203.0.113.9"
        held = house.wires["recovery"].hold("POST", "verifications", Cut.AFTER)
        late = asyncio.create_task(away[0].authenticate(guess))
        await held.arrived.wait()
        for visitor in away[1:]:
            assert faults_of(await visitor.authenticate(WRONG)) == ["incorrect_code"]
        before = counted()
        held.go_on.set()
        answers.append((await late, {name: n - before[name] for name, n in counted().items()}))
        house.clock.turn(days=2)
        house.clock.turn(seconds=30)
        assert await gets_in(ada, ada.otp())

    (wrong, wrong_cost), (right, right_cost) = answers
    assert isinstance(wrong, Refused)
    assert wrong.retry_after is not None
    assert wrong == right
    assert wrong_cost == right_cost


async def test_while_recovery_is_away_totp_works_and_its_codes_are_no_guesses(
    house: House,
) -> None:
    """O4: nobody is let past, nothing is counted."""
    ada = await with_codes(house)
    other = await pending(ada)
    house.wires["recovery"].break_down()

    assert await unavailable(other.authenticate(ada.codes[0]))
    assert await unavailable(other.authenticate(WRONG))
    assert await unavailable(ada.reauthenticate_by_code(ada.codes[0]))
    assert (await house.user()).mfa_failures == 0
    assert "second_factor_failed" not in await house.events()
    assert isinstance(await other.authenticate(ada.otp()), Standing)

    house.wires["recovery"].restore()
    assert await gets_in(ada, ada.codes[0])


async def test_while_totp_is_away_recovery_codes_work(house: House) -> None:
    """And the other way round."""
    ada = await with_codes(house)
    other = await pending(ada)
    house.wire.break_down()

    assert await unavailable(other.authenticate(ada.otp()))
    assert (await house.user()).mfa_failures == 0
    assert isinstance(await other.authenticate(ada.codes[0]), Standing)


@pytest.mark.parametrize("away", ["totp", "recovery"])
async def test_what_one_factor_has_judged_is_counted_though_another_is_away(
    urls: Urls, away: str
) -> None:
    """L2: a guess that was told to be wrong by the one is a guess, whatever the other would say."""
    async with open_house(urls, digits=EIGHT_DIGITS) as house:
        ada = await with_codes(house)
        other = await pending(ada)
        house.wires[away].break_down()

        assert await unavailable(other.authenticate(ada.wrong_otp()))

        assert (await house.user()).mfa_failures == 1
        assert (await house.events()).count("second_factor_failed") == 1
        right = ada.codes[0] if away == "totp" else ada.otp()
        assert isinstance(await other.authenticate(right), Standing)


async def test_while_one_of_ours_is_away_no_code_is_shown_to_a_factor_of_others(
    urls: Urls,
) -> None:
    """It may be a good code, unspent; where ours has judged it, the other is asked as before."""
    async with open_house(urls, digits=EIGHT_DIGITS) as house:
        ada = await with_codes(house)
        await rewrite(
            house,
            lambda entry: {**entry, "type": "other"} if entry["type"] != "totp" else entry,
        )
        factors = {**house.factors, "other": house.recovery}
        policy = Policy(authenticators=("totp", "other"))
        flows = make_flows(house.db, factors, house.clock, policy=policy)
        other = await pending(ada)
        other.house = replace(house, flows=flows)
        before = asked(house)["recovery"]
        house.wire.break_down()

        assert await unavailable(other.authenticate(ada.otp()))
        assert asked(house)["recovery"] == before
        assert (await house.user()).mfa_failures == 0

        house.wire.restore()
        assert faults_of(await other.authenticate(ada.wrong_otp())) == ["incorrect_code"]
        assert asked(house)["recovery"] == before + 1


async def test_a_code_whose_answer_was_lost_is_spent_and_lets_nobody_in(house: House) -> None:
    """O4: as with every code; the next one works."""
    ada = await with_codes(house)
    other = await pending(ada)
    house.wires["recovery"].cut("POST", "verifications", Cut.AFTER)

    assert await unavailable(other.authenticate(ada.codes[0]))
    assert (await house.user()).mfa_failures == 0
    assert faults_of(await other.authenticate(ada.codes[0])) == ["incorrect_code"]
    assert isinstance(await other.authenticate(ada.codes[1]), Standing)


# Few, and unconfirmed


async def test_people_are_warned_when_few_are_left(urls: Urls) -> None:
    """R6: in place of the other mail."""
    settings = {"mfa_recovery_code_count": 3, "mfa_recovery_codes_warn_at": 1}
    async with open_house(urls, **settings) as house:
        ada = await with_codes(house)
        told: list[Any] = []
        for code in ada.codes:
            assert await gets_in(ada, code)
            low = (await facts(house))["low"]
            mails = [m for m in await house.notices() if "left" in m.facts]
            told += [(mail.kind, mail.facts["left"], low) for mail in mails]

        assert told == [
            (MailKind.RECOVERY_CODE_USED, "2", False),
            (MailKind.RECOVERY_CODES_LOW, "1", True),
            (MailKind.RECOVERY_CODES_LOW, "0", True),
        ]
        shown = await ada.show_codes()
        assert isinstance(shown, Codes)
        assert shown.codes == ()


async def test_codes_that_wait_to_be_confirmed_are_told_of_once_one_was_used(urls: Urls) -> None:
    """As PyPI does: who has saved them can show one."""
    async with open_house(urls, mfa_recovery_codes_confirm=True) as house:
        ada = await with_codes(house)
        assert (await ada.visit()).types == ("totp",)
        assert (await facts(house))["confirmed"] is False

        assert isinstance(await ada.reauthenticate_by_code(ada.codes[0]), Standing)

        assert (await ada.visit()).types == ("recovery_codes", "totp")
        assert (await facts(house))["confirmed"] is True
        assert isinstance(await ada.generate_codes(), Codes)
        assert (await ada.visit()).types == ("totp",)


async def test_no_code_is_on_record(house: House) -> None:
    """D3: neither in events nor in mails, spent or not."""
    ada = await with_codes(house)
    old = ada.codes
    await gets_in(ada, old[0])
    await ada.generate_codes()
    await (await pending(ada)).authenticate(WRONG)

    told = json.dumps([dict(row) for row in await house.event_rows()], default=str)
    told += json.dumps([dict(mail.facts) for mail in await house.notices()])
    register = (await house.user()).register
    assert "recovery_codes" in told
    assert not [code for code in (*old, *ada.codes, WRONG) if code in told + register]
