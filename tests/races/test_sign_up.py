"""An address has one account, and a mailed code opens it once."""

import asyncio

import pytest

from services.session.domain.codes import new_code
from services.session.domain.mails import MailKind
from tests.races.house import House
from tests.races.people import PEOPLE, Person, at_once, count_code, token_of

pytestmark = pytest.mark.long

MAILS = 4  # below the limit of mails to one address
GUESSES = 3  # wrong codes that end a login


async def test_signing_up_twice_at_once_makes_one_account(house: House) -> None:
    """O3: all are answered alike, and of the codes that are mailed one passes its login."""

    async def race(person: Person) -> None:
        answers = await at_once(*(person.sign_up(n % 2) for n in range(MAILS)))
        assert [answer.pending for answer in answers] == [["verify_email"]] * MAILS
        (owner,) = await house.accounts(person.email)
        letters = await house.letters(person.email)
        assert [letter.kind for letter in letters] == [MailKind.VERIFICATION_CODE] * MAILS

        sessions = []
        for letter in letters:
            tries = await at_once(
                *(
                    person.verify(n % 2, token_of(answers[n]), letter.facts["code"])
                    for n in range(MAILS)
                )
            )
            assert {answer.status for answer in tries} <= {200, 400, 409, 410}
            sessions += [answer for answer in tries if answer.status == 200]
        (session,) = sessions
        assert session.body["data"]["user"]["id"] == owner

    await asyncio.gather(*(race(Person(house)) for _ in range(PEOPLE)))


async def test_a_mailed_code_given_many_times_at_once_makes_one_session(house: House) -> None:
    """O1: of six requests with the code that was mailed, one passes the stage."""

    async def race(person: Person) -> None:
        pending = token_of(await person.sign_up(0))
        key = await person.mailed_code()

        answers = await at_once(*(person.verify(n % 2, pending, key) for n in range(6)))

        (session,) = [answer for answer in answers if answer.status == 200]
        assert {answer.status for answer in answers} <= {200, 409, 410}
        for replica in (0, 1):
            assert (await person.standing(replica, token_of(session))).status == 200
            assert (await person.standing(replica, pending)).status == 410
        assert len(await house.sessions(session.body["data"]["user"]["id"])) == 1

    await asyncio.gather(*(race(Person(house)) for _ in range(PEOPLE)))


async def test_parallel_guesses_of_a_mailed_code_end_its_login(house: House) -> None:
    """L2: thirty wrong codes at once, and three are judged; then the right one is too late."""
    for _ in range(3):
        person = Person(house)
        pending = token_of(await person.sign_up(1))
        key = await person.mailed_code()

        guesses = (person.verify(n % 2, pending, new_code()) for n in range(30))
        judged = count_code(await at_once(*guesses), "incorrect_code")
        while (answer := await person.verify(0, pending, new_code())).status != 409:
            assert answer.codes == ["incorrect_code"]
            judged += 1

        assert judged == GUESSES
        assert (await person.verify(1, pending, key)).status == 409
