"""A code lets one request in, and guessing ends, however many replicas are asked at once."""

import asyncio

from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import (
    Person,
    at_once,
    count_code,
    protected,
    several,
    statuses,
    token_of,
)

LIMIT = 5  # wrong codes until the second factor rests
WRONG, LIMITED = "incorrect_code", "too_many_login_attempts"


async def test_a_code_lets_one_of_all_requests_in(house: House) -> None:
    """T1: of two logins and a reauthentication with one code, exactly one is accepted."""

    async def race(person: Person) -> None:
        for _ in range(3):
            tokens = [await person.pending(replica) for replica in (0, 1)]
            code = person.device.code()
            answers = await at_once(
                person.authenticate(0, tokens[0], code),
                person.authenticate(1, tokens[1], code),
                person.reauthenticate_by_code(1, person.token, code),
            )
            assert statuses(answers) == [200, 400, 400]
            assert count_code(answers, WRONG) == 2

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_a_code_given_twice_for_one_login_makes_one_session(house: House) -> None:
    """T1, O1: a double click on two replicas passes the stage once."""

    async def race(person: Person) -> None:
        for _ in range(3):
            token, code = await person.pending(0), person.device.code()
            answers = await at_once(*(person.authenticate(n, token, code) for n in (0, 1)))
            await _one_session(person, token, answers)

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_two_right_codes_for_one_login_make_one_session(house: House) -> None:
    """O1: a step holds only for the login that was read, whatever else was accepted meanwhile."""

    async def race(person: Person) -> None:
        for _ in range(2):
            token = await person.pending(1)
            codes = [person.device.code() for _ in range(2)]
            answers = await at_once(*(person.authenticate(n, token, codes[n]) for n in (0, 1)))
            await _one_session(person, token, answers)

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_parallel_guesses_reveal_no_more_than_the_limit(house: House) -> None:
    """T9, L2, L5: sixty guesses through six logins and two replicas, and five are judged."""
    for _ in range(2):
        person = await protected(house)
        tokens = [(n % 2, await person.pending(n % 2)) for n in range(6)]

        answers = await at_once(
            *(
                person.authenticate(*tokens[n % 6], code)
                for n, code in enumerate(person.device.wrong_codes(60))
            )
        )

        assert (count_code(answers, WRONG), count_code(answers, LIMITED)) == (LIMIT, 60 - LIMIT)
        await _rests(person, tokens)


async def test_parallel_guesses_of_all_kinds_have_one_counter(house: House) -> None:
    """L2, L3, T9: who is logged in and who is not use up the same five."""
    for _ in range(2):
        person = await protected(house)
        tokens = [(n, await person.pending(n)) for n in (0, 1)]
        codes = person.device.wrong_codes(20)

        answers = await at_once(
            *(person.reauthenticate_by_code(n % 2, person.token, codes[n]) for n in range(10)),
            *(person.authenticate(*tokens[n % 2], codes[n]) for n in range(10, 20)),
        )

        assert (count_code(answers, WRONG), count_code(answers, LIMITED)) == (LIMIT, 20 - LIMIT)
        await _rests(person, tokens)


async def test_a_right_code_among_guesses_comes_first_or_is_not_judged(house: House) -> None:
    """L1, L2: once the fifth has failed, nothing is accepted, not even what was on its way."""
    for place in (0, 3, 8):
        person = await protected(house)
        tokens = [(n % 2, await person.pending(n % 2)) for n in range(5)]
        codes = person.device.wrong_codes(LIMIT - 1 + 10)
        first, later = codes[: LIMIT - 1], codes[LIMIT - 1 :]
        await at_once(*(person.authenticate(*tokens[0], code) for code in first))

        requests = [person.authenticate(*tokens[n % 4], code) for n, code in enumerate(later)]
        requests.insert(place, person.authenticate(*tokens[4], person.device.code()))
        answers = await at_once(*requests)

        right = answers.pop(place)
        if right.status == 200:  # before all others, which then had five of their own
            assert count_code(answers, WRONG) == LIMIT
        else:
            assert right.codes == [LIMITED]
            assert count_code(answers, WRONG) == 1
        await _rests(person, tokens[:4])


async def _rests(person: Person, tokens: list[tuple[int, str]]) -> None:
    """Right codes are refused by every replica, and the logins still wait."""
    code = person.device.code()
    refused = await at_once(*(person.authenticate(*token, code) for token in tokens))
    assert count_code(refused, LIMITED) == len(tokens)
    for token in tokens:
        assert (await person.standing(*token)).pending == ["mfa_authenticate"]


async def _one_session(person: Person, pending: str, answers: list[Answer]) -> None:
    (made,) = [token_of(answer) for answer in answers if answer.status == 200]
    for replica in (0, 1):
        assert (await person.standing(replica, made)).status == 200
        assert (await person.standing(replica, pending)).status == 410
