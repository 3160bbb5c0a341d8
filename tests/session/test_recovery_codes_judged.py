"""A code that is typed: whom it is for is told by its form, and every attempt counts once."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from services.session.domain.mails import MailKind
from services.session.flows.outcomes import Codes, Refused, Standing
from tests.session.house import (
    ADA,
    Cut,
    House,
    Urls,
    Visitor,
    faults_of,
    kinds,
    open_house,
    second_replica,
    unavailable,
)
from tests.session.recovering import WRONG, agrees, facts, gets_in, pending, rewrite, with_codes

EIGHT_DIGITS = 8  # of the codes of both


def asked(house: House) -> dict[str, int]:
    """Return how many codes each factor has judged so far, if it was asked at all."""
    return {
        service: sum("verifications" in request for request in wire.requests)
        for service, wire in house.wires.items()
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
            doors = [await pending(ada) for _ in range(4)]
            for door in doors[2:]:
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
