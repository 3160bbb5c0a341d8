"""People who are measured with: how they come to have accounts and factors."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyotp

from bench.client import Client
from tests.webauthn.authenticator import Device

PERIOD = 5  # seconds of a time step, on both sides
TOTP = "account/authenticators/totp"
CODES = "account/authenticators/recovery-codes"
KEYS = "account/authenticators/webauthn"
PASSWORD = "correct-horse-9"  # noqa: S105
AT_ONCE = 4


@dataclass
class Person:
    """Somebody with an account. `step` is the time step whose code was used last."""

    email: str
    client: Client = field(repr=False)
    device: Device = field(repr=False)
    secret: str = field(default="", repr=False)
    codes: list[str] = field(default_factory=list, repr=False)
    step: int = 0

    @property
    def credentials(self) -> dict[str, str]:
        """What they log in with."""
        return {"email": self.email, "password": PASSWORD}

    async def sign_up(self) -> None:
        """Open an account; the address is verified by other means."""
        await self.client.expect(401, "POST", "auth/signup", self.credentials)
        self.client.token = None

    async def log_in(self) -> None:
        """Log in by password, without a second factor."""
        self.client.token = None
        await self.client.expect(200, "POST", "auth/login", self.credentials)

    async def log_out(self) -> None:
        """End the session: sessions that pile up would cost the next login."""
        await self.client.expect(401, "DELETE", "auth/session")
        self.client.token = None

    async def prove_again(self) -> None:
        """Reauthenticate, as is needed to change factors."""
        body = {"password": PASSWORD}
        await self.client.expect(200, "POST", "auth/reauthenticate", body)

    async def turn_totp_on(self) -> None:
        """Enrol an authenticator app."""
        shown = await self.client.expect(404, "GET", TOTP)
        self.secret = shown.body["meta"]["secret"]
        await self.client.expect(200, "POST", TOTP, {"code": self.code()})

    async def turn_totp_off(self) -> None:
        """Remove it again."""
        await self.client.expect(200, "DELETE", TOTP)

    async def note_codes(self) -> None:
        """Have the recovery codes shown."""
        shown = await self.client.expect(200, "GET", CODES)
        self.codes = shown.body["data"]["unused_codes"]

    async def add_passkey(self) -> None:
        """Enrol a passkey, which is good as a second factor too."""
        shown = await self.client.expect(200, "GET", f"{KEYS}?passwordless")
        credential = self.device.create(shown.body["data"]["creation_options"])
        await self.client.expect(200, "POST", KEYS, {"name": "Key", "credential": credential})

    def code(self) -> str:
        """Return the code of now."""
        now = int(time.time())
        self.step = now // PERIOD
        return pyotp.TOTP(self.secret, interval=PERIOD).at(now)

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the passkey's answer to request options."""
        return {"credential": self.device.get(asked["data"]["request_options"])}


async def join(
    people: Sequence[Person], verify: Callable[[], Awaitable[None]], *, factors: bool
) -> None:
    """Have everybody sign up and, if they are to have any, enrol every kind of factor."""
    await each(people, Person.sign_up)
    await verify()
    if factors:
        await each(people, _enrol)


async def enrol_totp(person: Person) -> None:
    """Log in, and enrol an authenticator app."""
    await person.log_in()
    await person.prove_again()
    await person.turn_totp_on()


async def _enrol(person: Person) -> None:
    await enrol_totp(person)
    await person.add_passkey()
    await person.note_codes()
    await person.log_out()


async def each(
    people: Sequence[Person], act: Callable[[Person], Awaitable[None]], at_once: int = AT_ONCE
) -> None:
    """Have everybody do something, a few at a time."""
    waiting = iter(people)

    async def work() -> None:
        for person in waiting:
            await act(person)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())


class Shows(Protocol):
    """Whoever shows codes; `step` is the time step whose code was used last."""

    step: int


async def fresh_codes(people: Sequence[Shows]) -> None:
    """Wait until the app of each shows a code that was not used."""
    latest = max(person.step for person in people)
    # A code of the step after the last is good as well, as soon as it is shown.
    await asyncio.sleep(max(0.0, (latest + 1) * PERIOD - time.time() + 0.1))
