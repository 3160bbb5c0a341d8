"""The flows that are compared, as an app goes through them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.people import Person, each, fresh_codes

Act = Callable[[Person], Awaitable[None]]
Preparation = Callable[[Sequence[Person]], Awaitable[None]]


@dataclass(frozen=True)
class Flow:
    """What is measured, of one person, and what comes before and after it, which is not.

    `must` and `aim` are how many times less CPU it is to take than at the peer.
    """

    letter: str
    name: str
    act: Act
    before: Preparation
    after: Preparation
    must: float
    aim: float


async def by_password(person: Person) -> None:
    """Log in by password, so that a second factor is asked for."""
    person.client.token = None
    await person.client.expect(401, "POST", "auth/login", person.credentials)


async def give_code(person: Person) -> None:
    """Give a time-based code, which is the second factor."""
    await person.client.expect(200, "POST", "auth/2fa/authenticate", {"code": person.code()})


async def by_totp(person: Person) -> None:
    """Log in by password, then by a time-based code."""
    await by_password(person)
    await give_code(person)


async def by_recovery_code(person: Person) -> None:
    """Log in by password, then by a recovery code."""
    await by_password(person)
    body = {"code": person.codes.pop()}
    await person.client.expect(200, "POST", "auth/2fa/authenticate", body)


async def by_key(person: Person) -> None:
    """Log in by password, then by a security key."""
    await by_password(person)
    asked = await person.client.expect(200, "GET", "auth/webauthn/authenticate")
    answer = person.answer(asked.body)
    await person.client.expect(200, "POST", "auth/webauthn/authenticate", answer)


async def by_passkey(person: Person) -> None:
    """Log in by a passkey alone."""
    person.client.token = None
    asked = await person.client.expect(200, "GET", "auth/webauthn/login")
    await person.client.expect(200, "POST", "auth/webauthn/login", person.answer(asked.body))


async def look(person: Person) -> None:
    """Ask who is logged in."""
    await person.client.expect(200, "GET", "auth/session")


async def enrol_totp(person: Person) -> None:
    """Enrol an authenticator app, with which recovery codes are made."""
    await person.turn_totp_on()


async def _nothing(_people: Sequence[Person]) -> None:
    pass


async def _log_out(people: Sequence[Person]) -> None:
    await each(people, Person.log_out)


async def _log_in_by_passkey(people: Sequence[Person]) -> None:
    await each(people, by_passkey)


async def _get_ready_to_enrol(people: Sequence[Person]) -> None:
    await each(people, Person.log_in)
    await each(people, Person.prove_again)


async def _undo_enrolment(people: Sequence[Person]) -> None:
    await each(people, Person.turn_totp_off)
    await _log_out(people)


FLOWS = (
    Flow("A", "password, then TOTP", by_totp, fresh_codes, _log_out, 7, 12),
    Flow("B", "password, then recovery code", by_recovery_code, _nothing, _log_out, 5, 10),
    Flow("C", "password, then WebAuthn", by_key, _nothing, _log_out, 5, 10),
    Flow("D", "passkey login", by_passkey, _nothing, _log_out, 5, 10),
    Flow("E", "`GET auth/session`", look, _log_in_by_passkey, _log_out, 7, 15),
    Flow("F", "TOTP enrolment", enrol_totp, _get_ready_to_enrol, _undo_enrolment, 5, 10),
)
"""In F, `people` are those without a factor."""
