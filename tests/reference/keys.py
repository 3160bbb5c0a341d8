"""A journey of somebody who adds, names and removes security keys, and of a sign-up by passkey."""

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
from tests.webauthn.authenticator import Device, Lies

EVE = "eve@example.org"
KEYS = "account/authenticators/webauthn"
LIST = "account/authenticators"
SIGNUP = "auth/webauthn/signup"
NO_CREDENTIALS: dict[str, Any] = {
    "none": {},
    "null": {"credential": None},
    "an empty one": {"credential": {}},
    "a list": {"credential": []},
    "half of JSON": {"credential": "{"},
    "a number": {"credential": 5},
}


def keys_journey(origin: str) -> Journey:
    """Add keys as the page of `origin` does, and err in every way; then sign up by passkey."""
    device = Device(origin=origin)
    yield Ask("configuration", "GET", "config")
    yield Ask("anonymous", "GET", "auth/session")
    yield Ask("options of nobody", "GET", KEYS)
    yield Ask("add as nobody", "POST", KEYS, {})
    yield Ask("rename as nobody", "PUT", KEYS, {})
    yield Ask("remove as nobody", "DELETE", KEYS, {})
    yield from _join()
    first, second = yield from _add(device)
    yield from _rename(first)
    yield from _remove(first, second)
    yield Ask("leave", "DELETE", "auth/session")
    yield Forget()
    yield from _sign_up(device)


def _join() -> Journey:
    yield Ask("sign up", "POST", "auth/signup", {"email": ADDRESS, "password": PASSWORD})
    code = yield MailedCode()
    yield Ask("options while unverified", "GET", KEYS)
    yield Ask("verify", "POST", "auth/email/verify", {"key": code})


def _add(device: Device) -> Generator[Wish, Any, tuple[Any, Any]]:
    yield Ask("options too early", "GET", KEYS)
    yield Ask("add nothing too early", "POST", KEYS, {})
    yield Ask("add too early", "POST", KEYS, {"credential": 5})
    yield Ask("rename nothing too early", "PUT", KEYS, {})
    yield Ask("remove nothing too early", "DELETE", KEYS, {})
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": PASSWORD})
    for what, body in NO_CREDENTIALS.items():
        yield Ask(f"options for {what}", "GET", KEYS)
        yield Ask(f"add {what}", "POST", KEYS, body)
    shown = yield Ask("options", "GET", KEYS)
    lie = device.create(shown["data"]["creation_options"], Lies(challenge=b"another"))
    yield Ask("add one for another challenge", "POST", KEYS, {"credential": lie})
    shown = yield Ask("options for a key", "GET", KEYS)
    made = device.create(shown["data"]["creation_options"])
    added = yield Ask("add", "POST", KEYS, {"name": " My key ", "credential": made})
    first = added["data"]["id"]
    yield Ask("add it again", "POST", KEYS, {"name": "My key", "credential": made})
    yield Ask("list one", "GET", LIST)
    shown = yield Ask("options for a passkey", "GET", f"{KEYS}?passwordless")
    made = device.create(shown["data"]["creation_options"])
    added = yield Ask("add one without a name", "POST", KEYS, {"credential": made})
    yield Ask("list two", "GET", LIST)
    shown = yield Ask("options for what does not tell", "GET", KEYS)
    made = device.create(shown["data"]["creation_options"], Lies(extensions={}))
    yield Ask("add what does not tell", "POST", KEYS, {"name": None, "credential": made})
    yield Ask("list three", "GET", LIST)
    return first, added["data"]["id"]


def _rename(key: Any) -> Journey:
    for what, body in {
        "nothing": {},
        "without a name": {"id": key},
        "to nothing": {"id": key, "name": ""},
        "to blanks": {"id": key, "name": "   "},
        "to null": {"id": key, "name": None},
        "to too much": {"id": key, "name": "n" * 101},
        "what is not there": {"id": "0", "name": "New"},
        "what is not there to nothing": {"id": "0"},
        "without an id": {"name": "New"},
    }.items():
        yield Ask(f"rename {what}", "PUT", KEYS, body)
    yield Ask("rename", "PUT", KEYS, {"id": key, "name": " At home "})
    yield Ask("list the renamed", "GET", LIST)


def _remove(first: Any, second: Any) -> Journey:
    bodies: dict[str, Json] = {
        "nothing": {},
        "none": {"authenticators": []},
        "a text": {"authenticators": "x"},
        "null": {"authenticators": None},
        "what is not there": {"authenticators": ["0"]},
        "one that is there and one that is not": {"authenticators": [first, "0"]},
    }
    for what, body in bodies.items():
        yield Ask(f"remove {what}", "DELETE", KEYS, body)
    yield Ask("remove one", "DELETE", KEYS, {"authenticators": [first]})
    yield Ask("remove it again", "DELETE", KEYS, {"authenticators": [first]})
    listed = yield Ask("list what is left", "GET", LIST)
    rest = [entry["id"] for entry in listed["data"] if entry["type"] == "webauthn"]
    yield Ask("remove several", "DELETE", KEYS, {"authenticators": rest})
    yield Ask("list nothing", "GET", LIST)
    assert second in rest


def _sign_up(device: Device) -> Journey:
    yield CalmDown()
    yield Ask("anew", "GET", "auth/session")
    yield Ask("passkey options without a sign-up", "GET", SIGNUP)
    yield Ask("sign up with nothing", "POST", SIGNUP, {})
    yield Ask("sign up with no address", "POST", SIGNUP, {"email": "a"})
    yield Ask("sign up by passkey", "POST", SIGNUP, {"email": EVE, "password": "let be"})
    yield Ask("unverified", "GET", "auth/session")
    yield Ask("passkey options while unverified", "GET", SIGNUP)
    code = yield MailedCode(EVE)
    yield Ask("verify the new one", "POST", "auth/email/verify", {"key": code})
    yield Ask("without a passkey", "GET", "auth/session")
    yield Ask("list without a passkey", "GET", LIST)
    yield Ask("verify again", "POST", "auth/email/verify", {"key": code})
    yield Ask("a code without a passkey", "POST", "auth/2fa/authenticate", {"code": "1"})
    for what, body in NO_CREDENTIALS.items():
        yield Ask(f"passkey options for {what}", "GET", SIGNUP)
        yield Ask(f"sign up with {what}", "PUT", SIGNUP, body)
    shown = yield Ask("passkey options", "GET", SIGNUP)
    made = device.create(shown["data"]["creation_options"])
    yield Ask("keep the passkey", "PUT", SIGNUP, {"name": "Eve's", "credential": made})
    yield Ask("logged in", "GET", "auth/session")
    yield Ask("list the passkey", "GET", LIST)
    yield Ask("passkey options while logged in", "GET", SIGNUP)
    yield Ask("sign up while logged in", "POST", SIGNUP, {"email": "bob@example.org"})
    yield Ask("set a password", "POST", "account/password/change", {"new_password": PASSWORD})
    yield Ask("leave at last", "DELETE", "auth/session")
    yield Forget()
    yield CalmDown()
    yield Ask("anew again", "GET", "auth/session")
    yield Ask("sign up with a known address", "POST", SIGNUP, {"email": EVE})
    yield Ask("as if it were new", "GET", "auth/session")
    yield Ask("no passkey options for that", "GET", SIGNUP)
