"""What is right waits for the failures that are being counted, and is judged by what they leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from services.session.domain.limits import Counter, guessed_at
from services.session.flows.outcomes import Standing
from tests.session.house import HOME, House, faults_of
from tests.session.test_limits_growth import connected
from tests.trail import PATIENCE

AWAY = "203.0.113.77"
LIMITED = ["too_many_login_attempts"]
WAITING = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%attempts%'
"""


@asynccontextmanager
async def last_failure_under_way(house: House, counter: Counter) -> AsyncIterator[None]:
    """Count the last failure that `counter` allows; it is written once somebody waits for it."""
    ends_at = house.clock() + timedelta(minutes=5)
    async with connected(house.db) as connection, connected(house.db) as watching:
        await connection.execute("BEGIN")
        await connection.execute(
            "INSERT INTO attempts (key, count, ceiling, window_ends_at) VALUES ($1, $2, $2, $3) "
            "ON CONFLICT (key) DO UPDATE SET count = $2, window_ends_at = $3",
            counter.key,
            counter.ceiling,
            int(ends_at.timestamp() * 1_000_000),
        )
        yield
        async with asyncio.timeout(PATIENCE):
            while not await watching.fetch(WAITING):  # noqa: ASYNC110 - nobody would tell
                await asyncio.sleep(0.01)
        await connection.execute("COMMIT")


@pytest.mark.parametrize("address", [HOME, AWAY])
async def test_a_right_password_waits_for_the_fifth_failure(pg_house: House, address: str) -> None:
    """L2: what reads the counter beside it would accept a sixth guess, or a sixteenth."""
    await (await pg_house.visitor().join()).log_out()
    limits = pg_house.store.limits
    counters = limits.own if address == HOME else limits.strangers
    (_, counter) = counters(guessed_at((await pg_house.user()).id), ip=address)

    async with last_failure_under_way(pg_house, counter):
        login = asyncio.create_task(pg_house.visitor(address).log_in())

    assert faults_of(await login) == LIMITED


async def test_a_right_code_from_home_waits_for_the_fifth_failure(pg_house: House) -> None:
    """L2, L8: the allowance of a known network is as exact as the rest of all others."""
    ada = await (await pg_house.visitor().join()).protect()
    await ada.log_out()
    thief = pg_house.visitor(AWAY)
    await thief.log_in()
    for number in range(5):
        await thief.authenticate(ada.wrong_otp(number))
    await ada.log_in()
    counter = pg_house.store.limits.here(user=(await pg_house.user()).id, ip=HOME)

    async with last_failure_under_way(pg_house, counter):
        proof = asyncio.create_task(ada.authenticate(ada.otp()))

    assert faults_of(await proof) == LIMITED


async def test_a_right_password_counts_as_no_failure(house: House) -> None:
    """Whoever is right again and again is not limited by what counts failures."""
    await (await house.visitor().join()).log_out()

    for _ in range(12):
        assert isinstance(await house.visitor().log_in(), Standing)


async def test_a_known_network_has_one_allowance_for_every_place(house: House) -> None:
    """T9, L3: guesses of a session and of a login that is made beside it are counted together."""
    ada = await (await house.visitor().join()).protect()
    login = ada.elsewhere()
    await login.log_in()
    told = [faults_of(await ada.reauthenticate_by_code(ada.wrong_otp(n))) for n in range(3)]
    told += [faults_of(await login.authenticate(ada.wrong_otp(n))) for n in range(3, 8)]

    assert told == [["incorrect_code"]] * 5 + [LIMITED] * 3
