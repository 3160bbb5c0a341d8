"""A stranger's failures are the stranger's: the owner gets in from where they have been before."""

import asyncio
from datetime import timedelta

import pytest

from services.session.domain.mails import MailKind
from services.session.flows.outcomes import Refused, Standing
from tests.session.house import ADA, PASSWORD, House, Visitor, faults_of
from tests.session.test_flows_limits import spread
from tests.session.test_flows_operate import operating

AWAY = "203.0.113.77"
LIMITED = ["too_many_login_attempts"]


async def exhausted(house: House, email: str = ADA) -> None:
    """Let strangers from many addresses use up what the account allows."""
    for n in range(7):
        await house.visitor(f"198.51.100.{n}").log_in(email, "wrong")


async def protected(house: House) -> Visitor:
    """Return somebody who has a second factor and is logged out."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    return ada


# Passwords


async def test_strangers_do_not_lock_the_owner_out_of_a_known_network(house: House) -> None:
    """L8: a network from which the owner has logged in has its own allowance."""
    ada = await house.visitor().join()
    await ada.log_out()

    await exhausted(house)

    assert faults_of(await ada.elsewhere(AWAY).log_in()) == LIMITED
    assert isinstance(await ada.log_in(), Standing)


async def test_the_allowance_of_a_known_network_is_bounded_too(house: House) -> None:
    """L2, L8: five guesses, as everywhere."""
    ada = await house.visitor().join()
    await ada.log_out()

    outcomes = [await ada.elsewhere().log_in(password="wrong") for _ in range(8)]

    assert spread(outcomes) == {"email_password_mismatch": 5, "too_many_login_attempts": 3}
    assert faults_of(await ada.log_in()) == LIMITED
    assert isinstance(await ada.elsewhere(AWAY).log_in(), Standing)


async def test_one_owners_network_is_nothing_to_another_account(house: House) -> None:
    """L8: to have an account of one's own somewhere does not help with guessing others."""
    ada = await house.visitor().join()
    await house.visitor(AWAY).join("mallory@example.org")
    await ada.log_out()
    await exhausted(house)

    assert faults_of(await house.visitor(AWAY).log_in(password="wrong")) == LIMITED


async def test_known_and_unknown_accounts_lock_alike(house: House) -> None:
    """L8: five wrong passwords, and then nothing is told of either."""
    await (await house.visitor().join()).log_out()

    for email in (ADA, "nobody@example.org"):
        outcomes = [
            await house.visitor(f"198.51.{len(email)}.{n}").log_in(email, "wrong") for n in range(7)
        ]
        assert spread(outcomes) == {"email_password_mismatch": 5, "too_many_login_attempts": 2}


# The second factor


async def test_a_stranger_with_the_password_does_not_lock_the_second_factor(house: House) -> None:
    """L3, L8: where the owner has been before the second factor does not rest for others."""
    ada = await protected(house)
    thief = house.visitor(AWAY)
    await thief.log_in()
    for number in range(5):
        await thief.authenticate(ada.wrong_otp(number))
    assert faults_of(await thief.authenticate(ada.otp())) == LIMITED

    await ada.log_in()

    assert isinstance(await ada.authenticate(ada.otp()), Standing)


async def test_guesses_from_a_known_network_are_bounded_and_count_for_all(house: House) -> None:
    """L1, L8: five there within five minutes; and everywhere they add to the hundred."""
    ada = await protected(house)
    thief = house.visitor(AWAY)
    await thief.log_in()
    for number in range(5):
        await thief.authenticate(ada.wrong_otp(number))
    await ada.log_in()

    outcomes = [await ada.authenticate(ada.wrong_otp(number)) for number in range(8)]

    assert spread(outcomes) == {"incorrect_code": 5, "too_many_login_attempts": 3}
    assert (await house.user()).mfa_failures == 10
    assert faults_of(await ada.authenticate(ada.otp())) == LIMITED


async def test_a_login_that_moved_on_from_a_known_network_is_a_strangers(house: House) -> None:
    """L8: a token that was stolen on the way has no allowance."""
    ada = await protected(house)
    thief = house.visitor(AWAY)
    await thief.log_in()
    for number in range(5):
        await thief.authenticate(ada.wrong_otp(number))
    await ada.log_in()
    ada.address = AWAY

    assert faults_of(await ada.authenticate(ada.otp())) == LIMITED


async def test_the_hundredth_failure_holds_for_a_known_network_too(house: House) -> None:
    """L1: then the second factor rests for ever, whoever asks."""
    ada = await protected(house)
    for _ in range(100):
        ada = ada.elsewhere()
        await ada.log_in()
        assert faults_of(await ada.authenticate(ada.wrong_otp())) == ["incorrect_code"]
        house.clock.turn(days=1)

    ada = ada.elsewhere()
    await ada.log_in()

    assert faults_of(await ada.authenticate(ada.otp())) == LIMITED


@pytest.mark.parametrize("address", ["192.0.2.1", AWAY])
async def test_of_two_hundred_guesses_at_once_five_are_judged(
    pg_house: House, address: str
) -> None:
    """L2: however many requests run at once, in whatever network."""
    ada = await protected(pg_house)
    ada = ada.elsewhere(address)
    await ada.log_in()

    outcomes = await asyncio.gather(
        *(ada.authenticate(ada.wrong_otp(number)) for number in range(200))
    )

    assert spread(list(outcomes))["incorrect_code"] == 5
    assert (await pg_house.user()).mfa_failures == 5


# What the owner is told


async def test_a_login_from_somewhere_new_is_told(house: House) -> None:
    ada = await house.visitor().join()
    await house.notices()
    await ada.log_out()

    await ada.log_in()
    assert await house.notices() == []

    ada = ada.elsewhere(AWAY)
    await ada.log_in()
    (told,) = await house.notices()
    assert (told.kind, told.to) == (MailKind.NEW_LOGIN, ADA)

    await ada.elsewhere(AWAY).log_in()
    assert await house.notices() == []


async def test_a_password_without_the_second_factor_is_told(house: House) -> None:
    ada = await protected(house)
    await house.notices()
    thief = house.visitor(AWAY)
    for _ in range(3):
        await thief.log_in()
    house.clock.turn(minutes=14)
    assert await house.notices() == []

    house.clock.turn(minutes=1)

    (told,) = await house.notices()
    assert (told.kind, told.to) == (MailKind.SECOND_FACTOR_MISSING, ADA)
    assert not isinstance(await ada.authenticate(ada.otp()), Standing)


async def test_a_login_that_is_completed_is_no_reason_to_worry(house: House) -> None:
    ada = await protected(house)
    await house.notices()
    await ada.log_in()
    await ada.log_out()
    await ada.log_in()
    assert isinstance(await ada.authenticate(ada.otp()), Standing)

    house.clock.turn(minutes=20)

    assert await house.notices() == []


async def test_where_people_log_in_is_forgotten_after_ninety_days(house: House) -> None:
    ada = await house.visitor().join()
    await ada.log_out()
    house.clock.turn(days=90)

    await house.sweeps.delete_expired()
    await exhausted(house)

    assert faults_of(await ada.log_in()) == LIMITED


async def test_an_account_that_slept_is_told_of_a_login_as_well(house: House) -> None:
    ada = await house.visitor().join()
    await ada.log_out()
    house.clock.turn(days=91)
    await house.sweeps.delete_expired()
    await house.notices()

    await ada.elsewhere(AWAY).log_in()

    assert [mail.kind for mail in await house.notices()] == [MailKind.NEW_LOGIN]


async def test_a_change_of_the_password_forgets_where_a_thief_was(house: House) -> None:
    """L8: what is forgotten has no allowance, and is told of when it comes back."""
    ada = await house.visitor().join()
    await ada.elsewhere(AWAY).log_in()
    await ada.change_password(PASSWORD, "another-horse-9")
    await house.notices()

    await exhausted(house)
    assert faults_of(await ada.elsewhere(AWAY).log_in(password="another-horse-9")) == LIMITED
    house.clock.turn(minutes=5)
    await ada.elsewhere(AWAY).log_in(password="another-horse-9")
    assert [mail.kind for mail in await house.notices()] == [MailKind.NEW_LOGIN]


async def test_who_is_deleted_gets_no_warning(house: House) -> None:
    ada = await protected(house)
    await house.visitor(AWAY).log_in()
    await operating(house).delete(ADA)
    house.clock.turn(hours=1)

    assert MailKind.SECOND_FACTOR_MISSING not in [mail.kind for mail in await house.notices()]
    assert faults_of(await ada.log_in()) == ["email_password_mismatch"]


async def test_a_stranger_does_not_block_the_owners_reauthentication(house: House) -> None:
    """L3, L8: nor a change of what protects the account."""
    ada = await (await house.visitor().join()).protect()
    thief = house.visitor(AWAY)
    await thief.log_in()
    for number in range(5):
        await thief.authenticate(ada.wrong_otp(number))
    limited = await thief.authenticate(ada.otp())
    assert isinstance(limited, Refused)
    assert limited.retry_after == timedelta(minutes=5)

    assert isinstance(await ada.reauthenticate_by_code(ada.otp()), Standing)
