"""Whoever is deleted on one replica is logged in on none, whatever the other is writing."""

import asyncio

import pytest

from tests.races.house import House
from tests.races.people import Person, at_once, protected, several, token_of

pytestmark = pytest.mark.long

LOGINS = 3


async def test_no_login_in_progress_survives_its_person(house: House) -> None:
    """O6: neither one that is being begun nor one that is being completed; deleted once."""

    async def race(person: Person) -> None:
        pending = [await person.pending(n % 2) for n in range(LOGINS)]
        codes = [person.device.code() for _ in range(LOGINS)]
        first, second, *logins = await at_once(
            person.ask(0, "DELETE", "account", {}, person.token),
            person.ask(1, "DELETE", "account", {}, person.token),
            *(
                person.authenticate(n % 2, token, code)
                for n, (token, code) in enumerate(zip(pending, codes, strict=True))
            ),
            *(person.log_in(n % 2) for n in range(2)),
        )

        assert {first.status, second.status} <= {401, 410}
        made = [token_of(a) for a in logins if a.body.get("meta", {}).get("session_token")]
        for token in [person.token, *pending, *made]:
            for replica in (0, 1):
                assert (await person.standing(replica, token)).status == 410
        assert await house.accounts(person.email) == []
        assert (await house.events(person.id)).count("user_deleted") == 1
        again = await person.log_in(0)
        assert (again.status, again.codes) == (400, ["email_password_mismatch"])

    await asyncio.gather(*map(race, await several(house, protected)))
