"""A journey of two people who trust one browser, and of what ends that."""

from collections.abc import Generator
from typing import Any

from tests.reference.journey import (
    ADDRESS,
    NEW,
    NEW_PASSWORD,
    PASSWORD,
    PASSWORD_CHANGE,
    Ask,
    CalmDown,
    Code,
    Forget,
    Journey,
    Json,
    MailedCode,
    Wish,
)

BOB = "bob@example.org"
EVE = "eve@example.org"
TOTP = "account/authenticators/totp"
TRUST = "auth/2fa/trust"
AUTHENTICATE = "auth/2fa/authenticate"


def trust_journey() -> Journey:
    """Trust a browser or not, come back, share it with another, and end it in every way."""
    yield Ask("at first", "GET", "config")
    yield Ask("trust of nobody", "POST", TRUST, {"trust": True})
    secret = yield from _join(ADDRESS)
    yield from _say_no(secret)
    yield from _say_yes(secret, "at first")
    yield from _come_back()
    bobs = yield from _join(BOB)
    yield CalmDown()
    yield from _say_yes(bobs, "as another", BOB)
    yield from _log_in("another comes back", BOB)
    yield from _log_out("another leaves")
    yield from _change_the_password(secret)
    yield from _replace_the_factor()
    yield from _say_what_is_no_answer()


def _join(address: str) -> Generator[Wish, Any, str]:
    """Sign up, turn TOTP on, and log out."""
    credentials = {"email": address, "password": PASSWORD}
    yield Ask(f"configuration for {address}", "GET", "config")
    yield Ask(f"sign up {address}", "POST", "auth/signup", credentials)
    code = yield MailedCode(address)
    yield Ask(f"verify {address}", "POST", "auth/email/verify", {"key": code})
    secret = yield from _turn_on(f"of {address}", PASSWORD)
    yield from _log_out(f"log out {address}")
    return secret


def _turn_on(what: str, password: str) -> Generator[Wish, Any, str]:
    yield Ask(f"reauthenticate {what}", "POST", "auth/reauthenticate", {"password": password})
    shown = yield Ask(f"see a secret {what}", "GET", TOTP)
    # An app that waits for its second factor is shown none.
    secret: str = shown.get("meta", {}).get("secret", "A" * 32)
    code = yield Code(secret)
    yield Ask(f"activate {what}", "POST", TOTP, {"code": code})
    return secret


def _log_in(name: str, address: str = ADDRESS, password: str = PASSWORD) -> Journey:
    yield Ask(name, "POST", "auth/login", {"email": address, "password": password})


def _log_out(name: str) -> Journey:
    yield Ask(name, "DELETE", "auth/session")
    yield Forget()


def _say_no(secret: str) -> Journey:
    answers: dict[str, Json] = {
        "saying nothing": {},
        "saying null": {"trust": None},
        "saying no": {"trust": False},
    }
    for how, body in answers.items():
        yield CalmDown()
        yield from _log_in(f"log in {how}")
        yield Ask(f"trust too early, {how}", "POST", TRUST, {"trust": True})
        code = yield Code(secret)
        yield Ask(f"the code, {how}", "POST", AUTHENTICATE, {"code": code})
        yield Ask(f"asked, {how}", "GET", "auth/session")
        yield Ask(f"list sessions while asked, {how}", "GET", "auth/sessions")
        yield Ask(f"the code again, {how}", "POST", AUTHENTICATE, {"code": code})
        yield Ask(f"the answer, {how}", "POST", TRUST, body)
        yield Ask(f"another answer, {how}", "POST", TRUST, {"trust": True})
        yield Ask(f"after the answer, {how}", "GET", "auth/session")
        yield from _log_out(f"log out {how}")


def _say_yes(secret: str, when: str, address: str = ADDRESS, password: str = PASSWORD) -> Journey:
    yield CalmDown()
    yield from _log_in(f"log in to trust, {when}", address, password)
    code = yield Code(secret)
    yield Ask(f"the code to trust, {when}", "POST", AUTHENTICATE, {"code": code})
    yield Ask(f"trust, {when}", "POST", TRUST, {"trust": True})
    yield Ask(f"trust again, {when}", "POST", TRUST, {"trust": True})
    yield from _log_out(f"log out having trusted, {when}")


def _come_back() -> Journey:
    for time in ("first", "second"):
        yield from _log_in(f"come back a {time} time")
        yield Ask(f"trust what is trusted a {time} time", "POST", TRUST, {"trust": True})
        yield Ask(f"turn TOTP off by trust a {time} time", "DELETE", TOTP)
        yield from _log_out(f"leave a {time} time")
    yield from _log_in("come back with a wrong password", password="bad")


def _change_the_password(secret: str) -> Journey:
    yield CalmDown()
    yield from _log_in("come back to change the password")
    yield Ask("change the password", "POST", PASSWORD_CHANGE, NEW)
    yield from _log_out("leave with a new password")
    yield from _log_in("come back with a new password", password=NEW_PASSWORD)
    yield from _log_out("leave without the code")
    yield from _say_yes(secret, "anew", password=NEW_PASSWORD)
    yield from _log_in("come back anew", password=NEW_PASSWORD)


def _replace_the_factor() -> Journey:
    yield Ask("prove it again", "POST", "auth/reauthenticate", {"password": NEW_PASSWORD})
    yield Ask("turn TOTP off", "DELETE", TOTP)
    yield from _turn_on("another", NEW_PASSWORD)
    yield from _log_out("leave with another")
    yield CalmDown()
    yield from _log_in("come back with another", password=NEW_PASSWORD)
    yield from _log_out("leave at last")


def _say_what_is_no_answer() -> Journey:
    """Last, since it is where the ways part."""
    secret = yield from _join(EVE)
    yield from _log_in("log in to say what is no answer", EVE)
    code = yield Code(secret)
    yield Ask("the code to say what is no answer", "POST", AUTHENTICATE, {"code": code})
    yield Ask("no answer", "POST", TRUST, {"trust": "perhaps"})
