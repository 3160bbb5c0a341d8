"""A logout on one replica is final, whatever another replica is writing."""

import asyncio

import pytest

from tests.races.house import House
from tests.races.people import Person, at_once, join, protected, several, token_of

pytestmark = pytest.mark.long

ROUNDS = 3


async def test_no_write_in_flight_survives_a_logout(house: House) -> None:
    """N3: proofs and enrolments that are on their way find the session gone."""

    async def race(person: Person) -> None:
        for n in range(ROUNDS):
            token = await person.session_to_change_things(n % 2)
            here, there = n % 2, 1 - n % 2
            logout, *writes = await at_once(
                person.log_out(here, token),
                person.reauthenticate(there, token),
                person.ask(there, "GET", "account/authenticators/totp", None, token),
                person.reauthenticate(here, token),
                person.ask(here, "GET", "account/authenticators/totp", None, token),
            )
            assert logout.meta["is_authenticated"] is False
            assert {answer.status for answer in writes} <= {200, 401, 404, 410}
            await _is_over(person, token)
        assert len(await house.sessions(person.id)) == 1

    await asyncio.gather(*map(race, await several(house, join)))


async def test_a_login_is_completed_or_abandoned_and_not_both(house: House) -> None:
    """N3, N2: the session that a code makes does not survive a logout that was accepted."""

    async def race(person: Person) -> None:
        for n in range(ROUNDS):
            pending = await person.pending(n % 2)
            login = person.authenticate(n % 2, pending, person.device.code())
            logout = person.log_out(1 - n % 2, pending)
            completed, abandoned = await at_once(login, logout)

            await _is_over(person, pending)
            made = token_of(completed) if completed.status == 200 else None
            if abandoned.status == 410:  # too late: the login had a new token by then
                assert made is not None
                assert (await person.standing(0, made)).status == 200
                await person.log_out(1, made)
            else:
                assert completed.status in {200, 401, 410}
            if made is not None:
                await _is_over(person, made)
        assert len(await house.sessions(person.id)) == 1

    await asyncio.gather(*map(race, await several(house, protected)))


async def _is_over(person: Person, token: str) -> None:
    for replica in (0, 1):
        assert (await person.standing(replica, token)).status == 410
