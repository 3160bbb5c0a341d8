"""Guesses in bursts, over two replicas: no more are judged than the limit allows."""

from itertools import count

import pytest
from sqlalchemy import bindparam, select

from services.session.domain.limits import Limits, guessed_at
from services.session.store.tables import attempts
from shared.database import Statement
from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.people import PASSWORD, Person, at_once, count_code, join, protected
from tests.races.test_emails import added

pytestmark = pytest.mark.long

BURST = 200
PASSWORDS = 5  # judged of one account
ORIGIN = 10  # judged of one origin
MISMATCH, WRONG, LIMITED = "email_password_mismatch", "incorrect_code", "too_many_login_attempts"

COUNT = Statement(select(attempts.c.count).where(attempts.c.key == bindparam("key")))

_networks = count(1)


def elsewhere() -> str:
    """Return an address from which nobody has come yet."""
    number = next(_networks)
    return f"198.18.{number // 250}.{number % 250 + 1}"


async def guess(house: House, n: int, email: str, address: str, password: str = "") -> Answer:
    """Try a password, at one replica or the other."""
    body = {"email": email, "password": password or f"guess number {n}"}
    return await house.ask(n % 2, "POST", "auth/login", body, address=address)


async def test_a_burst_of_passwords_from_everywhere_reveals_five(house: House) -> None:
    """L2, L5, L6: by either address, however it is written, each guess from another network."""
    person = await join(house)
    other = f"other.{person.email}"
    await added(person, other)
    names = (person.email, person.email.upper(), f" {person.email.title()} ", other)

    answers = await at_once(*(guess(house, n, names[n % 4], elsewhere()) for n in range(BURST)))

    assert count_code(answers, MISMATCH) <= PASSWORDS
    assert await counted_of(house, person) == PASSWORDS
    for name in names:
        refused = await guess(house, 0, name, elsewhere(), PASSWORD)
        assert refused.codes == [LIMITED]


async def test_a_burst_from_one_origin_reveals_ten(house: House) -> None:
    """L2, L4: whatever the addresses, and though a password is right in between."""
    attacker, home = await join(house), elsewhere()

    answers = await at_once(
        *(
            guess(house, n, attacker.email, home, PASSWORD)
            if n % 20 == 0
            else guess(house, n, f"victim{n}@example.org", home)
            for n in range(BURST)
        )
    )

    assert count_code(answers, MISMATCH) <= ORIGIN


async def test_a_burst_of_strangers_leaves_the_owner_alone(house: House) -> None:
    """L8: who has logged in from home before gets in from home."""
    person = await join(house)
    await at_once(*(guess(house, n, person.email, elsewhere()) for n in range(40)))

    assert (await guess(house, 0, person.email, elsewhere(), PASSWORD)).codes == [LIMITED]
    assert (await person.log_in(1)).status == 200


async def test_a_burst_of_codes_reveals_five(house: House) -> None:
    """L2, L3, L5, T9: two hundred at once, at both replicas, through ten logins and a session."""
    person = await protected(house)
    tokens = [(n % 2, await person.pending(n % 2)) for n in range(10)]
    codes = person.device.wrong_codes(BURST)

    answers = await at_once(
        *(
            person.reauthenticate_by_code(n % 2, person.token, code)
            if n % 11 == 10
            else person.authenticate(*tokens[n % 10], code)
            for n, code in enumerate(codes)
        )
    )

    assert count_code(answers, WRONG) <= PASSWORDS
    right = await person.authenticate(*tokens[0], person.device.code())
    assert right.codes == [LIMITED]


async def counted_of(house: House, person: Person) -> int:
    """Return how many wrong passwords of strangers have been counted for somebody."""
    (_, counter) = Limits().strangers(guessed_at(person.id), ip="192.0.2.1")
    row = await house.db.find(COUNT, key=counter.key)
    return 0 if row is None else row.count
