"""Forgotten passwords in bursts, over two replicas: one code sets one, and ends all else."""

import asyncio

import pytest

from services.session.domain.mails import MailKind
from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import Person, at_once, join, protected, several, token_of

pytestmark = pytest.mark.long

BURST = 12
RESET = "auth/password/reset"
SET, PENDING = 401, ["mfa_authenticate"]  # who has reset a password is not logged in by that


async def forgotten(person: Person, replica: int) -> tuple[str, str]:
    """Ask for a new password; return the token of that session, and the code that was mailed."""
    body = {"email": person.email}
    asked = await person.ask(replica, "POST", "auth/password/request", body, None)
    letters = await person.house.letters(person.email)
    kind = MailKind.PASSWORD_RESET_CODE
    (*_, code) = [letter.facts["code"] for letter in letters if letter.kind is kind]
    return token_of(asked), code


async def reset(person: Person, replica: int, token: str, code: str, password: str) -> Answer:
    """Give the code with a new password."""
    return await person.ask(replica, "POST", RESET, {"key": code, "password": password}, token)


async def test_one_code_sets_one_password(house: House) -> None:
    """O1: whoever loses is told that nothing waits for a code any more."""
    person = await join(house)
    token, code = await forgotten(person, 0)
    news = [f"battery-staple-{person.number}-{n}" for n in range(BURST)]

    answers = await at_once(*(reset(person, n % 2, token, code, new) for n, new in enumerate(news)))

    (won,) = [n for n, answer in enumerate(answers) if answer.status == SET]
    assert {answer.status for answer in answers} <= {SET, 409, 410}
    assert (await house.events(person.id)).count("password_reset") == 1
    assert (await person.standing(1, person.token)).status == 410
    person.password = news[won]
    assert (await person.log_in(1)).status == 200


async def test_no_login_in_progress_survives_a_reset(house: House) -> None:
    """O6, O7, N4: nor does a reset that comes between spare anybody the second factor."""

    async def race(person: Person) -> None:
        pending = await person.pending(1)
        token, code = await forgotten(person, 0)
        new = f"battery-staple-{person.number}"
        completed, done, begun = await at_once(
            person.authenticate(1, pending, person.device.code()),
            reset(person, 0, token, code, new),
            person.log_in(1),
        )
        assert done.status == SET
        for login in (completed, begun):
            if "session_token" in login.body.get("meta", {}):
                await _is_over(person, token_of(login))
        person.password = new
        assert (await person.log_in(1)).pending == PENDING

    await asyncio.gather(*map(race, await several(house, protected)))


async def _is_over(person: Person, token: str) -> None:
    for replica in (0, 1):
        assert (await person.standing(replica, token)).status == 410
