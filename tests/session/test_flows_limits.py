"""Limits: counted on the server, by account and by origin, and never more revealed than allowed."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.session.domain.faults import rate_limited
from services.session.domain.identifiers import by_address
from services.session.domain.limits import FOR_EVER, LAST_FAILURE
from services.session.domain.sessions import Client
from services.session.flows.outcomes import Enrolled, Refused, Removed, Standing, Throttled
from services.session.flows.passwords import PasswordHasher
from shared.clock import from_micros, to_micros
from shared.database import Database
from shared.errors import Unavailable
from tests.session.house import (
    ADA,
    HOME,
    House,
    Visitor,
    change_user,
    faults_of,
    make_flows,
    second_replica,
    unavailable,
)

AWAY = "203.0.113.77"  # where nobody of these tests has ever completed a login
RESTS = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]  # minutes after each failure from 5 on


def spread(outcomes: list[Any]) -> Counter[str]:
    """Return how many outcomes there are of each kind."""
    return Counter(",".join(faults_of(o)) or type(o).__name__ for o in outcomes)


async def at_the_second_factor(house: House, address: str = HOME) -> Visitor:
    """Return somebody at `address` whose login waits for the code of an account made at home."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    ada = ada.elsewhere(address)
    await ada.log_in()
    return ada


# The second factor


async def test_the_second_factor_rests_after_five_failures_in_a_row(house: House) -> None:
    """L1: five, then a rest that doubles up to a day."""
    ada = await at_the_second_factor(house, AWAY)
    for number in range(5):
        assert faults_of(await ada.authenticate(ada.wrong_otp(number))) == ["incorrect_code"]

    for minutes in RESTS:
        house.clock.turn(minutes=minutes, seconds=-1)
        ada = ada.elsewhere(AWAY)
        await ada.log_in()
        assert faults_of(await ada.authenticate(ada.otp())) == ["too_many_login_attempts"]
        house.clock.turn(seconds=1)
        assert faults_of(await ada.authenticate(ada.wrong_otp())) == ["incorrect_code"]


async def test_after_a_hundred_failures_the_second_factor_rests_for_ever(house: House) -> None:
    """L1: 100 consecutive failures, and it is disabled until it is reset."""
    ada = await at_the_second_factor(house)
    for _ in range(100):
        ada = ada.elsewhere()
        await ada.log_in()
        assert faults_of(await ada.authenticate(ada.wrong_otp())) == ["incorrect_code"]
        house.clock.turn(days=1)

    house.clock.turn(days=5000)
    ada = ada.elsewhere()
    await ada.log_in()
    assert faults_of(await ada.authenticate(ada.otp())) == ["too_many_login_attempts"]


async def test_binding_anew_ends_the_rest_for_ever(house: House) -> None:
    """L1: who is logged in and has the password removes the authenticator, and makes another."""
    ada = await (await house.visitor().join()).protect()
    for number in range(LAST_FAILURE):
        await ada.reauthenticate()
        fault = faults_of(await ada.reauthenticate_by_code(ada.wrong_otp(number)))
        assert fault == ["incorrect_code"]
        rests = from_micros((await house.user()).mfa_rests_until)
        if rests < FOR_EVER:
            await change_user(house, mfa_rests_until=0)
        house.clock.turn(minutes=5)
    assert rests == FOR_EVER

    await ada.reauthenticate()
    assert await ada.deactivate() == Removed()

    assert (await house.user()).mfa_failures == (await house.user()).mfa_rests_until == 0
    await ada.protect()
    assert isinstance(await ada.reauthenticate_by_code(ada.otp()), Standing)


async def test_a_factor_that_is_not_configured_here_neither_passes_nor_fails(house: House) -> None:
    """L1, O4: nobody is called wrong by who cannot judge, and the login waits."""
    ada = await at_the_second_factor(house)
    without = replace(house, flows=make_flows(house.db, {}, house.clock))
    here = replace(ada, house=without)

    assert await unavailable(here.authenticate(ada.otp()))
    assert (await house.user()).mfa_failures == 0
    assert isinstance(await ada.authenticate(ada.otp()), Standing)


async def test_success_ends_the_row_of_failures(house: House) -> None:
    """L1: the failures are consecutive ones."""
    ada = await at_the_second_factor(house)
    for number in range(4):
        await ada.authenticate(ada.wrong_otp(number))
    await ada.authenticate(ada.otp())

    assert (await house.user()).mfa_failures == 0


async def test_a_resting_second_factor_spends_no_code(house: House) -> None:
    """L2: the factor is not even asked."""
    ada = await at_the_second_factor(house)
    for number in range(5):
        await ada.authenticate(ada.wrong_otp(number))
    asked = len(house.wire.requests)
    await ada.authenticate(ada.otp())

    assert len(house.wire.requests) == asked
    house.clock.turn(minutes=5)
    assert isinstance(await ada.authenticate(ada.otp()), Standing)


async def test_the_second_factor_has_one_counter_for_every_place(house: House) -> None:
    """T9, L3: login, reauthentication and activation share it, whatever session or address.

    Where the owner has been before it is what was tried there that counts, again in every place.
    """
    ada = await (await house.visitor().join()).protect()
    await ada.reauthenticate_by_code(ada.wrong_otp(0))
    for number, address in enumerate(("192.0.2.7", "198.51.100.7"), start=1):
        other = ada.elsewhere(address)
        await other.log_in()
        await other.authenticate(other.wrong_otp(number))
    house.clock.turn(seconds=30)
    await ada.reauthenticate_by_code(ada.wrong_otp(3))
    await ada.reauthenticate_by_code(ada.wrong_otp(4))

    fresh = ada.elsewhere("203.0.113.9")
    await fresh.log_in()
    assert faults_of(await fresh.authenticate(fresh.otp())) == ["too_many_login_attempts"]
    home = ada.elsewhere()
    await home.log_in()
    await home.authenticate(ada.wrong_otp(5))
    await ada.reauthenticate_by_code(ada.wrong_otp(6))
    for outcome in (
        await ada.reauthenticate_by_code(ada.otp()),
        await home.authenticate(ada.otp()),
    ):
        assert faults_of(outcome) == ["too_many_login_attempts"]


async def test_activation_is_no_place_to_guess(house: House) -> None:
    """L3: it counts, it rests, and it says `rate_limited`."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    outcomes = [await ada.activate(ada.wrong_otp(number)) for number in range(6)]

    assert spread(outcomes) == {"incorrect_code": 5, "rate_limited": 1}
    assert faults_of(await ada.activate(ada.otp())) == ["rate_limited"]
    house.clock.turn(minutes=5)
    await ada.reauthenticate()
    assert isinstance(await ada.activate(ada.otp()), Enrolled)


async def test_a_refused_activation_tells_how_long_to_wait(house: House) -> None:
    """L9: until the rest is over; at the end of the row nobody is told to wait."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    for number in range(5):
        await ada.activate(ada.wrong_otp(number))
    house.clock.turn(seconds=100)

    outcome = await ada.activate(ada.otp())

    assert outcome == Refused((rate_limited(),), timedelta(seconds=200))
    await change_user(house, mfa_rests_until=to_micros(FOR_EVER))
    house.clock.turn(minutes=4)  # but not so long that a fresh proof would be asked for
    await ada.reauthenticate()
    assert await ada.activate(ada.otp()) == Refused((rate_limited(),), None)


async def test_whoever_guesses_elsewhere_stops_no_activation_at_home(house: House) -> None:
    """L3: as at a login: the rest that others caused does not hold where the owner has been."""
    ada = await house.visitor().join()
    thief = Visitor(house, "203.0.113.9", token=ada.token)
    await ada.reauthenticate()
    await ada.show_totp()
    thief.secret = ada.secret
    told = [await thief.activate(thief.wrong_otp(number)) for number in range(6)]
    assert spread(told) == {"incorrect_code": 5, "rate_limited": 1}

    assert faults_of(await ada.activate(ada.wrong_otp())) == ["incorrect_code"]
    assert faults_of(await thief.activate(thief.otp())) == ["rate_limited"]
    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    assert (await house.user()).mfa_failures == 0


async def test_five_wrong_codes_at_home_are_the_last_there_too(house: House) -> None:
    """L3: nor does the allowance make it a place to guess."""
    ada = await house.visitor().join()
    thief = Visitor(house, "203.0.113.9", token=ada.token)
    await ada.reauthenticate()
    await ada.show_totp()
    thief.secret = ada.secret
    for number in range(5):
        await thief.activate(thief.wrong_otp(number))

    told = [await ada.activate(ada.wrong_otp(number)) for number in range(6)]

    assert spread(told) == {"incorrect_code": 5, "rate_limited": 1}
    assert faults_of(await ada.activate(ada.otp())) == ["rate_limited"]
    assert await house.registered() == []


async def test_a_stranger_cannot_use_up_the_second_factor(house: House) -> None:
    """L3: failures of the password are another counter."""
    ada = await (await house.visitor().join()).protect()
    for number in range(20):
        await house.visitor(f"198.51.100.{number}").log_in(password="guess")

    assert (await house.user()).mfa_failures == 0
    assert isinstance(await ada.reauthenticate_by_code(ada.otp()), Standing)


async def test_counters_do_not_care_about_sessions_or_cookies(house: House) -> None:
    """L5: a new session for every guess changes nothing."""
    ada = await (await house.visitor().join()).protect()
    outcomes = []
    for number in range(8):
        fresh = Visitor(house, client=Client.BROWSER, secret=ada.secret)
        await fresh.log_in()
        outcomes.append(await fresh.authenticate(fresh.wrong_otp(number)))

    assert spread(outcomes) == {"incorrect_code": 5, "too_many_login_attempts": 3}


async def test_parallel_guesses_reveal_no_more_than_the_limit(pg_house: House) -> None:
    """L2, T9: fifty at once, from as many sessions, over two replicas of session and of totp."""
    ada = await at_the_second_factor(pg_house)
    async with second_replica(pg_house) as replica:
        guessers = [ada.elsewhere(f"192.0.2.{n}", [pg_house, replica][n % 2]) for n in range(50)]
        for guesser in guessers:
            assert isinstance(await guesser.log_in(), Standing)
        outcomes = await asyncio.gather(
            *(guesser.authenticate(ada.wrong_otp(n)) for n, guesser in enumerate(guessers))
        )

    assert spread(outcomes) == {"incorrect_code": 5, "too_many_login_attempts": 45}
    assert (await pg_house.user()).mfa_failures == 5


async def test_a_right_code_in_a_burst_is_accepted_only_below_the_limit(pg_house: House) -> None:
    """L2: acceptance is conditional on the counter, so a burst cannot outrun it."""
    ada = await at_the_second_factor(pg_house)
    for number in range(4):
        await ada.authenticate(ada.wrong_otp(number))
    visit, flow = await ada.visit(), pg_house.flows.authenticate
    outcomes = await asyncio.gather(
        *(flow.authenticate(visit, ada.wrong_otp(n)) for n in range(10, 40)),
        flow.authenticate(visit, ada.otp()),
    )
    told = spread(list(outcomes))

    # At most one more failure was told before the right code, and five after it ended the row.
    assert told["incorrect_code"] <= 1 + 5 * told["Standing"]
    assert told["Standing"] <= 1


async def test_two_requests_with_one_code_open_one_session(pg_house: House) -> None:
    """T1: and the second is told that its code is wrong, or that the stage is passed."""
    ada = await at_the_second_factor(pg_house)
    async with second_replica(pg_house) as replica:
        visit, code = await ada.visit(), ada.otp()
        outcomes = await asyncio.gather(
            *(
                house.flows.authenticate.authenticate(visit, code)
                for house in (pg_house, replica) * 4
            )
        )

    assert spread(list(outcomes))["Standing"] == 1
    authenticated = [r for r in await pg_house.session_rows() if r.authenticated_at is not None]
    assert len(authenticated) == 1


# Passwords


@pytest.mark.parametrize("email", [ADA, "nobody@example.org"])
async def test_five_wrong_passwords_are_judged_in_five_minutes(house: House, email: str) -> None:
    """L2: by account, whatever the origin; known and unknown addresses alike."""
    await house.visitor().join()
    outcomes = [await house.visitor(f"198.51.100.{n}").log_in(email, "wrong") for n in range(8)]

    assert spread(outcomes) == {"email_password_mismatch": 5, "too_many_login_attempts": 3}
    house.clock.turn(minutes=5)
    assert faults_of(await house.visitor().log_in(email, "wrong")) == ["email_password_mismatch"]


async def test_a_right_password_is_not_accepted_over_the_limit(house: House) -> None:
    """L2: the right one is refused like the wrong ones, until the window is over."""
    ada = await house.visitor().join()
    for n in range(5):
        await house.visitor(f"198.51.100.{n}").log_in(password="wrong")
    await ada.log_out()
    ada = ada.elsewhere(AWAY)

    assert faults_of(await ada.log_in()) == ["too_many_login_attempts"]
    house.clock.turn(minutes=5)
    assert isinstance(await ada.log_in(), Standing)


async def test_own_success_clears_no_counter(house: House) -> None:
    """L4: not that of the origin, which has an account of its own."""
    ada = await house.visitor().join()
    await ada.log_out()
    for n in range(4):
        await house.visitor().log_in(f"victim{n}@example.org", "wrong")
    await ada.log_in()
    await ada.log_out()
    outcomes = []
    for n in range(8):
        outcomes.append(await house.visitor().log_in(f"other{n}@example.org", "wrong"))
        if n < 3:
            await ada.log_in()
            await ada.log_out()

    assert spread(outcomes) == {"email_password_mismatch": 6, "too_many_login_attempts": 2}


@pytest.mark.parametrize("address", [HOME, AWAY])
async def test_the_owners_success_leaves_no_guess_more(house: House, address: str) -> None:
    """L4: five are judged of an account, whoever logs in to it in between, and from wherever."""
    ada = await house.visitor().join()
    outcomes = []
    for _ in range(8):
        outcomes.append(await house.visitor(address).log_in(password="wrong"))
        await ada.elsewhere().log_in()

    assert spread(outcomes) == {"email_password_mismatch": 5, "too_many_login_attempts": 3}


async def test_an_origin_is_the_whole_network_of_an_ipv6_address(house: House) -> None:
    """L7: single addresses of a /64 are free to an attacker."""
    outcomes = [
        await house.visitor(f"2001:db8:1:2::{n:x}").log_in(f"p{n}@example.org", "wrong")
        for n in range(12)
    ]

    assert spread(outcomes) == {"email_password_mismatch": 10, "too_many_login_attempts": 2}
    elsewhere = house.visitor("2001:db8:1:3::1")
    assert faults_of(await elsewhere.log_in(password="wrong")) == ["email_password_mismatch"]


async def test_reauthentication_is_no_place_to_guess_passwords(house: House) -> None:
    """L2: the counter is that of the login."""
    ada = await house.visitor().join()
    outcomes = [await ada.reauthenticate("wrong") for _ in range(7)]

    assert spread(outcomes) == {"incorrect_password": 5, "too_many_login_attempts": 2}
    assert faults_of(await ada.reauthenticate()) == ["too_many_login_attempts"]
    assert faults_of(await ada.elsewhere().log_in()) == ["too_many_login_attempts"]


def hashing_nothing(house: House) -> None:
    """Leave the house with a pool that turns every password away."""
    full = PasswordHasher(queue=-1, threads=1, memory=8, passes=1)
    house.flows = make_flows(house.db, house.factors, house.clock, full)


@pytest.mark.parametrize("email", [ADA, "new@example.org"])
async def test_over_its_limit_an_origin_has_no_sign_up_hashed(house: House, email: str) -> None:
    """L2, L8: or one origin would keep the pool busy for everybody."""
    await house.visitor("198.51.100.1").join()
    for n in range(20):
        assert isinstance(await house.visitor().sign_up(f"p{n}@example.org"), Standing)
    hashing_nothing(house)

    assert isinstance(await house.visitor().sign_up(email), Throttled)
    assert (await house.events())[-1] == "signup_limited"
    with pytest.raises(Unavailable):
        await house.visitor("198.51.100.1").sign_up(email)


async def test_over_its_limit_no_password_of_a_reauthentication_is_hashed(house: House) -> None:
    """L2: nor is a right one told from a wrong one."""
    ada = await house.visitor().join()
    for _ in range(5):
        await ada.reauthenticate("wrong")
    hashing_nothing(house)

    assert faults_of(await ada.reauthenticate()) == ["too_many_login_attempts"]
    assert faults_of(await ada.reauthenticate("wrong")) == ["too_many_login_attempts"]
    house.clock.turn(minutes=5)
    with pytest.raises(Unavailable):
        await ada.reauthenticate()


async def test_a_sign_up_that_mails_nobody_counts_for_its_origin(house: House) -> None:
    """L2: or an address that has had its mails would be free of any limit."""
    outcomes = [await house.visitor().sign_up() for _ in range(20)]

    assert spread(outcomes) == {"Standing": 1, "Throttled": 19}
    assert isinstance(await house.visitor().sign_up("new@example.org"), Throttled)
    assert isinstance(await house.visitor("198.51.100.1").sign_up("new@example.org"), Standing)
    assert (await house.events()).count("signup_limited") == 20


async def test_parallel_passwords_reveal_no_more_than_the_limit(pg_house: House) -> None:
    """L2: fifty at once, from as many origins."""
    await pg_house.visitor().join()
    outcomes = await asyncio.gather(
        *(pg_house.visitor(f"198.51.100.{n}").log_in(password=f"wrong {n}") for n in range(50))
    )

    assert spread(list(outcomes)) == {"email_password_mismatch": 5, "too_many_login_attempts": 45}


async def test_without_its_database_nothing_is_judged(house: House) -> None:
    """L2: no counter, no answer."""
    ada = await at_the_second_factor(house)
    visit = await ada.visit()
    house.flows = make_flows(_Away(house.db), house.factors, house.clock)

    with pytest.raises(Unavailable):
        await house.flows.login.log_in(visit, by_address(ADA), "wrong")
    with pytest.raises(Unavailable):
        await house.flows.authenticate.authenticate(visit, ada.wrong_otp())


class _Away(Database):
    """A database that has gone away."""

    def __init__(self, db: Database) -> None:
        self.__dict__.update(db.__dict__)

    async def find(self, *_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    async def apply(self, *_: Any, **__: Any) -> Any:
        raise Unavailable("away")


# The pool that hashes


async def test_a_full_queue_turns_passwords_away(house: House) -> None:
    """Beyond the queue: Unavailable, which is 503 with Retry-After."""
    hasher = PasswordHasher(queue=2, threads=1)
    outcomes = await asyncio.gather(
        *(hasher.verify("x", None) for _ in range(5)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [bool] * 3 + [Unavailable] * 2
    refusal = outcomes[-1]
    assert isinstance(refusal, Unavailable)
    assert refusal.retry_after == timedelta(seconds=1)
    assert await hasher.verify("x", None) is False
    hasher.close()


async def test_the_event_loop_goes_on_while_passwords_are_hashed() -> None:
    hasher = PasswordHasher(queue=100, threads=1)
    work = asyncio.gather(*(hasher.hash("x") for _ in range(10)))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    hasher.close()

    assert turns > 100


async def test_passwords_are_hashed_as_owasp_says() -> None:
    hasher = PasswordHasher(queue=1)
    hashed = await hasher.hash("correct-horse-9")
    hasher.close()

    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_damaged_hash_is_a_wrong_password() -> None:
    hasher = PasswordHasher(queue=1)
    assert await hasher.verify("x", "damaged") is False
    hasher.close()
