"""Addresses in bursts, over two replicas: each is one person's, and each person has one primary."""

import asyncio

import pytest

from services.session.domain.codes import new_code
from services.session.domain.mails import MailKind
from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import PEOPLE, Person, at_once, count_code, join, several

pytestmark = pytest.mark.long

EMAIL = "account/email"
BURST = 12
GUESSES = 3
WRONG = "incorrect_code"


async def add(person: Person, replica: int, email: str, token: str | None = None) -> Answer:
    """Say that another address is theirs."""
    return await person.ask(replica, "POST", EMAIL, {"email": email}, token or person.token)


async def make_primary(person: Person, replica: int, email: str) -> Answer:
    """Make an address the primary one."""
    body = {"email": email, "primary": True}
    return await person.ask(replica, "PATCH", EMAIL, body, person.token)


async def remove(person: Person, replica: int, email: str) -> Answer:
    """Remove an address."""
    return await person.ask(replica, "DELETE", EMAIL, {"email": email}, person.token)


async def addresses(person: Person, replica: int) -> list[tuple[str, bool, bool]]:
    """Return what a replica lists."""
    answer = await person.ask(replica, "GET", EMAIL, None, person.token)
    return [(entry["email"], entry["verified"], entry["primary"]) for entry in answer.body["data"]]


async def code_to(house: House, email: str) -> str:
    """Return the code that was mailed to an address last."""
    letters = await house.letters(email)
    return [m.facts["code"] for m in letters if m.kind is MailKind.VERIFICATION_CODE][-1]


async def added(person: Person, email: str) -> None:
    """Add an address and prove it."""
    assert (await add(person, 0, email)).status == 200
    code = await code_to(person.house, email)
    assert (await person.verify(1, person.token, code)).status == 200


async def test_one_code_adds_one_address(house: House) -> None:
    """O1: whoever loses is told that nothing waits for it any more."""

    async def race(person: Person) -> None:
        email = f"more.{person.email}"
        await add(person, 0, email)
        code = await code_to(house, email)

        answers = await at_once(*(person.verify(n % 2, person.token, code) for n in range(BURST)))

        assert [answer.status for answer in answers].count(200) == 1
        assert {answer.status for answer in answers} <= {200, 409}
        assert (await house.events(person.id)).count("email_added") == 1
        assert await addresses(person, 1) == [(person.email, True, True), (email, True, False)]

    await asyncio.gather(*(race(person) for person in await several(house, join)))


async def test_parallel_guesses_of_a_code_end_its_proof(house: House) -> None:
    """L2: looking and giving are one count, and the right code is worth nothing after three."""
    person = await join(house)
    email = f"guessed.{person.email}"
    await add(person, 0, email)
    code = await code_to(house, email)

    answers = await at_once(
        *(person.verify(n % 2, person.token, new_code()) for n in range(BURST)),
    )
    judged = count_code(answers, WRONG)
    while (answer := await person.verify(0, person.token, new_code())).status != 409:
        assert answer.codes == [WRONG]
        judged += 1

    assert judged == GUESSES
    assert (await person.verify(1, person.token, code)).status == 409
    assert await addresses(person, 0) == [(person.email, True, True)]


async def test_an_address_is_one_persons(house: House) -> None:
    """All who have its code give it at once, and somebody signs up with it: one has it."""
    people = await several(house, join)
    email = f"wanted.{people[0].email}"
    codes = []
    for person in people:
        assert (await add(person, 0, email)).status == 200
        codes.append(await code_to(house, email))

    answers = await at_once(
        *(
            person.verify(n % 2, person.token, code)
            for n, (person, code) in enumerate(zip(people, codes, strict=True))
        ),
    )

    assert [answer.status for answer in answers].count(200) == 1
    assert count_code(answers, "email_taken") == PEOPLE - 1
    assert len(await house.accounts(email)) == 1


async def test_a_sign_up_and_a_proof_do_not_share_an_address(house: House) -> None:
    """Who finishes first has it: either the sign-up is displaced, or the proof comes too late."""
    for _ in range(PEOPLE):
        person, other = await join(house), Person(house)
        assert (await add(person, 0, other.email)).status == 200
        mine = await code_to(house, other.email)
        signed_up = await other.sign_up(1)
        theirs = await code_to(house, other.email)

        proof, verified = await at_once(
            person.verify(0, person.token, mine),
            other.verify(1, signed_up.meta["session_token"], theirs),
        )

        (owner,) = await house.accounts(other.email)
        assert [proof.status, verified.status].count(200) == 1
        assert (owner == person.id) is (proof.status == 200)


async def test_there_is_one_primary_address(house: House) -> None:
    """However many are made primary at once, and whatever is removed meanwhile."""

    async def race(person: Person) -> None:
        others = [f"{name}.{person.email}" for name in ("a", "b")]
        for email in others:
            await added(person, email)
        every = [person.email, *others]

        answers = await at_once(
            *(make_primary(person, n % 2, every[n % 3]) for n in range(6)),
            *(remove(person, n % 2, email) for n, email in enumerate(others)),
        )

        assert {answer.status for answer in answers} <= {200, 400, 503}
        for replica in (0, 1):
            listed = await addresses(person, replica)
            assert [primary for _, _, primary in listed].count(True) == 1
            standing = await person.standing(replica, person.token)
            assert standing.body["data"]["user"]["email"] == listed[0][0]

    await asyncio.gather(*(race(person) for person in await several(house, join)))
