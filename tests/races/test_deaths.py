"""When a process is killed the others go on, and nobody gets past what it was to judge."""

import asyncio
from collections.abc import Awaitable, Iterable

import httpx
import pytest

from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import (
    PEOPLE,
    Person,
    at_once,
    is_turned_away,
    join,
    protected,
    several,
    statuses,
    token_of,
)
from tests.races.replicas import Server

pytestmark = pytest.mark.long

Result = Answer | BaseException


async def test_a_factor_that_is_killed_lets_nobody_in(house: House) -> None:
    """O4: logins wait, are told when to come again, and go on at another replica, or later."""
    people = await several(house, protected)
    totp = house.replicas[0].totp

    during = await killed_during(
        totp, [p.authenticate(0, await p.pending(0), p.device.code()) for p in people]
    )
    try:
        assert all(_is(result, 200) or _is(result, 503) for result in during)
        tokens = [await person.pending(0) for person in people]
        after = await at_once(*_codes_given(people, tokens))
        assert all(is_turned_away(answer) for answer in after)
        for person, token in zip(people, tokens, strict=True):
            assert (await person.standing(0, token)).pending == ["mfa_authenticate"]
        elsewhere = await at_once(*_codes_given(people[::2], tokens[::2], replica=1))
        assert statuses(elsewhere) == [200] * (PEOPLE // 2)
    finally:
        await asyncio.to_thread(totp.restart)
    again = await at_once(*_codes_given(people[1::2], tokens[1::2]))
    assert statuses(again) == [200] * (PEOPLE // 2)


async def test_when_session_is_killed_the_other_replica_knows_all_that_it_knew(
    house: House,
) -> None:
    """T1, O1, O4: what was told holds, what was not is done wholly or not at all."""
    people = await several(house, protected)
    newcomers = await several(house, join)
    for newcomer in newcomers:
        newcomer.device = await newcomer.show_totp(1, newcomer.token)
        assert (await newcomer.reauthenticate(1, newcomer.token)).status == 200
    tokens = [await person.pending(0) for person in people]
    codes = [person.device.code() for person in people]
    session = house.replicas[0].session

    during = await killed_during(
        session,
        [
            *(p.authenticate(0, t, c) for p, t, c in zip(people, tokens, codes, strict=True)),
            *(p.activate(0, p.token, p.device.code()) for p in newcomers),
        ],
    )
    try:
        for person, token, code, before in zip(people, tokens, codes, during, strict=False):
            assert _is(before, 200) or isinstance(before, httpx.TransportError)
            again = await person.authenticate(1, token, code)
            assert not (_is(before, 200) and again.status == 200)
            assert again.status == 200 or again.codes == ["incorrect_code"] or again.status == 410
            person.token = await _logged_in(person)
        for newcomer, before in zip(newcomers, during[PEOPLE:], strict=True):
            assert _is(before, 200) or isinstance(before, httpx.TransportError)
            at_first = await newcomer.log_in(1)
            assert at_first.status in {200, 401} or is_turned_away(at_first)
            await house.age_changes()  # nobody waits longer than that for who may be dead
            answer = await newcomer.log_in(1)
            assert answer.status == 401 if _is(before, 200) else answer.status in {200, 401}
            counts = await house.registered(newcomer.id)
            assert len(counts) == int(answer.status == 401)
    finally:
        await asyncio.to_thread(session.restart)
    for person in people:
        assert (await person.standing(0, person.token)).status == 200


async def killed_during(server: Server, requests: Iterable[Awaitable[Answer]]) -> list[Result]:
    """Make requests at the same time, and kill a process as soon as one has been answered."""
    tasks = [asyncio.ensure_future(request) for request in requests]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    server.kill()
    return await asyncio.gather(*tasks, return_exceptions=True)


def _codes_given(
    people: list[Person], tokens: list[str], replica: int = 0
) -> Iterable[Awaitable[Answer]]:
    return (
        person.authenticate(replica, token, person.device.code())
        for person, token in zip(people, tokens, strict=True)
    )


async def _logged_in(person: Person) -> str:
    answer = await person.authenticate(1, await person.pending(1), person.device.code())
    assert answer.status == 200
    return token_of(answer)


def _is(result: Result, status: int) -> bool:
    return isinstance(result, Answer) and result.status == status
