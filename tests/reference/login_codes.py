"""Journeys of people who log in by mailed codes, of their own accord or because they have to."""

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
    Wait,
    Wish,
)
from tests.webauthn.authenticator import Device

BOB = "bob@example.org"
EVE = "eve@example.org"
NOBODY = "nobody@example.org"
REQUEST, CONFIRM, RESEND = "auth/code/request", "auth/code/confirm", "auth/code/resend"
AUTHENTICATE = "auth/2fa/authenticate"
TRUST = "auth/2fa/trust"
TOTP = "account/authenticators/totp"
KEYS = "account/authenticators/webauthn"
PASSKEY = "auth/webauthn/login"
WRONG = {"code": "BBBB-BBBB"}
CREDENTIALS = {"email": ADDRESS, "password": PASSWORD}
NO_ADDRESSES: dict[str, Json] = {
    "nothing": {},
    "null": {"email": None},
    "blanks": {"email": "  "},
    "no address": {"email": "ada"},
    "a number": {"email": 7},
    "a list": {"email": [ADDRESS]},
    "a username": {"username": "ada"},
    "a telephone number": {"phone": "+31201234567"},
}


# Of their own accord


def login_codes_journey() -> Journey:
    """Ask for codes, give them, and err in every way."""
    yield Ask("configuration", "GET", "config")
    yield Ask("anonymous", "GET", "auth/session")
    yield Ask("confirm what nobody asked for", "POST", CONFIRM, WRONG)
    yield Ask("confirm nothing that nobody asked for", "POST", CONFIRM, {})
    yield Ask("resend what nobody asked for", "POST", RESEND)
    for what, body in NO_ADDRESSES.items():
        yield Ask(f"request for {what}", "POST", REQUEST, body)
    yield Ask("request for half of JSON", "POST", REQUEST, raw=b"{")
    yield from _have_no_account()
    yield from _join(ADDRESS)
    yield from _log_in_by_code()
    yield from _guess()
    yield from _ask_for_others()
    yield from _be_late()
    yield from _ask_too_often()
    yield from _ask_halfway()
    yield from _give_a_second_factor()
    yield from _verify_by_it()


def _have_no_account() -> Journey:
    yield Ask("request as nobody", "POST", REQUEST, {"email": NOBODY})
    yield Ask("pending as nobody", "GET", "auth/session")
    for attempt in ("first", "second", "third", "fourth"):
        yield Ask(f"{attempt} guess as nobody", "POST", CONFIRM, WRONG)
    yield Ask("resend as nobody", "POST", RESEND)
    yield Ask("after the guesses as nobody", "GET", "auth/session")
    yield Forget()


def _join(address: str) -> Journey:
    credentials = {"email": address, "password": PASSWORD}
    yield Ask(f"sign up {address}", "POST", "auth/signup", credentials)
    code = yield MailedCode(address)
    yield Ask(f"verify {address}", "POST", "auth/email/verify", {"key": code})
    yield from _log_out(f"leave as {address}")


def _log_out(name: str) -> Journey:
    yield Ask(name, "DELETE", "auth/session")
    yield Forget()


def _request(name: str, address: str = ADDRESS) -> Generator[Wish, Any, str]:
    """Ask for a code; return what was mailed last, after all that was before."""
    yield CalmDown()
    yield MailedCode(address)
    yield Ask(name, "POST", REQUEST, {"email": address})
    code: str = yield MailedCode(address)
    return code


def _log_in_by_code() -> Journey:
    code = yield from _request("request")
    yield Ask("pending", "GET", "auth/session")
    yield Ask("configuration while pending", "GET", "config")
    yield Ask("list sessions while pending", "GET", "auth/sessions")
    yield Ask("list authenticators while pending", "GET", "account/authenticators")
    yield Ask("verify while pending", "POST", "auth/email/verify", {"key": code})
    yield Ask("a second step while pending", "POST", AUTHENTICATE, {"code": code})
    yield Ask("reauthenticate while pending", "POST", "auth/reauthenticate", CREDENTIALS)
    given = code.lower().replace("-", " ")
    yield Ask("confirm", "POST", CONFIRM, {"code": f" {given} "})
    yield Ask("logged in", "GET", "auth/session")
    yield Ask("confirm again", "POST", CONFIRM, {"code": code})
    yield Ask("resend while logged in", "POST", RESEND)
    yield Ask("request while logged in", "POST", REQUEST, {"email": ADDRESS})
    yield Ask("confirm while logged in", "POST", CONFIRM, {"code": code})
    yield Ask("still logged in", "GET", "auth/session")
    yield Ask("set no second factor too early", "POST", TOTP, {})
    yield from _log_out("leave after a code")


def _guess() -> Journey:
    code = yield from _request("request to guess")
    yield Ask("confirm with nothing", "POST", CONFIRM, {})
    yield Ask("confirm with blanks", "POST", CONFIRM, {"code": "  "})
    yield Ask("confirm wrongly", "POST", CONFIRM, WRONG)
    yield Ask("confirm too late", "POST", CONFIRM, {"code": code})
    yield Ask("confirm nothing too late", "POST", CONFIRM, {})
    yield Ask("after the guesses", "GET", "auth/session")
    yield from _request("request anew")
    yield Ask("abandon it", "DELETE", "auth/session")
    yield Forget()


def _ask_for_others() -> Journey:
    first = yield from _request("request to resend")
    yield Ask("resend", "POST", RESEND)
    second = yield MailedCode()
    yield Ask("confirm with the first", "POST", CONFIRM, {"code": first})
    yield Ask("pending after the first", "GET", "auth/session")
    yield Ask("resend again", "POST", RESEND)
    third = yield MailedCode()
    yield Ask("resend a third time", "POST", RESEND)
    yield Ask("confirm with the second", "POST", CONFIRM, {"code": second})
    yield Ask("confirm with the third", "POST", CONFIRM, {"code": third})
    yield from _log_out("leave after others")


def _be_late() -> Journey:
    code = yield from _request("request to be late")
    yield Wait(170)
    yield Ask("pending after a while", "GET", "auth/session")
    yield Ask("confirm wrongly in time", "POST", CONFIRM, WRONG)
    yield Wait(20)
    yield Ask("pending too late", "GET", "auth/session")
    yield Ask("be late", "POST", CONFIRM, {"code": code})
    yield Ask("after being late", "GET", "auth/session")
    yield Forget()
    yield from _request("request to be late again")
    yield Wait(190)
    yield Ask("resend too late", "POST", RESEND)
    yield Ask("after resending too late", "GET", "auth/session")
    yield Forget()


def _ask_too_often() -> Journey:
    yield CalmDown()
    for time in ("first", "second", "third", "fourth"):
        yield Ask(f"request a {time} time", "POST", REQUEST, {"email": EVE})
        yield Forget()
    yield CalmDown()


def _ask_halfway() -> Journey:
    """In place of another login, and another login in place of it."""
    yield from _request("request halfway")
    yield Ask("log in in its place", "POST", "auth/login", CREDENTIALS)
    yield from _log_out("leave by password")
    first = yield from _request("request once")
    second = yield from _request("request in its place")
    yield Ask("confirm with the former", "POST", CONFIRM, {"code": first})
    yield Ask("confirm with the latter", "POST", CONFIRM, {"code": second})
    yield from _log_out("leave after the latter")


def _turn_on(password: str = PASSWORD) -> Generator[Wish, Any, str]:
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": password})
    shown = yield Ask("see a secret", "GET", TOTP)
    secret: str = shown["meta"]["secret"]
    code = yield Code(secret)
    yield Ask("activate", "POST", TOTP, {"code": code})
    return secret


def _give_a_second_factor() -> Journey:
    yield Ask("log in to protect it", "POST", "auth/login", CREDENTIALS)
    secret = yield from _turn_on()
    yield from _log_out("leave protected")
    code = yield from _request("request while protected")
    yield Ask("confirm while protected", "POST", CONFIRM, {"code": code})
    yield Ask("pending while protected", "GET", "auth/session")
    yield Ask("confirm while protected again", "POST", CONFIRM, {"code": code})
    yield Ask("resend while protected", "POST", RESEND)
    otp = yield Code(secret)
    yield Ask("the second step", "POST", AUTHENTICATE, {"code": otp})
    yield Ask("logged in by both", "GET", "auth/session")
    yield Ask("deactivate too early", "DELETE", TOTP)
    yield from _log_out("leave by both")
    yield Ask("log in halfway", "POST", "auth/login", CREDENTIALS)
    code = yield from _request("request in place of a second step")
    yield Ask("a second step too early", "POST", AUTHENTICATE, {"code": "000000"})
    yield Ask("confirm in place of it", "POST", CONFIRM, {"code": code})
    otp = yield Code(secret)
    yield Ask("the second step after it", "POST", AUTHENTICATE, {"code": otp})
    yield from _log_out("leave after it")


def _verify_by_it() -> Journey:
    """What was chosen by who never showed that the address is theirs."""
    yield CalmDown()
    credentials = {"email": BOB, "password": PASSWORD}
    yield Ask("sign up and go", "POST", "auth/signup", credentials)
    yield MailedCode(BOB)
    yield Forget()
    code = yield from _request("request unverified", BOB)
    yield Ask("confirm unverified", "POST", CONFIRM, {"code": code})
    yield Ask("logged in and verified", "GET", "auth/session")
    yield from _log_out("leave verified")
    yield CalmDown()
    yield Ask("log in by what was never proved", "POST", "auth/login", credentials)
    yield from _log_out("leave at last")


# Because they have to


def required_codes_journey(origin: str) -> Journey:
    """Be asked for codes at every login, as the page of `origin`, and trust a browser."""
    device = Device(origin=origin)
    yield Ask("configuration", "GET", "config")
    yield from _sign_up()
    yield from _sign_up_again()
    yield from _log_in()
    yield from _trust()
    yield from _protect_and_trust()
    yield from _log_in_by_passkey(device)


def _sign_up() -> Journey:
    yield Ask("sign up", "POST", "auth/signup", CREDENTIALS)
    code = yield MailedCode()
    yield Ask("pending at sign-up", "GET", "auth/session")
    yield Ask("verify at sign-up", "POST", "auth/email/verify", {"key": code})
    yield Ask("confirm wrongly at sign-up", "POST", CONFIRM, WRONG)
    yield Ask("resend at sign-up", "POST", RESEND)
    code = yield MailedCode()
    yield Ask("confirm at sign-up", "POST", CONFIRM, {"code": code})
    yield Ask("asked at sign-up", "GET", "auth/session")
    yield Ask("do not trust at sign-up", "POST", TRUST, {"trust": False})
    yield Ask("signed up", "GET", "auth/session")
    yield from _log_out("leave after sign-up")


def _sign_up_again() -> Journey:
    yield CalmDown()
    yield Ask("sign up again", "POST", "auth/signup", CREDENTIALS)
    yield MailedCode()
    yield Ask("resend at the second sign-up", "POST", RESEND)
    for attempt in ("first", "second", "third", "fourth"):
        yield Ask(f"{attempt} guess at sign-up", "POST", CONFIRM, WRONG)
    yield Ask("after the guesses at sign-up", "GET", "auth/session")
    yield Forget()


def _log_in() -> Journey:
    yield CalmDown()
    yield Ask("log in wrongly", "POST", "auth/login", {"email": ADDRESS, "password": "bad"})
    yield Ask("log in", "POST", "auth/login", CREDENTIALS)
    code = yield MailedCode()
    yield Ask("pending", "GET", "auth/session")
    yield Ask("list while pending", "GET", "account/authenticators")
    yield Ask("trust too early", "POST", TRUST, {"trust": True})
    yield Ask("resend", "POST", RESEND)
    other = yield MailedCode()
    yield Ask("confirm with the first", "POST", CONFIRM, {"code": code})
    yield Ask("confirm", "POST", CONFIRM, {"code": other})
    yield Ask("asked", "GET", "auth/session")
    yield Ask("confirm again", "POST", CONFIRM, {"code": other})
    yield Ask("do not trust", "POST", TRUST, {"trust": False})
    yield Ask("logged in", "GET", "auth/session")
    yield from _log_out("leave")
    code = yield from _request("request")
    yield Ask("confirm what was asked for", "POST", CONFIRM, {"code": code})
    yield Ask("logged in by the code", "GET", "auth/session")
    yield from _log_out("leave after the code")
    yield CalmDown()
    yield Ask("log in to guess", "POST", "auth/login", CREDENTIALS)
    yield MailedCode()
    for attempt in ("first", "second", "third", "fourth"):
        yield Ask(f"{attempt} guess", "POST", CONFIRM, WRONG)
    yield Ask("after the guesses", "GET", "auth/session")
    yield Forget()


def _pass_code(name: str) -> Journey:
    """Log in by password, and give the code if one is mailed."""
    yield CalmDown()
    yield Ask(f"log in {name}", "POST", "auth/login", CREDENTIALS)
    code = yield MailedCode()
    yield Ask(f"confirm {name}", "POST", CONFIRM, {"code": code or "BBBB-BBBB"})


def _trust() -> Journey:
    yield from _pass_code("to trust")
    yield Ask("trust", "POST", TRUST, {"trust": True})
    yield from _log_out("leave a trusted browser")
    yield Ask("log in where it is trusted", "POST", "auth/login", CREDENTIALS)
    yield Ask("see who is in by trust", "GET", "auth/session")
    yield from _log_out("leave a trusted browser again")


def _protect_and_trust() -> Journey:
    yield from _pass_code("to protect it")
    yield Ask("trust to protect it", "POST", TRUST, {"trust": False})
    secret = yield from _turn_on()
    yield from _log_out("leave protected")
    yield from _pass_code("protected")
    yield Ask("pending while protected", "GET", "auth/session")
    otp = yield Code(secret)
    yield Ask("the second step", "POST", AUTHENTICATE, {"code": otp})
    yield Ask("trust while protected", "POST", TRUST, {"trust": True})
    yield Ask("logged in by three", "GET", "auth/session")
    yield from _log_out("leave while protected")
    yield from _pass_code("where both are trusted")
    otp = yield Code(secret)
    yield Ask("the second step where both are trusted", "POST", AUTHENTICATE, {"code": otp})
    yield Ask("see who is in where both are trusted", "GET", "auth/session")
    yield Ask("reauthenticate to end it", "POST", "auth/reauthenticate", {"password": PASSWORD})
    yield Ask("deactivate", "DELETE", TOTP)
    yield from _log_out("leave unprotected")


def _log_in_by_passkey(device: Device) -> Journey:
    credentials = {"email": EVE, "password": PASSWORD}
    yield Ask("sign up to add a passkey", "POST", "auth/signup", credentials)
    code = yield MailedCode(EVE)
    yield Ask("confirm to add a passkey", "POST", CONFIRM, {"code": code})
    yield Ask("trust to add a passkey", "POST", TRUST, {"trust": False})
    yield Ask("prove it to add one", "POST", "auth/reauthenticate", {"password": PASSWORD})
    shown = yield Ask("options", "GET", f"{KEYS}?passwordless")
    made = device.create(shown["data"]["creation_options"])
    yield Ask("add", "POST", KEYS, {"name": "My key", "credential": made})
    yield from _log_out("leave with a passkey")
    yield CalmDown()
    shown = yield Ask("ask for a passkey", "GET", PASSKEY)
    given = device.get(shown["data"]["request_options"])
    yield Ask("give a passkey", "POST", PASSKEY, {"credential": given})
    code = yield MailedCode(EVE)
    yield Ask("pending after a passkey", "GET", "auth/session")
    yield Ask("confirm after a passkey", "POST", CONFIRM, {"code": code})
    yield Ask("trust after a passkey", "POST", TRUST, {"trust": False})
    yield Ask("logged in by a passkey", "GET", "auth/session")
