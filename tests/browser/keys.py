"""Kinds of devices, and the steps with them that tests share."""

from typing import Any

from tests.browser.chromium import PageClient
from tests.journeys.client import Answer, Json
from tests.journeys.person import Person

KEYS = "account/authenticators/webauthn"

PHONE: Json = {}
"""Keeps passkeys, and knows its user."""

SECURITY_KEY: Json = {"transport": "usb"}
"""The same, of a key with a PIN."""

FOB: Json = {"transport": "usb", "hasResidentKey": False, "hasUserVerification": False}
"""Can be touched, and no more."""

U2F: Json = {**FOB, "protocol": "u2f"}
"""The same, from before WebAuthn."""


async def register(client: PageClient, *, passwordless: bool = False) -> Json:
    """Add a key to the account of who is reauthenticated, and return the authenticator."""
    made = await client.do("register", "On my ring", {"passwordless": passwordless})
    assert made.status == 200, made.body
    key: Json = made.body["data"]
    assert (key["type"], key["name"]) == ("webauthn", "On my ring")
    return key


async def log_in_with(person: Person, client: PageClient) -> Answer:
    """Log in by password and then by key, and do not trust the browser."""
    await person.log_out()
    pending = await person.log_in()
    assert pending.pending == ["mfa_authenticate"]
    assert "webauthn" in pending.types
    return await untrusted(client, await client.do("authenticate"))


async def untrusted(client: PageClient, answer: Answer) -> Answer:
    """Say that the browser is not trusted, if that is asked."""
    if answer.status == 401 and answer.pending == ["mfa_trust"]:
        return await client.post("auth/2fa/trust", {"trust": False})
    return answer


def last_method(session: Answer) -> dict[str, Any]:
    """Return by what the session was proved last."""
    method: dict[str, Any] = session.body["data"]["methods"][-1]
    return method
