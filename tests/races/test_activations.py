"""One activation counts, and no login passes by a factor that is active."""

import asyncio

import pytest

from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import (
    BOTH,
    PEOPLE,
    Person,
    at_once,
    count_code,
    is_turned_away,
    join,
    several,
    statuses,
    token_of,
)

pytestmark = pytest.mark.long

LIMIT = 5  # wrong codes until the second factor rests


async def test_of_two_activations_one_counts(house: House) -> None:
    """T6: two sessions, two secrets, one account: the winner's device is the one that works."""

    async def race(person: Person) -> None:
        tokens = [await person.session_to_change_things(n) for n in (0, 1)]
        devices = [await person.show_totp(n, tokens[n]) for n in (0, 1)]

        answers = await at_once(*(person.activate(n, tokens[n], devices[n].code()) for n in (0, 1)))

        (winner,) = [n for n in (0, 1) if answers[n].status == 200]
        assert _is_refused(answers[1 - winner])
        assert [await person.enrolled(n) for n in (0, 1)] == [BOTH, BOTH]
        pending = await person.pending(1 - winner)
        wrong = await person.authenticate(winner, pending, devices[1 - winner].code())
        assert wrong.codes == ["incorrect_code"]
        right = await person.authenticate(winner, pending, devices[winner].code())
        assert right.status == 200

    people = await several(house, join)
    await asyncio.gather(*map(race, people))
    for person in people:
        assert len(await house.registered(person.id)) == 1


async def test_one_activation_asked_for_many_times_makes_one_authenticator(house: House) -> None:
    """T1, T4: one code, four requests; what was told is what counts, and the code is spent."""

    async def race(person: Person) -> None:
        token = await person.session_to_change_things(0)
        device = await person.show_totp(1, token)
        code = device.code()

        answers = await at_once(*(person.activate(n % 2, token, code) for n in range(4)))

        told = sum(answer.status == 200 for answer in answers)
        assert all(answer.status == 200 or _is_refused(answer) for answer in answers)
        assert told == 1
        assert await person.enrolled(0) == await person.enrolled(1) == BOTH
        again = await person.authenticate(1, await person.pending(0), code)
        assert again.codes == ["incorrect_code"]

    people = await several(house, join)
    await asyncio.gather(*map(race, people))
    for person in people:
        assert len(await house.registered(person.id)) == 1


async def test_parallel_guesses_at_an_activation_reveal_no_more_than_the_limit(
    house: House,
) -> None:
    """T9, L2, L3: who has the session but not the phone is told of five wrong codes in all."""
    person = await join(house)
    sessions = [(n, await person.session_to_change_things(n)) for n in (0, 1)]
    devices = [await person.show_totp(*session) for session in sessions]
    left = [(n % 2, code) for n, code in enumerate(devices[0].wrong_codes(40))]
    wrong = limited = 0

    while left:  # who is turned away by another's activation comes again
        answers = await at_once(*(person.activate(*sessions[n], code) for n, code in left))
        left = [guess for guess, a in zip(left, answers, strict=True) if is_turned_away(a)]
        wrong += count_code(answers, "incorrect_code")
        limited += count_code(answers, "rate_limited")

    assert (wrong, limited) == (LIMIT, 40 - LIMIT)
    right = await at_once(*(person.activate(*sessions[n], devices[n].code()) for n in (0, 1)))
    assert count_code(right, "rate_limited") == 2
    assert await house.registered(person.id) == []


@pytest.mark.parametrize("held_up", ["session", "totp"])
async def test_a_login_passes_by_no_half_finished_activation(house: House, held_up: str) -> None:
    """O4, O8: it is turned away, or undoes what is half made, and that will never count.

    A process is stopped in the middle of activations, for so long that it may be dead. Meanwhile
    people log in at the other replica.
    """
    replica = house.replicas[0]
    server = replica.session if held_up == "session" else replica.totp
    for _ in range(2):
        people, tokens = await _about_to_activate(house)

        activations = _activated(people, tokens)
        early = asyncio.create_task(at_once(*(person.log_in(1) for person in people)))
        while not (await house.half_done() or any(task.done() for task in activations)):
            pass
        with server.stopped():
            half_done = await house.half_done()
            await house.age_changes()
            during = await at_once(*(person.log_in(1) for person in people))
        answers = await at_once(*activations)

        for n, person in enumerate(people):
            assert not (person.id in half_done and during[n].status == answers[n].status == 200)
            await _fits(person, answers[n], [(await early)[n], during[n]])


async def test_a_login_under_way_passes_by_no_activation(house: House) -> None:
    """O4, O6, O8: the password was checked before, the session would be there after: refused.

    A process is stopped in the middle of logins. Meanwhile TOTP is turned on at the other replica.
    """
    for _ in range(2):
        people, tokens = await _about_to_activate(house)

        logins = [asyncio.create_task(person.log_in(1)) for person in people]
        await asyncio.wait(logins, return_when=asyncio.FIRST_COMPLETED)
        with house.replicas[1].session.stopped():
            answers = await at_once(*_activated(people, tokens))
        assert statuses(answers) == [200] * PEOPLE

        for person, answer, login in zip(people, answers, await at_once(*logins), strict=True):
            await _fits(person, answer, [login])


async def test_an_activation_under_way_does_not_outlive_its_session(house: House) -> None:
    """N3: a logout at the other replica is final, also for what was to be written with it.

    A process is stopped in the middle of activations. Meanwhile their sessions are ended.
    """
    people, tokens = await _about_to_activate(house)

    activations = _activated(people, tokens)
    while not (await house.half_done() or any(task.done() for task in activations)):
        pass
    with house.replicas[0].session.stopped():
        logouts = await at_once(
            *(person.log_out(1, token) for person, token in zip(people, tokens, strict=True))
        )
    assert all(answer.meta["is_authenticated"] is False for answer in logouts)

    for person, answer in zip(people, await at_once(*activations), strict=True):
        counts = answer.status == 200
        assert counts or answer.status in {401, 410} or is_turned_away(answer)
        if counts:
            events = await house.events(person.id)
            assert events.index("authenticator_added") < events.index("logged_out")
        assert len(await house.registered(person.id)) == int(counts)


async def _about_to_activate(house: House) -> tuple[list[Person], list[str]]:
    """Return people who have set a device up, and the tokens of the sessions they did it in."""
    people = await several(house, join)
    tokens = [await person.session_to_change_things(0) for person in people]
    for person, token in zip(people, tokens, strict=True):
        person.device = await person.show_totp(1, token)
    return people, tokens


def _activated(people: list[Person], tokens: list[str]) -> list[asyncio.Task[Answer]]:
    """Have everybody activate at once, on one replica."""
    return [
        asyncio.create_task(person.activate(0, token, person.device.code()))
        for person, token in zip(people, tokens, strict=True)
    ]


async def _fits(person: Person, activation: Answer, logins: list[Answer]) -> None:
    """Whoever logged in without a code did so before the factor counted."""
    counts = activation.status == 200
    assert counts or _is_refused(activation)
    for login in logins:
        passes, owes = login.status == 200, login.status == 401
        assert passes or (owes and counts) or is_turned_away(login), login
    assert await person.enrolled(0) == await person.enrolled(1) == BOTH * counts
    late = await person.log_in(0)
    if counts:
        events = await person.house.events(person.id)
        assert "logged_in" not in events[events.index("authenticator_added") :]
        assert late.pending == ["mfa_authenticate"]
        late = await person.authenticate(0, token_of(late), person.device.code())
    assert late.status == 200
    assert len(await person.house.registered(person.id)) == int(counts)


def _is_refused(answer: Answer) -> bool:
    return answer.codes == ["incorrect_code"] or is_turned_away(answer)
