"""Somebody who goes through the suite, and the steps that most journeys share."""

from dataclasses import dataclass, field
from secrets import token_hex

from tests.journeys.client import Answer, Client
from tests.journeys.suite import Suite

TOTP = "account/authenticators/totp"
CODES = "account/authenticators/recovery-codes"


@dataclass(kw_only=True)
class Person:
    """A person with an address of their own, at one client."""

    suite: Suite
    client: Client
    email: str = field(default_factory=lambda: f"p{token_hex(6)}@example.org")
    password: str = "correct-horse-9"
    secret: str = ""

    @property
    def credentials(self) -> dict[str, str]:
        """What the person logs in with."""
        return {"email": self.email, "password": self.password}

    async def sign_up(self) -> Answer:
        """Open an account and verify the address."""
        await self.client.get("config")
        pending = await self.client.post("auth/signup", self.credentials)
        assert (pending.status, pending.pending) == (401, ["verify_email"])
        code = await self.suite.mailed_code(self.email)
        assert code is not None
        session = await self.client.post("auth/email/verify", {"key": code})
        assert session.status == 200
        return session

    async def log_in(self) -> Answer:
        """Give address and password."""
        return await self.client.post("auth/login", self.credentials)

    async def log_in_elsewhere(self) -> Client:
        """Return another client, at which the same person is logged in."""
        client = self.suite.client(self.client.kind)
        await client.get("config")
        answer = await client.post("auth/login", self.credentials)
        assert answer.status == 200
        return client

    async def log_out(self) -> Answer:
        """End the session, and forget it."""
        answer = await self.client.delete("auth/session")
        assert answer.status == 401
        self.client.token = None
        return answer

    async def reauthenticate(self) -> Answer:
        """Prove the password again."""
        answer = await self.client.post("auth/reauthenticate", {"password": self.password})
        assert answer.status == 200
        return answer

    async def turn_on_totp(self) -> Answer:
        """Enrol an authenticator; the session has to be reauthenticated."""
        offer = await self.client.get(TOTP)
        assert offer.status == 404
        self.secret = offer.meta["secret"]
        code = await self.fresh_code()
        enrolled = await self.client.post(TOTP, {"code": code})
        assert enrolled.status == 200
        return enrolled

    async def give_second_factor(self, *, trusts: bool) -> Answer:
        """Give the code that is owed, and say whether the browser is trusted if that is asked."""
        return await self.give_code(await self.fresh_code(), trusts=trusts)

    async def give_code(self, code: str, *, trusts: bool = False) -> Answer:
        """Give `code` as second factor, and say whether the browser is trusted if that is asked."""
        answer = await self.client.post("auth/2fa/authenticate", {"code": code})
        if answer.status == 401 and answer.pending == ["mfa_trust"]:
            return await self.client.post("auth/2fa/trust", {"trust": trusts})
        return answer

    async def codes(self) -> list[str]:
        """Return the unused recovery codes; the session has to be reauthenticated."""
        shown = await self.client.get(CODES)
        assert shown.status == 200
        codes: list[str] = shown.body["data"]["unused_codes"]
        return codes

    async def fresh_code(self) -> str:
        """Return a code that was not used."""
        return await self.suite.fresh_code(self.secret)


async def enrolled(suite: Suite, client: Client) -> Person:
    """Return somebody who has signed up, turned TOTP on, and is logged in and reauthenticated."""
    person = Person(suite=suite, client=client)
    await person.sign_up()
    await person.reauthenticate()
    await person.turn_on_totp()
    return person


async def pending(suite: Suite, client: Client) -> Person:
    """Return somebody who has given the password and owes the code."""
    person = await enrolled(suite, client)
    await person.log_out()
    answer = await person.log_in()
    assert answer.pending == ["mfa_authenticate"]
    return person
