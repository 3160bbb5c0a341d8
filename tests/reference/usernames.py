"""The journeys of people who have usernames: with an address or without, or with a made-up name."""

from tests.reference.emails import EMAIL, TOTP, VERIFY
from tests.reference.journey import (
    ADDRESS,
    CODES,
    PASSWORD,
    Ask,
    CalmDown,
    Code,
    Forget,
    Journey,
    Json,
    MailedCode,
    MailedKey,
)

SIGNUP = "auth/signup"
LOGIN = "auth/login"
PASSKEY = "auth/webauthn/signup"
BOB = "bob@example.org"
EVE = "eve@example.org"
CAROL = "carol@example.org"
WEAK = "123"
LONG = "a" * 151


def named_journey() -> Journey:
    """Have a username to log in by, and an address or none."""
    yield Ask("configuration", "GET", "config")
    yield Ask("anonymous", "GET", "auth/session")
    yield from _sign_up_badly()
    yield Ask("sign up without an address", "POST", SIGNUP, _named("Ada"))
    yield Ask("logged in at once", "GET", "auth/session")
    yield Ask("sign up while logged in", "POST", SIGNUP, _named("Eve"))
    yield Ask("log in while logged in", "POST", LOGIN, _named("Ada"))
    yield Ask("prove it wrongly", "POST", "auth/reauthenticate", {"password": "wrong"})
    yield Ask("list no addresses", "GET", EMAIL)
    yield from _have_an_address()
    yield from _have_totp()
    yield from _come_back()
    yield from _take_names()
    yield from _guess()


def both_journey() -> Journey:
    """Log in by username or by address, which has to be verified."""
    yield Ask("configuration", "GET", "config")
    yield Ask("anonymous", "GET", "auth/session")
    yield from _sign_up_badly()
    yield Ask("sign up too short", "POST", SIGNUP, _named("ab", ADDRESS))
    yield Ask("sign up as who nobody may be", "POST", SIGNUP, _named("aDmin", ADDRESS))
    yield Ask("sign up with no address", "POST", SIGNUP, _named("Ada"))
    yield Ask("sign up", "POST", SIGNUP, _named("Ada", ADDRESS))
    yield Ask("pending", "GET", "auth/session")
    key = yield MailedCode()
    yield Ask("look at the code", "GET", VERIFY, headers={"X-Email-Verification-Key": key})
    yield Ask("verify", "POST", VERIFY, {"key": key})
    yield Ask("logged in", "GET", "auth/session")
    yield Ask("log out", "DELETE", "auth/session")
    yield from _log_in_by_either()
    yield from _take_what_is_taken()
    yield from _mistype_an_address()
    yield from _sign_up_by_passkey()


def made_up_journey() -> Journey:
    """Give no username, and get one; or one that is given in place of it."""
    yield Ask("anonymous", "GET", "auth/session")
    yield Ask("sign up with nothing", "POST", SIGNUP, {})
    yield Ask("sign up without a username", "POST", SIGNUP, _called(ADDRESS))
    yield Ask("made up", "GET", "auth/session")
    yield Ask("log out", "DELETE", "auth/session")
    yield from _anew("to log in by it")
    yield Ask("log in by what was made up", "POST", LOGIN, _named("ADA"))
    yield Ask("log out again", "DELETE", "auth/session")
    yield from _anew("to take it")
    yield Ask("take what was made up", "POST", SIGNUP, _named("ada", BOB))
    yield Ask("give blanks", "POST", SIGNUP, {**_called(BOB), "username": "  "})
    yield Ask("called by blanks", "GET", "auth/session")
    yield Ask("log out as Bob", "DELETE", "auth/session")
    yield from _anew("to be odd")
    yield Ask("an odd address", "POST", SIGNUP, _called("!#$%@example.org"))
    yield Ask("log out as somebody odd", "DELETE", "auth/session")
    yield from _anew("to be chosen")
    yield Ask("choose a username", "POST", SIGNUP, _named("Wizard", EVE))
    yield Ask("chosen", "GET", "auth/session")
    yield Ask("change to a similar password", "POST", "account/password/change", SIMILAR)


SIMILAR = {"current_password": PASSWORD, "new_password": "wizard-one"}


def _sign_up_badly() -> Journey:
    badly: dict[str, Json] = {
        "nothing": {},
        "nulls": {"username": None, "email": None, "password": None},
        "blanks": {"username": "  ", "email": " ", "password": ""},
        "a password alone": {"password": PASSWORD},
        "two words": _named("a da", ADDRESS),
        "a sign": _named("ada!", ADDRESS),
        "a line": _named("a\nda", ADDRESS),
        "a long name": _named(LONG, ADDRESS),
        "nothing right": {"username": "a da", "email": "no address", "password": WEAK},
        "an address that is none": _named("Ada", "no address"),
        "a weak password": _named("Ada", ADDRESS, WEAK),
    }
    for what, body in badly.items():
        yield Ask(f"sign up with {what}", "POST", SIGNUP, body)


def _have_an_address() -> Journey:
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": PASSWORD})
    yield Ask("add no address", "POST", EMAIL, {"email": "no address"})
    yield Ask("add an address", "POST", EMAIL, {"email": ADDRESS})
    yield Ask("list what is claimed", "GET", EMAIL)
    yield Ask("called without the claim", "GET", "auth/session")
    yield Ask("TOTP while one is not verified", "GET", TOTP)
    key = yield MailedKey()
    yield Ask("follow the link", "POST", VERIFY, {"key": key})
    yield Ask("list the first", "GET", EMAIL)
    yield Ask("called with it", "GET", "auth/session")
    yield Ask("remove the only one", "DELETE", EMAIL, {"email": ADDRESS})
    yield Ask("called without it", "GET", "auth/session")
    yield Ask("remove it again", "DELETE", EMAIL, {"email": ADDRESS})
    yield CalmDown()
    yield Ask("claim it anew", "POST", EMAIL, {"email": ADDRESS})
    yield Ask("make the claim primary", "PATCH", EMAIL, {"email": ADDRESS, "primary": True})
    yield Ask("called by the claim", "GET", "auth/session")
    yield Ask("remove the claim", "DELETE", EMAIL, {"email": ADDRESS})


def _have_totp() -> Journey:
    yield Ask("reauthenticate for TOTP", "POST", "auth/reauthenticate", {"password": PASSWORD})
    offered = yield Ask("TOTP without an address", "GET", TOTP)
    code = yield Code(offered["meta"]["secret"])
    yield Ask("activate", "POST", TOTP, {"code": code})
    yield Ask("recovery codes", "GET", CODES)
    yield Ask("log out with TOTP", "DELETE", "auth/session")
    yield from _anew("to log in with TOTP")
    yield Ask("log in by another case", "POST", LOGIN, _named("ADA"))
    yield Ask("the second step", "GET", "auth/session")
    code = yield Code(offered["meta"]["secret"])
    yield Ask("second step", "POST", "auth/2fa/authenticate", {"code": code})
    yield Ask("logged in with both", "GET", "auth/session")
    code = yield Code(offered["meta"]["secret"])
    yield Ask("prove it by TOTP", "POST", "auth/2fa/reauthenticate", {"code": code})
    yield Ask("deactivate", "DELETE", TOTP)
    yield Ask("log out without TOTP", "DELETE", "auth/session")


def _come_back() -> Journey:
    yield from _anew("to come back")
    yield from _log_in_badly()
    yield Ask("log in by an address", "POST", LOGIN, _called(ADDRESS))
    yield Ask("log in", "POST", LOGIN, {**_named("ada"), "email": "heeded by nobody"})
    yield Ask("back again", "GET", "auth/session")
    yield Ask("log out at last", "DELETE", "auth/session")


def _log_in_badly() -> Journey:
    for what, body in {
        "nothing": {},
        "blanks": {"username": " ", "password": ""},
        "a username alone": {"username": "Ada"},
        "a blank username": _named(" "),
        "no username": {"username": None, "password": PASSWORD},
        "a password alone": {"password": PASSWORD},
        "a wrong password": _named("Ada", password="wrong"),
        "an unknown name": _named("nobody"),
        "an odd name": _named("no body!"),
        "a name with blanks": _named("  Ada ", password="wrong"),
    }.items():
        yield Ask(f"log in with {what}", "POST", LOGIN, body)
    yield CalmDown()


def _take_names() -> Journey:
    yield from _anew("to take names")
    yield Ask("take a name", "POST", SIGNUP, _named("ADA"))
    yield Ask("take a name weakly", "POST", SIGNUP, _named("ada", password=WEAK))
    yield Ask("sign up with an address", "POST", SIGNUP, _named("Bob", BOB))
    yield Ask("called with an address", "GET", "auth/session")
    yield Ask("TOTP with an unverified one", "GET", TOTP)
    yield Ask("log out as Bob", "DELETE", "auth/session")
    yield from _anew("to take more")
    yield Ask("take an address", "POST", SIGNUP, _named("Eve", BOB))
    yield Ask("take both", "POST", SIGNUP, _named("bob", BOB))
    yield Ask("take both weakly", "POST", SIGNUP, _named("bob", BOB, WEAK))


def _guess() -> Journey:
    yield CalmDown()
    for name in ("bob", "BOB", "Bob", "bOB", "boB", "bOb"):
        yield Ask(f"guess as {name}", "POST", LOGIN, _named(name, password="wrong"))
    yield Ask("right too late", "POST", LOGIN, _named("bob"))
    yield CalmDown()
    for count in range(6):
        yield Ask(f"guess {count} as nobody", "POST", LOGIN, _named("nobody"))


def _log_in_by_either() -> Journey:
    yield from _anew("to log in by either")
    yield from _log_in_badly()
    for what, body in {
        "both names": {"username": "ada", **_called(ADDRESS)},
        "both, one blank": {"username": "", **_called(ADDRESS)},
        "both, one null": {"username": None, **_called(ADDRESS)},
        "no address": _called("no address"),
        "no address and a name": {"username": "ada", **_called("no address")},
        "a blank address": _called(""),
        "a wrong password by address": _called(ADDRESS, "wrong"),
        "an unknown address": _called(EVE),
        "an unknown address as a name": _named(EVE),
    }.items():
        yield Ask(f"log in with {what}", "POST", LOGIN, body)
    yield CalmDown()
    for what, body in {
        "by username": _named("ada"),
        "by username in capitals": _named(" ADA "),
        "by address": _called(ADDRESS),
        "by address as username": _named(ADDRESS),
    }.items():
        yield from _anew(what)
        yield Ask(f"log in {what}", "POST", LOGIN, body)
        yield Ask(f"logged in {what}", "GET", "auth/session")
        yield Ask(f"log out {what}", "DELETE", "auth/session")


def _take_what_is_taken() -> Journey:
    yield from _anew("to take what is taken")
    yield Ask("take a username", "POST", SIGNUP, _named("ADA", BOB))
    yield Ask("take a username weakly", "POST", SIGNUP, _named("Ada", BOB, WEAK))
    yield Ask("take both", "POST", SIGNUP, _named("Ada", ADDRESS))
    yield Ask("take an address", "POST", SIGNUP, _named("Mallory", ADDRESS))
    yield Ask("as if it were free", "GET", "auth/session")
    yield CalmDown()
    yield from _anew("to try the name again")
    yield Ask("the name of a sign-up that was none", "POST", SIGNUP, _named("Mallory", EVE))


def _mistype_an_address() -> Journey:
    yield CalmDown()
    yield from _anew("to mistype")
    yield Ask("sign up mistyped", "POST", SIGNUP, _named("Bob", "bbo@example.org"))
    yield Ask("change", "POST", EMAIL, {"email": BOB})
    key = yield MailedCode(BOB)
    yield Ask("verify the other", "POST", VERIFY, {"key": key})
    yield Ask("called by it", "GET", "auth/session")
    yield Ask("remove the only address", "DELETE", EMAIL, {"email": BOB})
    yield Ask("log out as Bob", "DELETE", "auth/session")


def _sign_up_by_passkey() -> Journey:
    yield CalmDown()
    yield from _anew("to have a passkey")
    for what, body in {
        "nothing": {},
        "a taken username": {"username": "ADA", "email": CAROL},
        "two words": {"username": "a da", "email": CAROL},
        "no address": {"username": "Carol"},
    }.items():
        yield Ask(f"by passkey with {what}", "POST", PASSKEY, body)
    yield Ask("by passkey", "POST", PASSKEY, {"username": "Carol", "email": CAROL})
    key = yield MailedCode(CAROL)
    yield Ask("verify for the passkey", "POST", VERIFY, {"key": key})
    yield Ask("the passkey is missing", "GET", "auth/session")


def _anew(why: str) -> Journey:
    yield Forget()
    yield Ask(f"anew {why}", "GET", "auth/session")


def _named(username: str, email: str | None = None, password: str = PASSWORD) -> Json:
    known = {} if email is None else {"email": email}
    return {"username": username, **known, "password": password}


def _called(email: str, password: str = PASSWORD) -> Json:
    return {"email": email, "password": password}
