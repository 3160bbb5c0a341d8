"""A journey of somebody who logs in with keys: as the second factor, again, and alone."""

from collections.abc import Generator
from typing import Any

from tests.reference.journey import (
    ADDRESS,
    PASSWORD,
    Ask,
    CalmDown,
    Forget,
    Journey,
    Json,
    MailedCode,
    Wish,
)
from tests.webauthn.authenticator import HONEST, UV, Device, Lies

KEYS = "account/authenticators/webauthn"
LOGIN = "auth/webauthn/login"
AUTHENTICATE = "auth/webauthn/authenticate"
REAUTHENTICATE = "auth/webauthn/reauthenticate"
CREDENTIALS = {"email": ADDRESS, "password": PASSWORD}
NO_ANSWERS: dict[str, Json] = {
    "nothing": {},
    "null": {"credential": None},
    "an empty object": {"credential": {}},
    "a list": {"credential": []},
    "half of JSON": {"credential": "{"},
    "a number": {"credential": 5},
}
LIES = {
    "for another challenge": Lies(challenge=b"another"),
    "with a wrong signature": Lies(signs=b"something else"),
    "without a user handle": Lies(no_user_handle=True),
    "without its user": Lies(clear_flags=UV),
}


def passkeys_journey(origin: str) -> Journey:
    """Use keys as the page of `origin` does, and err in every way."""
    device = Device(origin=origin)
    yield Ask("configuration", "GET", "config")
    yield Ask("a second factor of nobody", "GET", AUTHENTICATE)
    yield Ask("give a second factor of nobody", "POST", AUTHENTICATE, {})
    yield Ask("again, of nobody", "GET", REAUTHENTICATE)
    yield Ask("give it again, of nobody", "POST", REAUTHENTICATE, {})
    yield from _ask_as_nobody()
    yield from _join(device)
    yield from _prove_again(device)
    yield from _give_second_factor(device)
    yield from _log_in_alone(device)
    yield from _guess(device)


def _ask_as_nobody() -> Journey:
    yield Ask("answer what nobody asked", "POST", LOGIN, {"credential": {}})
    yield Ask("ask", "GET", LOGIN)
    yield Ask("the session of nobody", "GET", "auth/session")
    yield Ask("ask again", "GET", LOGIN)
    for what, body in NO_ANSWERS.items():
        yield Ask(f"answer {what}", "POST", LOGIN, body)
    yield Ask("end the session of nobody", "DELETE", "auth/session")
    yield Forget()
    yield CalmDown()
    yield Ask("configuration again", "GET", "config")


def _join(device: Device) -> Journey:
    yield Ask("sign up", "POST", "auth/signup", CREDENTIALS)
    code = yield MailedCode()
    yield Ask("verify", "POST", "auth/email/verify", {"key": code})
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": PASSWORD})
    yield Ask("keys of who has none", "GET", REAUTHENTICATE)
    shown = yield Ask("options", "GET", f"{KEYS}?passwordless")
    made = device.create(shown["data"]["creation_options"])
    yield Ask("add", "POST", KEYS, {"name": "My key", "credential": made})


def _prove(name: str, path: str, device: Device, lies: Lies = HONEST) -> Generator[Wish, Any, Json]:
    """Ask for a key and give it; return what was given."""
    shown = yield Ask(f"ask {name}", "GET", path)
    given: Json = {"credential": device.get(shown["data"]["request_options"], lies)}
    yield Ask(f"give {name}", "POST", path, given)
    return given


def _prove_again(device: Device) -> Journey:
    yield Ask("a second factor of who is logged in", "GET", AUTHENTICATE)
    for what, body in NO_ANSWERS.items():
        yield Ask(f"again, with {what}", "POST", REAUTHENTICATE, body)
    yield CalmDown()
    yield from _prove("a wrong key again", REAUTHENTICATE, device, LIES["with a wrong signature"])
    given = yield from _prove("a key again", REAUTHENTICATE, device)
    yield Ask("the same answer again", "POST", REAUTHENTICATE, given)
    yield Ask("who has proved it again", "GET", "auth/session")
    shown = yield Ask("ask who is logged in", "GET", LOGIN)
    given = {"credential": device.get(shown["data"]["request_options"])}
    yield Ask("log in while logged in", "POST", LOGIN, given)
    yield from _leave("after proving it again")


def _give_second_factor(device: Device) -> Journey:
    yield CalmDown()
    yield Ask("log in", "POST", "auth/login", CREDENTIALS)
    for what, body in NO_ANSWERS.items():
        yield Ask(f"a second factor with {what}", "POST", AUTHENTICATE, body)
    yield CalmDown()
    wrong = LIES["for another challenge"]
    yield from _prove("a wrong second factor", AUTHENTICATE, device, wrong)
    yield Ask("still pending", "GET", "auth/session")
    yield Ask("again, while pending", "GET", REAUTHENTICATE)
    given = yield from _prove("a second factor", AUTHENTICATE, device)
    yield Ask("the same second factor", "POST", AUTHENTICATE, given)
    yield Ask("logged in", "GET", "auth/session")
    yield from _leave("with a second factor")


def _log_in_alone(device: Device) -> Journey:
    yield CalmDown()
    yield Ask("back again", "GET", "auth/session")
    for what, lies in LIES.items():
        yield from _prove(f"a passkey {what}", LOGIN, device, lies)
    yield CalmDown()
    given = yield from _prove("a passkey", LOGIN, device)
    yield Ask("logged in alone", "GET", "auth/session")
    yield Ask("a code of who is logged in alone", "POST", "auth/2fa/authenticate", {"code": "1"})
    yield Ask("to change something", "DELETE", KEYS, {"authenticators": []})
    yield from _leave("alone")
    yield Ask("back for another time", "GET", "auth/session")
    yield Ask("the same passkey", "POST", LOGIN, given)
    yield Ask("log in halfway", "POST", "auth/login", CREDENTIALS)
    yield from _prove("a passkey halfway", LOGIN, device)
    yield Ask("logged in from halfway", "GET", "auth/session")
    yield from _leave("from halfway")


def _guess(device: Device) -> Journey:
    yield CalmDown()
    yield Ask("back at last", "GET", "auth/session")
    for number in range(11):
        yield from _prove(f"a wrong passkey {number}", LOGIN, device, LIES["without its user"])
    yield from _prove("a passkey too late", LOGIN, device)
    yield Ask("log in by password then", "POST", "auth/login", CREDENTIALS)


def _leave(how: str) -> Journey:
    yield Ask(f"leave {how}", "DELETE", "auth/session")
    yield Forget()
