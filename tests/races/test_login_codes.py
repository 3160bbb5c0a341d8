"""Login codes in bursts, over two replicas: one code opens one session, and three are judged."""

import pytest

from services.session.domain.codes import normalise_code
from services.session.domain.mails import MailKind
from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import Person, at_once, count_code, join, token_of

pytestmark = pytest.mark.long

BURST = 40
GUESSES = 3
SESSIONS = 12
WRONG = "incorrect_code"
MAILED = 5  # in five minutes, that anybody can ask for


async def request(person: Person, replica: int) -> Answer:
    """Ask for a code, in a new session."""
    return await person.ask(replica, "POST", "auth/code/request", {"email": person.email}, None)


async def confirm(person: Person, replica: int, token: str, code: str) -> Answer:
    """Give a code."""
    return await person.ask(replica, "POST", "auth/code/confirm", {"code": code}, token)


async def login_codes(person: Person) -> list[str]:
    """Return the login codes that were mailed so far."""
    letters = await person.house.letters(person.email)
    return [letter.facts["code"] for letter in letters if letter.kind is MailKind.LOGIN_CODE]


async def waiting(person: Person, replica: int = 0) -> tuple[str, str]:
    """Return the token of a login that waits for its code, and that code."""
    asked = await request(person, replica)
    assert asked.pending == ["login_by_code"]
    return token_of(asked), (await login_codes(person))[-1]


async def test_one_code_opens_one_session(house: House) -> None:
    """O1: whoever loses is told that it does not fit, or that the session is over."""
    person = await join(house)
    token, code = await waiting(person)
    before = set(await house.sessions(person.id))

    answers = await at_once(*(confirm(person, n % 2, token, code) for n in range(BURST)))

    assert sorted({answer.status for answer in answers} - {200}) in ([], [409], [410], [409, 410])
    assert [answer.status for answer in answers].count(200) == 1
    (opened,) = [answer for answer in answers if answer.status == 200]
    assert (await person.standing(1, token_of(opened))).status == 200
    assert len(set(await house.sessions(person.id))) == len(before)
    assert (await house.events(person.id)).count("logged_in") == 2  # the sign-up was one


async def test_a_burst_of_guesses_at_one_code_judges_three(house: House) -> None:
    """L2, L5: and the right code is worth nothing after them."""
    person = await join(house)
    token, code = await waiting(person)
    wrong = [guess for guess in guesses(BURST) if guess != normalise_code(code)]

    answers = await at_once(
        *(confirm(person, n % 2, token, guess) for n, guess in enumerate(wrong))
    )

    judged = count_code(answers, WRONG)
    assert judged <= GUESSES
    for _ in range(GUESSES - judged):
        assert (await confirm(person, 0, token, wrong[0])).status == 400
    assert (await confirm(person, 1, token, code)).status == 409


async def test_a_burst_of_logins_leaves_few_guesses(house: House) -> None:
    """L1, L2: sessions without end are no guesses without end, for each takes a mail."""
    person = await join(house)
    asked = await at_once(*(request(person, n % 2) for n in range(SESSIONS)))
    tokens = [token_of(answer) for answer in asked if answer.status == 401]
    assert 0 < len(tokens) <= MAILED

    wrong = guesses(BURST)
    answers = await at_once(
        *(confirm(person, n % 2, tokens[n % len(tokens)], wrong[n]) for n in range(BURST))
    )

    assert count_code(answers, WRONG) <= GUESSES * len(tokens)
    assert len(await login_codes(person)) == len(tokens)


def guesses(number: int) -> list[str]:
    """Return different codes of the right form."""
    letters = "BCDFGHJKLMNPQRSTVWXZ"
    return [f"BBBBBB{letters[n // 20]}{letters[n % 20]}" for n in range(number)]
