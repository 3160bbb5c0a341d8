"""The journey: what a client asks, in order, whatever system answers it.

It is a generator that yields what it wants and is sent what came of it, so that the same lines
drive a synchronous Django client and an asynchronous application.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

ADDRESS = "ada@example.org"
PASSWORD = "correct-horse-9"
NEW_PASSWORD = "battery-staple-8"
AGENT = "A client/1.0"
PASSWORD_CHANGE = "account/password/change"
CODES = "account/authenticators/recovery-codes"
NEW = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
Json = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """A request. `name` is unique in the journey; `raw` is sent as it is, instead of `body`."""

    name: str
    method: str
    path: str
    body: Json | None = None
    raw: bytes | None = None
    csrf_token: str | None = None
    origin: str | None = None
    session_token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MailedKey:
    """Wanted: the key in the link that was mailed to `address` last, or "" if there is none."""

    address: str = ADDRESS


@dataclass(frozen=True)
class MailedCode:
    """Wanted: the code that was mailed to `address` last, or "" if the last mail has none."""

    address: str = ADDRESS


@dataclass(frozen=True)
class NoMail:
    """Have all mail thrown away that has come so far."""


@dataclass(frozen=True)
class Code:
    """Wanted: the code of `secret`, after the clock has moved on by as many `steps`."""

    secret: str
    steps: int = 1


@dataclass(frozen=True)
class Forget:
    """Drop token and session cookie, as a new client."""


@dataclass(frozen=True)
class Wait:
    """Let so many `seconds` pass."""

    seconds: int


@dataclass(frozen=True)
class CalmDown:
    """Wait until no limit holds any more."""


@dataclass(frozen=True)
class StartOver:
    """Begin as a new client, where nobody has an account and nothing has been counted."""


Wish = Ask | MailedCode | MailedKey | NoMail | Code | Forget | Wait | CalmDown | StartOver
Journey = Generator[Wish, Any, None]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a client sees of an answer.

    `body` is the JSON, or None if it was something else. `holds` are the cookies that the client
    has afterwards, `token` tells whether a new session token was shown.
    """

    name: str
    status: int
    body: Json | None
    no_store: bool
    holds: tuple[str, ...]
    token: bool


def journey() -> Journey:
    """Sign up, turn TOTP on, log in with recovery codes and with it, turn it off, and err in
    every way.

    Change the password and end sessions, with a second factor and without.
    """
    yield Ask("configuration", "GET", "config")
    yield Ask("anonymous", "GET", "auth/session")
    yield from _sign_up()
    secret = yield from _turn_on_totp()
    yield from _recover(secret)
    yield from _log_in(secret)
    yield from _turn_off_totp(secret)
    yield from _have_sessions()
    yield from _sign_up_again()
    yield from _guess_passwords()
    yield from _misbehave()


def _sign_up() -> Journey:
    yield Ask("sign up badly", "POST", "auth/signup", {"email": "a", "password": "123"})
    yield Ask("sign up with nothing", "POST", "auth/signup", {})
    yield Ask("sign up with null", "POST", "auth/signup", {"email": None, "password": None})
    yield Ask("sign up with blanks", "POST", "auth/signup", {"email": "  ", "password": ""})
    yield Ask("sign up with a list", "POST", "auth/signup", raw=b"[]")
    yield Ask("sign up with half of JSON", "POST", "auth/signup", raw=b"{")
    yield Ask("verify without a process", "POST", "auth/email/verify", {"key": "BBBB-BBBB"})
    yield Ask(
        "sign up",
        "POST",
        "auth/signup",
        {"email": "Ada@Example.org", "password": PASSWORD, "unknown": {"is": "ignored"}},
    )
    code = yield MailedCode()
    yield Ask("unverified", "GET", "auth/session")
    yield Ask("list while unverified", "GET", "account/authenticators")
    yield Ask("TOTP while unverified", "GET", "account/authenticators/totp")
    yield Ask("configuration while unverified", "GET", "config")
    yield Ask(
        "log in too early for another mail",
        "POST",
        "auth/login",
        {"email": ADDRESS, "password": PASSWORD},
    )
    yield Ask("verify with nothing", "POST", "auth/email/verify", {})
    yield Ask("verify wrongly", "POST", "auth/email/verify", {"key": "BBBB-BBBB"})
    yield Ask("verify", "POST", "auth/email/verify", {"key": code.lower().replace("-", " ")})
    yield Ask("verify again", "POST", "auth/email/verify", {"key": code})
    yield Ask(
        "log in while logged in",
        "POST",
        "auth/login",
        {"email": ADDRESS, "password": PASSWORD},
    )
    yield Ask(
        "sign up while logged in",
        "POST",
        "auth/signup",
        {"email": "b@example.org", "password": PASSWORD},
    )


def _turn_on_totp() -> Generator[Wish, Any, str]:
    path = "account/authenticators/totp"
    yield Ask("list nothing", "GET", "account/authenticators")
    yield Ask("see codes without a factor", "GET", CODES)
    yield Ask("make codes without a factor", "POST", CODES)
    yield Ask("deactivate nothing", "DELETE", path)
    yield Ask("see a secret", "GET", path)
    yield Ask("activate without reauthentication", "POST", path, {"code": "123456"})
    yield Ask("reauthenticate wrongly", "POST", "auth/reauthenticate", {"password": "no"})
    yield Ask("reauthenticate with nothing", "POST", "auth/reauthenticate", {})
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": PASSWORD})
    answer = yield Ask("see another secret", "GET", path)
    secret: str = answer["meta"]["secret"]
    yield Ask("activate wrongly", "POST", path, {"code": "000000"})
    yield Ask("activate with nothing", "POST", path, {})
    code = yield Code(secret)
    yield Ask("activate", "POST", path, {"code": code})
    yield Ask("see the authenticator", "GET", path)
    yield Ask("list it", "GET", "account/authenticators")
    yield Ask("a wrong code again", "POST", "auth/2fa/reauthenticate", {"code": "000000"})
    yield Ask("the second step without the first", "POST", "auth/2fa/authenticate", {"code": "1"})
    yield Ask("still logged in", "GET", "auth/session")
    yield Ask("log out", "DELETE", "auth/session")
    yield Ask("after logging out", "GET", "auth/session")
    yield Forget()
    yield Ask("anew", "GET", "auth/session")
    return secret


def _recover(secret: str) -> Journey:
    """Log in, look at the codes, use them in both places, and make new ones; then log out."""
    credentials = {"email": ADDRESS, "password": PASSWORD}
    yield Ask("see codes as nobody", "GET", CODES)
    yield Ask("log in first", "POST", "auth/login", credentials)
    yield Ask("see codes while pending", "GET", CODES)
    yield Ask("make codes while pending", "POST", CODES)
    code = yield Code(secret)
    yield Ask("the second step of the first", "POST", "auth/2fa/authenticate", {"code": code})
    yield Ask("see codes too early", "GET", CODES)
    yield Ask("make codes too early", "POST", CODES, {})
    code = yield Code(secret)
    yield Ask("reauthenticate for codes", "POST", "auth/2fa/reauthenticate", {"code": code})
    answer = yield Ask("see codes", "GET", CODES)
    first, second, *_ = answer["data"]["unused_codes"]
    yield Ask("see codes again", "GET", CODES)
    yield Ask("reauthenticate by a code", "POST", "auth/2fa/reauthenticate", {"code": first})
    yield Ask("a spent code", "POST", "auth/2fa/reauthenticate", {"code": first})
    yield Ask("see the codes that are left", "GET", CODES)
    yield Ask("list the codes that are left", "GET", "account/authenticators")
    answer = yield Ask("make new codes", "POST", CODES, {"unknown": 1})
    new, other, *_ = answer["data"]["unused_codes"]
    yield Ask("see the new codes", "GET", CODES)
    yield Ask("a code of the old set", "POST", "auth/2fa/reauthenticate", {"code": second})
    yield Ask("list the new codes", "GET", "account/authenticators")
    yield Ask("make codes from a list", "POST", CODES, raw=b"[]")
    yield Ask("log out with codes", "DELETE", "auth/session")
    yield Forget()
    yield Ask("come back", "GET", "auth/session")
    yield Ask("lose the device", "POST", "auth/login", credentials)
    yield Ask("pending without it", "GET", "auth/session")
    yield Ask("no code at all", "POST", "auth/2fa/authenticate", {"code": "1234567"})
    yield CalmDown()
    grouped = f" {new[:4]} {new[4:]} "
    yield Ask("a code in place of it", "POST", "auth/2fa/authenticate", {"code": grouped})
    yield Ask("logged in by a code", "GET", "auth/session")
    yield Ask("see codes after that", "GET", CODES)
    yield Ask("prove it by another", "POST", "auth/2fa/reauthenticate", {"code": other})
    yield Ask("list after that", "GET", "account/authenticators")
    yield Ask("log out without it", "DELETE", "auth/session")
    yield Forget()
    yield Ask("found it again", "GET", "auth/session")


def _log_in(secret: str) -> Journey:
    credentials = {"email": ADDRESS, "password": PASSWORD}
    yield Ask("a wrong password", "POST", "auth/login", {**credentials, "password": "bad"})
    yield Ask(
        "an unknown address", "POST", "auth/login", {"email": "no@example.org", "password": "bad"}
    )
    yield Ask("log in with nothing", "POST", "auth/login", {})
    yield Ask("log in with a number", "POST", "auth/login", {"email": "zz", "password": 3})
    yield Ask("log in", "POST", "auth/login", credentials)
    yield Ask("pending", "GET", "auth/session")
    yield Ask("list while pending", "GET", "account/authenticators")
    yield Ask("deactivate while pending", "DELETE", "account/authenticators/totp")
    yield Ask("change the password while pending", "POST", PASSWORD_CHANGE, NEW)
    yield Ask("list sessions while pending", "GET", "auth/sessions")
    yield Ask("reauthenticate while pending", "POST", "auth/reauthenticate", credentials)
    yield Ask("verify while pending", "POST", "auth/email/verify", {"key": "BBBB-BBBB"})
    yield Ask(
        "sign up while pending",
        "POST",
        "auth/signup",
        {"email": "b@example.org", "password": PASSWORD},
    )
    yield Ask("log in while pending", "POST", "auth/login", credentials)
    yield Ask("a wrong second step", "POST", "auth/2fa/authenticate", {"code": "000000"})
    yield Ask("a second step with nothing", "POST", "auth/2fa/authenticate", {})
    yield Ask("a second step with a number", "POST", "auth/2fa/authenticate", {"code": 12})
    yield CalmDown()
    code = yield Code(secret)
    yield Ask("the second step", "POST", "auth/2fa/authenticate", {"code": code})
    yield Ask("the second step again", "POST", "auth/2fa/authenticate", {"code": code})
    yield Ask("logged in", "GET", "auth/session")


def _change_passwords(when: str) -> Journey:
    """Change the password and back again, and err."""
    yield CalmDown()
    for fault, body in {
        "with nothing": {},
        "without the present one": {"new_password": NEW_PASSWORD},
        "without a new one": {"current_password": PASSWORD},
        "with blanks": {"current_password": "", "new_password": ""},
        "with the wrong one": {**NEW, "current_password": "bad"},
    }.items():
        yield Ask(f"change the password {fault} {when}", "POST", PASSWORD_CHANGE, body)
    yield CalmDown()
    for fault, password in {
        "a weak one": "12345",
        "a common one": "password1",
        "one of digits": "8364019572",
        "one like the address": "ada@example",
        "the same": PASSWORD,
    }.items():
        body = {"current_password": PASSWORD, "new_password": password}
        yield Ask(f"change the password to {fault} {when}", "POST", PASSWORD_CHANGE, body)
    yield CalmDown()
    yield Ask(
        f"change the password wrongly and weakly {when}",
        "POST",
        PASSWORD_CHANGE,
        {"current_password": "bad", "new_password": "123"},
    )
    yield Ask(f"change the password {when}", "POST", PASSWORD_CHANGE, NEW)
    yield Ask(f"after the change {when}", "GET", "auth/session")
    yield Ask(f"change the password by the old one {when}", "POST", PASSWORD_CHANGE, NEW)
    back = {"current_password": NEW_PASSWORD, "new_password": PASSWORD}
    yield Ask(f"change the password back {when}", "POST", PASSWORD_CHANGE, back)
    for time in ("fifth", "sixth"):
        body = {**NEW, "current_password": "bad"}
        yield Ask(f"change the password a {time} time {when}", "POST", PASSWORD_CHANGE, body)
    yield Ask(f"the only session {when}", "GET", "auth/sessions")


def _have_sessions() -> Journey:
    path = "auth/sessions"
    credentials = {"email": ADDRESS, "password": PASSWORD}
    yield Ask("sessions of nobody", "GET", path)
    yield Ask("end sessions of nobody", "DELETE", path, {"sessions": [1]})
    yield Ask("change the password of nobody", "POST", PASSWORD_CHANGE, NEW)
    yield Ask("log in here", "POST", "auth/login", credentials)
    yield Forget()
    yield Ask("log in there", "POST", "auth/login", credentials)
    answer = yield Ask("two sessions", "GET", path)
    other = next(session["id"] for session in answer["data"] if not session["is_current"])
    yield Ask("end no sessions", "DELETE", path, {"sessions": []})
    yield Ask("end sessions with nothing", "DELETE", path, {})
    yield Ask("end what is no list", "DELETE", path, {"sessions": "all"})
    yield Ask("end a session that is not there", "DELETE", path, {"sessions": ["987654321"]})
    yield Ask("end what is no session", "DELETE", path, {"sessions": ["a"]})
    yield Ask("end a number", "DELETE", path, {"sessions": [987654321]})
    yield Ask("end one and another", "DELETE", path, {"sessions": [other, "987654321"]})
    yield Ask("still two sessions", "GET", path)
    yield Ask("end the other session", "DELETE", path, {"sessions": [other]})
    yield Ask("end it again", "DELETE", path, {"sessions": [other]})
    yield Forget()
    yield Ask("log in elsewhere", "POST", "auth/login", credentials)
    yield from _change_passwords("without TOTP")
    answer = yield Ask("one session", "GET", path)
    ids = [session["id"] for session in answer["data"]]
    yield Ask("end all sessions", "DELETE", path, {"sessions": ids})
    yield Ask("after ending all sessions", "GET", "auth/session")
    yield Forget()


def _turn_off_totp(secret: str) -> Journey:
    path = "account/authenticators/totp"
    yield Ask("activate while active", "POST", path, {"code": "000000"})
    yield Ask("deactivate too early", "DELETE", path)
    code = yield Code(secret, steps=0)
    yield Ask("a used code", "POST", "auth/2fa/reauthenticate", {"code": code})
    yield from _change_passwords("with TOTP")
    code = yield Code(secret)
    yield Ask("reauthenticate with TOTP", "POST", "auth/2fa/reauthenticate", {"code": code})
    yield Ask("reauthenticated", "GET", "auth/session")
    yield Ask("activate while active, reauthenticated", "POST", path, {"code": "000000"})
    yield Ask("deactivate", "DELETE", path)
    yield Ask("deactivate again", "DELETE", path)
    yield Ask("list nothing again", "GET", "account/authenticators")
    yield Ask("the codes are gone too", "GET", CODES)
    yield Ask("make codes without a factor again", "POST", CODES)
    yield Ask("log out again", "DELETE", "auth/session")
    yield Forget()
    yield Ask("log in without TOTP", "POST", "auth/login", {"email": ADDRESS, "password": PASSWORD})
    yield Ask("log out once more", "DELETE", "auth/session")
    yield Forget()


def _sign_up_again() -> Journey:
    credentials = {"email": ADDRESS, "password": PASSWORD}
    yield Ask("a known address", "POST", "auth/signup", credentials)
    yield MailedCode()
    for attempt in ("first", "second", "third", "fourth"):
        yield Ask(f"{attempt} guess", "POST", "auth/email/verify", {"key": "BBBB-BBBB"})
    yield Ask("after the guesses", "GET", "auth/session")
    yield Ask("log out of a sign-up", "DELETE", "auth/session")
    yield Forget()
    yield Ask("a known address too early", "POST", "auth/signup", credentials)
    yield Forget()


def _guess_passwords() -> Journey:
    yield CalmDown()
    for attempt in range(6):
        yield Ask(
            f"password {attempt}", "POST", "auth/login", {"email": ADDRESS, "password": "bad"}
        )
    yield Ask(
        "the right one, too late", "POST", "auth/login", {"email": ADDRESS, "password": PASSWORD}
    )
    yield CalmDown()
    yield Ask("later", "POST", "auth/login", {"email": ADDRESS, "password": PASSWORD})


def _misbehave() -> Journey:
    credentials = {"email": ADDRESS, "password": PASSWORD}
    yield Ask("an unknown path", "GET", "auth/nothing")
    yield Ask("a wrong method", "GET", "auth/login")
    yield Ask("log out last", "DELETE", "auth/session")
    yield Forget()
    yield Ask("NUL", "POST", "auth/login", {**credentials, "email": "ada@example.org\0"})
    yield Ask("a form", "POST", "auth/login", raw=b"email=a")
    yield Ask("a wrong CSRF token", "POST", "auth/login", credentials, csrf_token="wrong")
    yield Ask("a foreign page", "POST", "auth/login", credentials, origin="https://evil.example")
    yield Forget()
    yield Ask("an invented token", "GET", "auth/session", session_token="bogus")
    yield Ask("an invented token asks", "GET", "config", session_token="bogus")
    yield Ask("an invented token writes", "POST", "auth/login", credentials, session_token="bogus")
