"""Keys are added and removed at once, and what was told is what counts."""

import asyncio
from typing import Any

import pytest

from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import (
    Person,
    at_once,
    is_turned_away,
    join,
    protected,
    several,
    statuses,
)
from tests.races.replicas import SETTINGS
from tests.webauthn.authenticator import Device

pytestmark = pytest.mark.long

KEYS = "account/authenticators/webauthn"
TOTP = "account/authenticators/totp"


async def made(person: Person, replica: int, token: str) -> dict[str, Any]:
    """Return what a new device makes of the options of a session."""
    shown = await person.ask(replica, "GET", KEYS, None, token)
    assert shown.status == 200
    device = Device(origin=SETTINGS["PUBLIC_URL"])
    return {"credential": device.create(shown.body["data"]["creation_options"])}


async def add(person: Person, replica: int, token: str) -> str:
    """Add a key; return its id."""
    body = await made(person, replica, token)
    answer = await person.ask(replica, "POST", KEYS, body, token)
    assert answer.status == 200
    added: str = answer.body["data"]["id"]
    return added


def ids(answers: list[Answer]) -> list[str]:
    """Return the ids of the keys that were told of."""
    return [answer.body["data"]["id"] for answer in answers if answer.status == 200]


async def test_parallel_additions_all_count_or_come_again(house: House) -> None:
    """Four sessions with a device each: whoever is told of a key has one.

    Who comes when there is a key already has to prove who they are by it (401).
    """

    async def race(person: Person) -> None:
        tokens = [await person.session_to_change_things(n % 2) for n in range(4)]
        bodies = [await made(person, n % 2, token) for n, token in enumerate(tokens)]

        answers = await at_once(
            *(
                person.ask((n + 1) % 2, "POST", KEYS, bodies[n], token)
                for n, token in enumerate(tokens)
            )
        )

        told = ids(answers)
        assert told
        others = [answer for answer in answers if answer.status != 200]
        assert all(answer.status == 401 or is_turned_away(answer) for answer in others), others
        assert sorted(await house.registered(person.id, "webauthn")) == sorted(told)
        assert len(await house.registered(person.id, "recovery_codes")) == 1

    for person in await several(house, join):
        await race(person)


async def test_one_addition_asked_for_many_times_makes_one_key(house: House) -> None:
    """One credential, four requests at two replicas."""
    person = await join(house)
    token = await person.session_to_change_things(0)
    body = await made(person, 0, token)

    answers = await at_once(*(person.ask(n % 2, "POST", KEYS, body, token) for n in range(4)))

    assert len(ids(answers)) == 1
    assert {a.status for a in answers} <= {200, 400, 503}
    assert await house.registered(person.id, "webauthn") == ids(answers)


async def test_the_last_two_factors_are_removed_at_once(house: House) -> None:
    """R5: the codes go with whichever is the last, and a login asks for what is left."""

    async def race(person: Person) -> list[Answer]:
        key = await add(person, 0, person.token)
        return await at_once(
            person.ask(0, "DELETE", KEYS, {"authenticators": [key]}, person.token),
            person.ask(1, "DELETE", TOTP, None, person.token),
        )

    people = await several(house, protected)
    races = await asyncio.gather(*map(race, people))
    for person, answers in zip(people, races, strict=True):
        assert statuses(answers)[0] == 200
        left = {
            kind: await house.registered(person.id, kind)
            for kind in ("totp", "webauthn", "recovery_codes")
        }
        assert bool(left["webauthn"]) is (answers[0].status != 200)
        assert bool(left["totp"]) is (answers[1].status != 200)
        assert bool(left["recovery_codes"]) is bool(left["totp"] or left["webauthn"])
        answer = await person.log_in(0)
        assert (answer.status == 200) is not any(left.values())


async def test_a_key_is_removed_while_another_is_added(house: House) -> None:
    """Neither undoes the other."""

    async def race(person: Person) -> None:
        old = await add(person, 0, person.token)
        body = await made(person, 1, person.token)

        answers = await at_once(
            person.ask(0, "DELETE", KEYS, {"authenticators": [old]}, person.token),
            person.ask(1, "POST", KEYS, body, person.token),
        )

        assert any(answer.status == 200 for answer in answers)
        expected = [] if answers[0].status == 200 else [old]
        expected += ids(answers[1:])
        assert sorted(await house.registered(person.id, "webauthn")) == sorted(expected)

    for person in await several(house, protected):
        await race(person)
