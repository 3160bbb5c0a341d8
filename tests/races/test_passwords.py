"""A password changes on one replica while another lets people in."""

import asyncio

import pytest

from tests.races.house import House
from tests.races.people import Person, at_once, join, protected, several, token_of

pytestmark = pytest.mark.long

ROUNDS = 3


async def test_no_login_in_progress_survives_a_change_of_password(house: House) -> None:
    """N4, O6: whichever is written first, a session of the old password is over."""

    async def race(person: Person) -> None:
        token = person.token
        for n in range(ROUNDS):
            here, there = n % 2, 1 - n % 2
            new = f"battery-staple-{person.number}-{n}"
            changed, *logins = await at_once(
                person.change_password(here, token, new),
                *(person.log_in(side) for side in (here, there, here, there)),
            )
            assert changed.status == 200
            token, person.password = token_of(changed), new
            for login in logins:
                if login.status == 200:
                    await _is_over(person, token_of(login))
            assert (await person.standing(there, token)).status == 200

    await asyncio.gather(*map(race, await several(house, join)))


async def test_a_login_begun_with_the_old_password_does_not_finish(house: House) -> None:
    """O6, N4: a code given while the password changes opens nothing that lasts."""

    async def race(person: Person) -> None:
        token = person.token
        for n in range(2):
            here, there = n % 2, 1 - n % 2
            pending = await person.pending(there)
            new = f"battery-staple-{person.number}-{n}"
            completed, changed = await at_once(
                person.authenticate(there, pending, person.device.code()),
                person.change_password(here, token, new),
            )
            assert changed.status == 200
            token, person.password = token_of(changed), new
            await _is_over(person, pending)
            if completed.status == 200:
                await _is_over(person, token_of(completed))

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_of_two_changes_at_once_one_is_written(house: House) -> None:
    """N4: the other one's session is over, and its password was never good."""

    async def race(person: Person) -> None:
        tokens = [person.token, token_of(await person.log_in(1))]
        for n in range(ROUNDS):
            news = [f"battery-staple-{person.number}-{n}-{side}" for side in (0, 1)]
            changed = await at_once(
                *(person.change_password(side, tokens[side], news[side]) for side in (0, 1))
            )
            assert sorted(answer.status == 200 for answer in changed) == [False, True]
            won = 0 if changed[0].status == 200 else 1
            assert changed[1 - won].status in {400, 401, 410}
            await _is_over(person, tokens[1 - won])
            person.password = news[1 - won]
            assert (await person.log_in(won)).status == 400
            person.password = news[won]
            tokens[won] = token_of(changed[won])
            tokens[1 - won] = token_of(await person.log_in(1 - won))
        changes = (await house.events(person.id)).count("password_changed")
        assert changes == ROUNDS

    await asyncio.gather(*map(race, await several(house, join)))


async def test_nothing_survives_the_end_of_all_sessions(house: House) -> None:
    """N4, N3: what is written at the same time on the other replica is over too."""

    async def race(person: Person) -> None:
        for n in range(ROUNDS):
            token = token_of(await person.log_in(n % 2))
            here, there = n % 2, 1 - n % 2
            ended, proved, login = await at_once(
                person.ask(here, "DELETE", "auth/sessions", {"all": True}, token),
                person.reauthenticate(there, token),
                person.log_in(there),
            )
            assert ended.status == 401
            assert proved.status in {200, 401, 410}
            await _is_over(person, token)
            if login.status == 200:  # begun before or after: only the latter counts
                standing = await person.standing(here, token_of(login))
                assert standing.status in {200, 410}
        assert (await house.events(person.id)).count("sessions_ended") == ROUNDS

    await asyncio.gather(*map(race, await several(house, join)))


async def _is_over(person: Person, token: str) -> None:
    for replica in (0, 1):
        assert (await person.standing(replica, token)).status == 410
