"""A username is one account's, and its password is guessed at five times by whichever name."""

import asyncio

import pytest

from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import PASSWORD, PEOPLE, Person, at_once, count_code, join
from tests.races.test_guesses import MISMATCH, PASSWORDS, counted_of, elsewhere

pytestmark = pytest.mark.long

BURST = 60
RIVALS = 6
WIDE = "\N{FULLWIDTH LATIN SMALL LETTER W}izard"
MISNAMED = "username_password_mismatch"


async def test_one_username_asked_for_by_many_at_once_is_ones(house: House) -> None:
    """Of six who sign up at once, each with an address of their own, one is called so."""

    async def race(number: int) -> None:
        rivals = [Person(house) for _ in range(RIVALS)]
        spellings = [f"{wizard}{number}" for wizard in ("wizard", "WIZARD", WIDE)]

        async def sign_up(n: int, rival: Person) -> Answer:
            body = {**rival.credentials, "username": spellings[n % 3]}
            return await rival.ask(n % 2, "POST", "auth/signup", body, None)

        answers = await at_once(*(sign_up(n, rival) for n, rival in enumerate(rivals)))

        assert [a.pending for a in answers if a.status == 401] == [["verify_email"]]
        assert count_code(answers, "username_taken") == RIVALS - 1
        holders = [await house.accounts(rival.email) for rival in rivals]
        assert sum(map(len, holders)) == 1

    await asyncio.gather(*(race(number) for number in range(PEOPLE)))


async def test_a_burst_of_guesses_by_both_names_reveals_five(house: House) -> None:
    """L2, L6: at both replicas, from everywhere, by its address and by its username."""
    person = await join(house)
    username = f"p{person.number}"

    async def guess(n: int) -> Answer:
        name = {"email": person.email} if n % 3 else {"username": username}
        body = {**name, "password": f"guess number {n}"}
        return await house.ask(n % 2, "POST", "auth/login", body, address=elsewhere())

    answers = await at_once(*(guess(n) for n in range(BURST)))

    assert count_code(answers, MISMATCH) + count_code(answers, MISNAMED) <= PASSWORDS
    assert await counted_of(house, person) == PASSWORDS
    body = {"username": username, "password": PASSWORD}
    home = await person.ask(0, "POST", "auth/login", body, None)
    assert home.status == 200
