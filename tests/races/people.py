"""People with devices, who do things at one replica or the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

import pyotp

from services.session.domain.mails import MailKind
from tests.journeys.client import Answer
from tests.races.house import House
from tests.races.replicas import PERIOD, TOLERANCE

PEOPLE = 4  # who race at the same time, each with a race of their own
PASSWORD = "correct-horse-9"
TOTP = "account/authenticators/totp"
CODES = "account/authenticators/recovery-codes"
BOTH = ["totp", "recovery_codes"]  # what there is once TOTP is on

_numbers = count(1)


@dataclass
class Device:
    """An authenticator app, which shows each code once."""

    secret: str
    last_step: int = 0

    def code(self) -> str:
        """Return a code that is good now, and that was not shown before."""
        # Not the oldest that is good: a period may end before the code arrives.
        self.last_step = max(self.last_step + 1, _step() - TOLERANCE + 1)
        assert self.last_step <= _step() + TOLERANCE, "no code is left for now"
        return self._code_of(self.last_step)

    def wrong_codes(self, number: int) -> list[str]:
        """Return codes that the device does not show, each of them once."""
        step = _step()
        right = {self._code_of(step + n) for n in range(-2 * TOLERANCE, 2 * TOLERANCE)}
        codes = (f"{n:06}" for n in count())
        return [next(code for code in codes if code not in right) for _ in range(number)]

    def _code_of(self, step: int) -> str:
        return pyotp.TOTP(self.secret, interval=PERIOD).generate_otp(step)


@dataclass
class Person:
    """Somebody with an address of their own. `token` is of the session they signed up in."""

    house: House
    number: int = field(default_factory=lambda: next(_numbers))
    id: str = ""
    token: str = ""
    device: Device = field(default_factory=lambda: Device(""))
    password: str = PASSWORD

    @property
    def email(self) -> str:
        """Their e-mail address."""
        return f"p{self.number}@example.org"

    @property
    def home(self) -> str:
        """Their network address."""
        return f"10.0.{self.number // 250}.{self.number % 250 + 1}"

    @property
    def credentials(self) -> dict[str, str]:
        """What they sign up and log in with."""
        return {"email": self.email, "password": self.password}

    async def ask(
        self,
        replica: int,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        token: str | None,
    ) -> Answer:
        """Ask a replica, from home."""
        return await self.house.ask(replica, method, path, body, token=token, address=self.home)

    async def sign_up(self, replica: int) -> Answer:
        """Ask for an account."""
        return await self.ask(replica, "POST", "auth/signup", self.credentials, None)

    async def verify(self, replica: int, token: str, key: str) -> Answer:
        """Give the code that was mailed."""
        return await self.ask(replica, "POST", "auth/email/verify", {"key": key}, token)

    async def mailed_code(self) -> str:
        """Return the code that was mailed; there has to be one."""
        (code,) = [
            letter.facts["code"]
            for letter in await self.house.letters(self.email)
            if letter.kind is MailKind.VERIFICATION_CODE
        ]
        return code

    async def log_in(self, replica: int) -> Answer:
        """Log in by password, in a new session."""
        return await self.ask(replica, "POST", "auth/login", self.credentials, None)

    async def pending(self, replica: int) -> str:
        """Log in by password, and return the token of the login that waits for a code."""
        answer = await self.log_in(replica)
        assert answer.pending == ["mfa_authenticate"]
        return token_of(answer)

    async def authenticate(self, replica: int, token: str, code: str) -> Answer:
        """Give the code that a login waits for."""
        return await self.ask(replica, "POST", "auth/2fa/authenticate", {"code": code}, token)

    async def standing(self, replica: int, token: str) -> Answer:
        """Ask what a session is."""
        return await self.ask(replica, "GET", "auth/session", None, token)

    async def log_out(self, replica: int, token: str) -> Answer:
        """End a session."""
        return await self.ask(replica, "DELETE", "auth/session", None, token)

    async def reauthenticate(self, replica: int, token: str) -> Answer:
        """Prove the password again."""
        body = {"password": self.password}
        return await self.ask(replica, "POST", "auth/reauthenticate", body, token)

    async def reauthenticate_by_code(self, replica: int, token: str, code: str) -> Answer:
        """Prove to have the device."""
        return await self.ask(replica, "POST", "auth/2fa/reauthenticate", {"code": code}, token)

    async def change_password(self, replica: int, token: str, new: str) -> Answer:
        """Ask for another password; `password` stays what it is until somebody sets it."""
        body = {"current_password": self.password, "new_password": new}
        return await self.ask(replica, "POST", "account/password/change", body, token)

    async def show_totp(self, replica: int, token: str) -> Device:
        """Ask for a new secret, and set a device up with it."""
        answer = await self.ask(replica, "GET", TOTP, None, token)
        assert answer.status == 404
        return Device(answer.meta["secret"])

    async def activate(self, replica: int, token: str, code: str) -> Answer:
        """Turn TOTP on by a code."""
        return await self.ask(replica, "POST", TOTP, {"code": code}, token)

    async def enrolled(self, replica: int) -> list[str]:
        """Return the kinds of authenticators that a replica lists."""
        answer = await self.ask(replica, "GET", "account/authenticators", None, self.token)
        return [entry["type"] for entry in answer.body["data"]]

    async def show_codes(self, replica: int, token: str) -> list[str]:
        """Return the recovery codes that are left."""
        answer = await self.ask(replica, "GET", CODES, None, token)
        assert answer.status == 200
        codes: list[str] = answer.body["data"]["unused_codes"]
        return codes

    async def generate_codes(self, replica: int, token: str) -> Answer:
        """Ask for new recovery codes."""
        return await self.ask(replica, "POST", CODES, None, token)

    async def session_to_change_things(self, replica: int) -> str:
        """Log in by password alone, prove it again, and return the session's token."""
        answer = await self.log_in(replica)
        assert answer.status == 200
        assert (await self.reauthenticate(replica, token_of(answer))).status == 200
        return token_of(answer)


async def join(house: House) -> Person:
    """Return somebody who has signed up and is logged in."""
    person = Person(house)
    pending = await person.sign_up(0)
    answer = await person.verify(1, token_of(pending), await person.mailed_code())
    assert answer.status == 200
    person.token, person.id = token_of(answer), answer.body["data"]["user"]["id"]
    return person


async def protected(house: House) -> Person:
    """Return somebody who has signed up and turned TOTP on."""
    person = await join(house)
    await person.reauthenticate(0, person.token)
    person.device = await person.show_totp(1, person.token)
    answer = await person.activate(0, person.token, person.device.code())
    assert answer.status == 200
    return person


async def several(house: House, become: Callable[[House], Awaitable[Person]]) -> list[Person]:
    """Return some people who have `join`ed, or are `protected`."""
    return await asyncio.gather(*(become(house) for _ in range(PEOPLE)))


def token_of(answer: Answer) -> str:
    """Return the session token that an answer has brought."""
    token: str = answer.meta["session_token"]
    return token


async def at_once(*requests: Awaitable[Answer]) -> list[Answer]:
    """Make requests at the same time. Each is answered, or turned away in the documented way."""
    answers = await asyncio.gather(*requests)
    for answer in answers:
        assert answer.status < 500 or is_turned_away(answer), answer
    return answers


def is_turned_away(answer: Answer) -> bool:
    """Tell whether an answer says to come again later."""
    return answer.status == 503 and int(answer.headers["retry-after"]) > 0


def statuses(answers: list[Answer]) -> list[int]:
    """Return the statuses, in ascending order."""
    return sorted(answer.status for answer in answers)


def count_code(answers: list[Answer], code: str) -> int:
    """Return how many answers refuse for that reason."""
    return sum(answer.codes == [code] for answer in answers)


def _step() -> int:
    return int(time.time()) // PERIOD
