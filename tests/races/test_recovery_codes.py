"""A recovery code lets one request in, and one set counts, however many replicas are asked."""

import asyncio

import pytest

from tests.races.house import House
from tests.races.people import (
    Person,
    at_once,
    count_code,
    is_turned_away,
    protected,
    several,
    statuses,
)

pytestmark = pytest.mark.long

LIMIT = 5  # wrong codes until the second factor rests
WRONG, LIMITED = "incorrect_code", "too_many_login_attempts"


async def test_a_recovery_code_lets_one_of_all_requests_in(house: House) -> None:
    """R1: of two logins and a reauthentication with one code, exactly one is accepted."""

    async def race(person: Person) -> None:
        codes = await person.show_codes(0, person.token)
        for code in codes[:3]:
            tokens = [await person.pending(replica) for replica in (0, 1)]
            answers = await at_once(
                person.authenticate(0, tokens[0], code),
                person.authenticate(1, tokens[1], code),
                person.reauthenticate_by_code(1, person.token, code),
            )
            assert statuses(answers) == [200, 400, 400]
            assert count_code(answers, WRONG) == 2
        assert await person.show_codes(1, person.token) == codes[3:]

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_two_codes_at_once_are_both_good_and_both_counted(house: House) -> None:
    """R1."""

    async def race(person: Person) -> None:
        codes = await person.show_codes(0, person.token)
        tokens = [await person.pending(replica) for replica in (0, 1)]
        answers = await at_once(*(person.authenticate(n, tokens[n], codes[n]) for n in (0, 1)))
        assert statuses(answers) == [200, 200]
        assert await person.show_codes(1, person.token) == codes[2:]

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_of_many_renewals_at_once_one_set_is_left(house: House) -> None:
    """R4: whoever was told codes that are not the last ones has codes that are dead."""

    async def race(person: Person) -> None:
        answers = await at_once(*(person.generate_codes(n % 2, person.token) for n in range(4)))
        assert all(answer.status == 200 or is_turned_away(answer) for answer in answers)
        told = [a.body["data"]["unused_codes"] for a in answers if a.status == 200]
        left = await person.show_codes(0, person.token)
        assert left in told
        for codes in told:
            answer = await person.reauthenticate_by_code(1, person.token, codes[0])
            assert answer.status == (200 if codes == left else 400)

    people = await several(house, protected)
    await asyncio.gather(*map(race, people))
    for person in people:
        assert len(await house.registered(person.id)) == 1


async def test_parallel_guesses_at_both_kinds_reveal_no_more_than_the_limit(house: House) -> None:
    """R7, L2: five wrong codes in all, of whatever form, and then no right one is looked at."""
    person = await protected(house)
    codes = await person.show_codes(0, person.token)
    tokens = [await person.pending(replica) for replica in (0, 1)]
    guesses = [*person.device.wrong_codes(15), *(f"{n:08}" for n in range(15))]

    answers = await at_once(
        *(person.authenticate(n % 2, tokens[n % 2], code) for n, code in enumerate(guesses))
    )

    assert count_code(answers, WRONG) == LIMIT
    assert count_code(answers, LIMITED) == len(guesses) - LIMIT
    late = await person.authenticate(1, tokens[1], codes[0])
    assert late.codes == [LIMITED]
    assert codes[0] in await person.show_codes(1, person.token)
