"""Journeys of people who have forgotten their password, and get another one by code or by link."""

from collections.abc import Generator
from typing import Any

from tests.reference.journey import (
    ADDRESS,
    PASSWORD,
    Ask,
    CalmDown,
    Code,
    Forget,
    Journey,
    Json,
    MailedCode,
    MailedKey,
    Wait,
    Wish,
)

BOB = "bob@example.org"
EVE = "eve@example.org"
NOBODY = "nobody@example.org"
REQUEST, RESET = "auth/password/request", "auth/password/reset"
AUTHENTICATE = "auth/2fa/authenticate"
TOTP = "account/authenticators/totp"
NEW_PASSWORDS = [f"battery-staple-{number}" for number in range(8, 30)]
WRONG = "BBBB-BBBB"
NO_KEY = "2f-c4nqd4-e07d9bc694f9f28cd4fe92569d495333"
NO_ADDRESSES: dict[str, Json] = {
    "nothing": {},
    "null": {"email": None},
    "blanks": {"email": "  "},
    "no address": {"email": "ada"},
    "a number": {"email": 7},
    "a list": {"email": [ADDRESS]},
    "a username": {"username": "ada"},
}
WEAK = {
    "a short one": "a1!",
    "a common one": "password1",
    "one of digits": "8364019572",
    "one like the address": "ada@example",
}


def look(name: str, key: str | None) -> Ask:
    """Return the request that looks whose password a key is for."""
    headers = {} if key is None else {"X-Password-Reset-Key": key}
    return Ask(name, "GET", RESET, headers=headers)


def give(name: str, key: str, password: str) -> Ask:
    """Return the request that sets a password."""
    return Ask(name, "POST", RESET, {"key": key, "password": password})


def resets_journey(mailed: type[MailedCode] | type[MailedKey], *, logs_in: bool) -> Journey:
    """Reset passwords by what was `mailed`, which `logs_in` or not, and err in every way."""
    wrong = WRONG if mailed is MailedCode else NO_KEY
    yield Ask("configuration", "GET", "config")
    yield Ask("anonymous", "GET", "auth/session")
    yield look("look at what nobody asked for", wrong)
    yield give("give what nobody asked for", wrong, NEW_PASSWORDS[0])
    yield Ask("give nothing that nobody asked for", "POST", RESET, {})
    for what, body in NO_ADDRESSES.items():
        yield Ask(f"request for {what}", "POST", REQUEST, body)
    yield Ask("request for half of JSON", "POST", REQUEST, raw=b"{")
    yield from _have_no_account(wrong)
    yield from _join(ADDRESS)
    yield from _reset(mailed, wrong)
    yield from _leave(logs_in=logs_in, name="leave after a reset")
    yield from _log_in("by the old one", PASSWORD)
    yield from _log_in("by the new one", NEW_PASSWORDS[0])
    yield Ask("leave after the new one", "DELETE", "auth/session")
    yield Forget()
    yield from _lift_the_lock(mailed, logs_in=logs_in)
    yield from _be_logged_in(mailed)
    yield from _ask_too_often()
    yield from _give_too_often(mailed, wrong)
    yield from _protect_it(mailed, logs_in=logs_in)
    yield from _never_verify(mailed, logs_in=logs_in)
    if mailed is MailedCode:
        yield from _guess()
        yield from _be_late()
        yield from _ask_halfway()


def _have_no_account(wrong: str) -> Journey:
    yield Ask("request as nobody", "POST", REQUEST, {"email": NOBODY})
    yield Ask("pending as nobody", "GET", "auth/session")
    if wrong != WRONG:  # by code it is a server error there
        yield look("look as nobody", wrong)
    yield give("give as nobody", wrong, NEW_PASSWORDS[0])
    yield Ask("leave as nobody", "DELETE", "auth/session")
    yield Forget()


def _join(address: str) -> Journey:
    credentials = {"email": address, "password": PASSWORD}
    yield Ask(f"sign up {address}", "POST", "auth/signup", credentials)
    code = yield MailedCode(address)
    yield Ask(f"verify {address}", "POST", "auth/email/verify", {"key": code})
    yield Ask(f"leave as {address}", "DELETE", "auth/session")
    yield Forget()


def _leave(*, logs_in: bool, name: str) -> Journey:
    """Log out, if one is logged in."""
    if logs_in:
        yield Ask(name, "DELETE", "auth/session")
    yield Forget()


def _log_in(how: str, password: str, address: str = ADDRESS) -> Journey:
    credentials = {"email": address, "password": password}
    yield Ask(f"log in {how}", "POST", "auth/login", credentials)


def _asked(
    name: str, mailed: type[MailedCode] | type[MailedKey], address: str = ADDRESS
) -> Generator[Wish, Any, str]:
    """Ask for a new password; return what was mailed last, after all that was before."""
    yield CalmDown()
    yield mailed(address)
    yield Ask(name, "POST", REQUEST, {"email": address})
    key: str = yield mailed(address)
    return key


def _reset(mailed: type[MailedCode] | type[MailedKey], wrong: str) -> Journey:
    key = yield from _asked("request", mailed)
    yield Ask("pending", "GET", "auth/session")
    yield Ask("configuration while pending", "GET", "config")
    yield Ask("list authenticators while pending", "GET", "account/authenticators")
    yield Ask("verify while pending", "POST", "auth/email/verify", {"key": key})
    yield look("look", key)
    yield look("look again", key)
    yield look("look wrongly", wrong)
    yield Ask("give no password", "POST", RESET, {"key": key})
    yield Ask("give null for a password", "POST", RESET, {"key": key, "password": None})
    for what, password in WEAK.items():
        yield give(f"give {what}", key, password)
    yield Ask("still pending", "GET", "auth/session")
    typed = key.lower().replace("-", " ") if mailed is MailedCode else key
    yield give("give", f" {typed} ", NEW_PASSWORDS[0])
    yield Ask("after the reset", "GET", "auth/session")
    yield look("look too late", key)
    yield give("give again", key, NEW_PASSWORDS[1])


def _lift_the_lock(mailed: type[MailedCode] | type[MailedKey], *, logs_in: bool) -> Journey:
    yield CalmDown()
    for number in range(6):
        yield from _log_in(f"wrongly, {number}", "bad-password-1")
    yield mailed(ADDRESS)
    yield Ask("request while locked", "POST", REQUEST, {"email": ADDRESS})
    key = yield mailed(ADDRESS)
    yield give("give while locked", key, NEW_PASSWORDS[1])
    yield from _leave(logs_in=logs_in, name="leave what was locked")
    yield from _log_in("after the lock", NEW_PASSWORDS[1])


def _be_logged_in(mailed: type[MailedCode] | type[MailedKey]) -> Journey:
    key = yield from _asked("request while logged in", mailed)
    yield Ask("logged in and pending", "GET", "auth/session")
    yield look("look while logged in", key)
    yield give("give a weak one while logged in", key, "a1!")
    yield Ask("leave while pending", "DELETE", "auth/session")
    yield Forget()


def _ask_too_often() -> Journey:
    yield CalmDown()
    for time in ("first", "second", "third", "fourth", "fifth", "sixth"):
        yield Ask(f"request a {time} time", "POST", REQUEST, {"email": EVE})
        yield Forget()


def _give_too_often(mailed: type[MailedCode] | type[MailedKey], wrong: str) -> Journey:
    key = yield from _asked("request to give too often", mailed)
    for number in range(20):
        yield give(f"give a weak one, {number}", key, "a1!")
    yield give("give once too often", key, NEW_PASSWORDS[2])
    yield give("give a weak one too often", key, "a1!")
    yield give("give wrongly too often", wrong, NEW_PASSWORDS[2])
    yield look("look as often as one likes", key)
    yield Ask("still nobody", "GET", "auth/session")
    yield Forget()


def _protect_it(mailed: type[MailedCode] | type[MailedKey], *, logs_in: bool) -> Journey:
    yield CalmDown()
    yield from _log_in("to protect it", NEW_PASSWORDS[1])
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": NEW_PASSWORDS[1]})
    shown = yield Ask("see a secret", "GET", TOTP)
    secret: str = shown["meta"]["secret"]
    code = yield Code(secret)
    yield Ask("activate", "POST", TOTP, {"code": code})
    yield Ask("leave protected", "DELETE", "auth/session")
    yield Forget()
    key = yield from _asked("request while protected", mailed)
    yield give("give while protected", key, NEW_PASSWORDS[3])
    yield Ask("after the reset while protected", "GET", "auth/session")
    if not logs_in:
        yield Forget()
        yield from _log_in("protected", NEW_PASSWORDS[3])
    code = yield Code(secret)
    yield Ask("the second step", "POST", AUTHENTICATE, {"code": code})
    yield Ask("logged in by both", "GET", "auth/session")
    yield Ask("request while logged in by both", "POST", REQUEST, {"email": ADDRESS})
    yield Ask("deactivate too early", "DELETE", TOTP)
    yield Ask("leave by both", "DELETE", "auth/session")
    yield Forget()


def _never_verify(mailed: type[MailedCode] | type[MailedKey], *, logs_in: bool) -> Journey:
    yield CalmDown()
    credentials = {"email": BOB, "password": PASSWORD}
    yield Ask("sign up and go", "POST", "auth/signup", credentials)
    yield Forget()
    key = yield from _asked("request unverified", mailed, BOB)
    yield give("give unverified", key, NEW_PASSWORDS[4])
    if logs_in:
        yield Ask("after the reset unverified", "GET", "auth/session")
    yield Forget()
    yield CalmDown()
    yield from _log_in("by what was chosen first", PASSWORD, BOB)
    yield from _log_in("unverified", NEW_PASSWORDS[4], BOB)
    yield Ask("leave unverified", "DELETE", "auth/session")
    yield Forget()


# By code


def _guess() -> Journey:
    for how in ("look", "give", "nothing"):
        code = yield from _asked(f"request to guess: {how}", MailedCode)
        for time in ("first", "second", "third"):
            if how == "look":
                yield look(f"look wrongly a {time} time", WRONG)
            elif how == "give":
                yield give(f"give wrongly a {time} time", WRONG, "a1!")
            else:
                yield Ask(f"give nothing a {time} time", "POST", RESET, {})
        yield Ask(f"after the guesses: {how}", "GET", "auth/session")
        yield look(f"look after the guesses: {how}", code)
        yield give(f"give after the guesses: {how}", code, NEW_PASSWORDS[5])
        yield Forget()


def _be_late() -> Journey:
    code = yield from _asked("request to be late", MailedCode)
    yield Wait(170)
    yield Ask("pending after a while", "GET", "auth/session")
    yield look("look in time", code)
    yield Wait(170)
    yield Ask("pending after another while", "GET", "auth/session")
    yield Wait(20)
    yield Ask("pending too late", "GET", "auth/session")
    yield give("be late", code, NEW_PASSWORDS[5])
    yield Forget()


def _ask_halfway() -> Journey:
    """Beside a login, and another request in place of the first."""
    yield CalmDown()
    yield from _log_in("halfway", NEW_PASSWORDS[3])
    first = yield from _asked("request halfway", MailedCode)
    yield Ask("pending in two ways", "GET", "auth/session")
    second = yield from _asked("request in its place", MailedCode)
    yield give("give the former", first, NEW_PASSWORDS[5])
    yield look("look at the latter", second)
    yield Ask("abandon both", "DELETE", "auth/session")
    yield Forget()
