"""The journeys that have to do with addresses: verified by code, by link, or not at all."""

from collections.abc import Generator

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
    Wait,
    Wish,
)

EMAIL = "account/email"
VERIFY = "auth/email/verify"
RESEND = "auth/email/verify/resend"
TOTP = "account/authenticators/totp"
HEADER = "X-Email-Verification-Key"
MISTYPED = "aad@example.org"
SECOND = "second@example.com"
THIRD = "third@example.com"
BOB = "bob@example.org"
WRONG = "BBBB-BBBB"
TOO_LATE = 901  # seconds
NO_LINK = "MQ:1wFtYc:not-a-signature"


def code_journey() -> Journey:
    """Verify addresses by codes: at sign-up, where one is mistyped, and others later."""
    yield from _err_as_nobody("by code")
    yield from _sign_up_by_code()
    yield from _add_by_code()
    yield from _have_several()
    yield from _take_another_persons()
    yield from _guess()
    yield from _do_it_too_often()


def link_journey() -> Journey:
    """Verify addresses by links, in the session that signed up and elsewhere."""
    yield from _err_as_nobody("by link")
    yield Ask("follow no link", "POST", VERIFY, {"key": NO_LINK})
    yield Ask("follow nothing", "POST", VERIFY, {})
    yield look("look at no link", NO_LINK)
    yield look("look at an empty link", "")
    yield from _sign_up_by_link()
    yield from _add_by_link()
    yield from _have_several()
    yield from _protect("by link")
    yield Ask("add with a second factor", "POST", EMAIL, {"email": THIRD})
    yield Ask("list with a second factor", "GET", EMAIL)
    yield Ask("ask for a verified one", "PUT", EMAIL, {"email": ADDRESS})


def optional_journey() -> Journey:
    """Sign up, and be logged in with an address that is not verified."""
    yield Ask("anonymous", "GET", "auth/session")
    yield Ask("sign up", "POST", "auth/signup", {"email": ADDRESS, "password": PASSWORD})
    link = yield MailedKey()
    yield Ask("logged in at once", "GET", "auth/session")
    yield Ask("list what is not verified", "GET", EMAIL)
    yield Ask("TOTP while not verified", "GET", TOTP)
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": PASSWORD})
    yield Ask("activate while not verified", "POST", TOTP, {"code": "000000"})
    yield Ask("ask too early", "PUT", EMAIL, {"email": ADDRESS})
    yield CalmDown()
    yield Ask("ask again", "PUT", EMAIL, {"email": ADDRESS})
    yield Ask("resend by link", "POST", RESEND)
    yield Ask("remove the only one", "DELETE", EMAIL, {"email": ADDRESS})
    yield Ask("make the only one primary", "PATCH", EMAIL, {"email": ADDRESS, "primary": True})
    yield Ask("add", "POST", EMAIL, {"email": SECOND})
    yield Ask("add twice", "POST", EMAIL, {"email": SECOND})
    yield Ask("list two that are not verified", "GET", EMAIL)
    yield Ask("make the other primary", "PATCH", EMAIL, {"email": SECOND, "primary": True})
    yield Ask("the other is primary", "GET", "auth/session")
    yield Ask("and the first again", "PATCH", EMAIL, {"email": ADDRESS, "primary": True})
    yield Ask("remove the other", "DELETE", EMAIL, {"email": SECOND})
    yield look("look at the link", link)
    yield Ask("follow the link", "POST", VERIFY, {"key": link})
    yield look("look at it again", link)
    yield Ask("follow it again", "POST", VERIFY, {"key": link})
    yield Ask("list what is verified", "GET", EMAIL)
    yield Ask("TOTP once verified", "GET", TOTP)
    yield Ask("claim another", "POST", EMAIL, {"email": SECOND})
    yield Ask("TOTP while one is not verified", "GET", TOTP)
    yield Ask("make the claim primary", "PATCH", EMAIL, {"email": SECOND, "primary": True})
    yield Ask("log out", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew", "GET", "auth/session")
    yield Ask("log in", "POST", "auth/login", _credentials(ADDRESS))
    yield Ask("log out again", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew to sign up", "GET", "auth/session")
    yield Ask("sign up with what is taken", "POST", "auth/signup", _credentials(ADDRESS))
    yield Ask("sign up as somebody else", "POST", "auth/signup", _credentials(BOB))
    yield Ask("log out as somebody else", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew for an unverified login", "GET", "auth/session")
    yield Ask("log in unverified", "POST", "auth/login", _credentials(BOB))
    yield Ask("list as somebody else", "GET", EMAIL)
    yield Ask("log out at last", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew for a claim", "GET", "auth/session")
    yield Ask("log in by the claim", "POST", "auth/login", _credentials(SECOND))


def one_address_journey() -> Journey:
    """Have one address, and put another in its place."""
    yield Ask("anonymous", "GET", "auth/session")
    yield Ask("sign up", "POST", "auth/signup", _credentials(ADDRESS))
    link = yield MailedKey()
    yield Ask("follow the link", "POST", VERIFY, {"key": link})
    yield Ask("still to log in", "GET", "auth/session")
    yield Ask("log in", "POST", "auth/login", _credentials(ADDRESS))
    yield Ask("list", "GET", EMAIL)
    yield Ask("change to the same", "POST", EMAIL, {"email": ADDRESS})
    yield Ask("change", "POST", EMAIL, {"email": SECOND})
    first = yield MailedKey(SECOND)
    yield Ask("list while changing", "GET", EMAIL)
    yield Ask("change to yet another", "POST", EMAIL, {"email": THIRD})
    second = yield MailedKey(THIRD)
    yield Ask("list while changing anew", "GET", EMAIL)
    yield Ask("follow the link of before", "POST", VERIFY, {"key": first})
    yield look("look at the link", second)
    yield Ask("follow the new link", "POST", VERIFY, {"key": second})
    yield Ask("follow it again", "POST", VERIFY, {"key": second})
    yield Ask("list the one", "GET", EMAIL)
    yield Ask("the session has it", "GET", "auth/session")
    yield Ask("remove the one", "DELETE", EMAIL, {"email": THIRD})
    yield Ask("ask for the old one", "PUT", EMAIL, {"email": ADDRESS})
    yield Ask("log out", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew", "GET", "auth/session")
    yield Ask("log in by the old one", "POST", "auth/login", _credentials(ADDRESS))
    yield Ask("log in by the new one", "POST", "auth/login", _credentials(THIRD))


def proved_journey() -> Journey:
    """Prove oneself again before addresses change."""
    yield Ask("anonymous", "GET", "auth/session")
    yield Ask("sign up", "POST", "auth/signup", _credentials(ADDRESS))
    code = yield MailedCode()
    yield Ask("verify", "POST", VERIFY, {"key": code})
    yield Ask("list", "GET", EMAIL)
    yield Ask("add without a proof", "POST", EMAIL, {"email": SECOND})
    yield Ask("add nothing without a proof", "POST", EMAIL, {})
    yield Ask("add the same without a proof", "POST", EMAIL, {"email": ADDRESS})
    yield Ask("remove without a proof", "DELETE", EMAIL, {"email": ADDRESS})
    yield Ask("remove nothing without a proof", "DELETE", EMAIL, {"email": SECOND})
    yield Ask("primary without a proof", "PATCH", EMAIL, {"email": ADDRESS, "primary": True})
    yield Ask("reauthenticate", "POST", "auth/reauthenticate", {"password": PASSWORD})
    yield Ask("add", "POST", EMAIL, {"email": SECOND})
    code = yield MailedCode(SECOND)
    yield Ask("verify the other", "POST", VERIFY, {"key": code})
    yield Ask("make it primary", "PATCH", EMAIL, {"email": SECOND, "primary": True})
    yield Ask("remove the first", "DELETE", EMAIL, {"email": ADDRESS})


def look(name: str, key: str) -> Ask:
    """Return the request that looks at what a key is for."""
    return Ask(name, "GET", VERIFY, headers={HEADER: key} if key else {})


def _credentials(email: str) -> Json:
    return {"email": email, "password": PASSWORD}


def _err_as_nobody(how: str) -> Journey:
    yield Ask(f"configuration, {how}", "GET", "config")
    yield Ask(f"list as nobody, {how}", "GET", EMAIL)
    yield Ask(f"add as nobody, {how}", "POST", EMAIL, {"email": SECOND})
    yield Ask(f"ask as nobody, {how}", "PUT", EMAIL, {"email": ADDRESS})
    yield Ask(f"primary as nobody, {how}", "PATCH", EMAIL, {"email": ADDRESS, "primary": True})
    yield Ask(f"remove as nobody, {how}", "DELETE", EMAIL, {"email": ADDRESS})
    yield Ask(f"resend as nobody, {how}", "POST", RESEND)


def _sign_up_by_code() -> Journey:
    yield look("look without a process", WRONG)
    yield Ask("verify without a process", "POST", VERIFY, {"key": WRONG})
    yield Ask("sign up", "POST", "auth/signup", _credentials(MISTYPED))
    old = yield MailedCode(MISTYPED)
    yield Ask("list while pending", "GET", EMAIL)
    yield Ask("ask while pending", "PUT", EMAIL, {"email": MISTYPED})
    yield Ask("primary while pending", "PATCH", EMAIL, {"email": MISTYPED, "primary": True})
    yield Ask("remove while pending", "DELETE", EMAIL, {"email": MISTYPED})
    yield look("look at nothing", "")
    yield look("look wrongly", WRONG)
    yield look("look at the code", old)
    yield Ask("resend too early", "POST", RESEND)
    yield CalmDown()
    yield Ask("resend", "POST", RESEND)
    code = yield MailedCode(MISTYPED)
    yield Ask("verify by the old code", "POST", VERIFY, {"key": old})
    yield look("look at the new code", code)
    yield Ask("change to the same", "POST", EMAIL, {"email": MISTYPED})
    yield Ask("change to nothing", "POST", EMAIL, {})
    yield Ask("change to none", "POST", EMAIL, {"email": "none"})
    yield Ask("change", "POST", EMAIL, {"email": ADDRESS})
    yield Ask("verify by the code of before", "POST", VERIFY, {"key": code})
    code = yield MailedCode()
    yield look("look at the code of the change", code)
    yield Ask("verify", "POST", VERIFY, {"key": code})
    yield Ask("verify again", "POST", VERIFY, {"key": code})
    yield look("look again", code)
    yield Ask("resend without a process", "POST", RESEND)


def _add_by_code() -> Journey:
    yield Ask("list one", "GET", EMAIL)
    yield Ask("add the same", "POST", EMAIL, {"email": " Ada@Example.org "})
    yield Ask("add nothing", "POST", EMAIL, {})
    yield Ask("add none", "POST", EMAIL, {"email": "none"})
    yield Ask("add", "POST", EMAIL, {"email": SECOND})
    old = yield MailedCode(SECOND)
    yield Ask("list what waits", "GET", EMAIL)
    yield Ask("the session is as it was", "GET", "auth/session")
    yield look("look at the other", old)
    yield look("look at the other wrongly", WRONG)
    yield Ask("make primary what waits", "PATCH", EMAIL, {"email": SECOND, "primary": True})
    yield Ask("resend the other too early", "POST", RESEND)
    yield CalmDown()
    yield Ask("ask for the other", "PUT", EMAIL, {"email": SECOND})
    code = yield MailedCode(SECOND)
    yield Ask("verify the other wrongly", "POST", VERIFY, {"key": WRONG})
    yield Ask("verify the other", "POST", VERIFY, {"key": code})
    yield Ask("verify the other again", "POST", VERIFY, {"key": code})


def _have_several() -> Journey:
    """With two addresses: which is primary, and what may be removed."""
    yield Ask("list two", "GET", EMAIL)
    yield Ask("add the second", "POST", EMAIL, {"email": SECOND})
    yield Ask("ask for an unknown one", "PUT", EMAIL, {"email": BOB})
    yield Ask("ask for nothing", "PUT", EMAIL, {})
    yield Ask("ask for none", "PUT", EMAIL, {"email": "none"})
    yield CalmDown()
    yield Ask("primary without a word", "PATCH", EMAIL, {"email": SECOND})
    yield Ask("primary: no", "PATCH", EMAIL, {"email": SECOND, "primary": False})
    yield Ask("primary of nothing", "PATCH", EMAIL, {})
    yield Ask("primary of an unknown one", "PATCH", EMAIL, {"email": BOB, "primary": True})
    yield Ask("primary", "PATCH", EMAIL, {"email": SECOND, "primary": True})
    yield Ask("the session has the primary one", "GET", "auth/session")
    yield Ask("remove the primary one", "DELETE", EMAIL, {"email": SECOND})
    yield Ask("remove an unknown one", "DELETE", EMAIL, {"email": BOB})
    yield Ask("remove nothing", "DELETE", EMAIL, {})
    yield CalmDown()
    yield Ask("log out", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew", "GET", "auth/session")
    yield Ask("log in by the second", "POST", "auth/login", _credentials(SECOND))
    yield Ask("log out from the second", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew again", "GET", "auth/session")
    yield Ask("log in by the first", "POST", "auth/login", _credentials(ADDRESS))
    yield Ask("primary again", "PATCH", EMAIL, {"email": ADDRESS, "primary": True})
    yield Ask("remove the second", "DELETE", EMAIL, {"email": SECOND})
    yield Ask("remove the second again", "DELETE", EMAIL, {"email": SECOND})
    yield Ask("remove the last", "DELETE", EMAIL, {"email": ADDRESS})
    yield Ask("list what is left", "GET", EMAIL)
    yield CalmDown()


def _take_another_persons() -> Journey:
    yield Ask("log out for another", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew for another", "GET", "auth/session")
    yield Ask("sign up another", "POST", "auth/signup", _credentials(BOB))
    yield Ask("verify another wrongly", "POST", VERIFY, {"key": WRONG})
    code = yield MailedCode(BOB)
    yield Ask("verify another", "POST", VERIFY, {"key": code})
    yield Ask("add what is taken", "POST", EMAIL, {"email": ADDRESS})
    yield Ask("list with what is taken", "GET", EMAIL)
    yield Ask("verify what is taken wrongly", "POST", VERIFY, {"key": WRONG})
    yield Ask("primary of what is taken", "PATCH", EMAIL, {"email": ADDRESS, "primary": True})
    yield Ask("give up what is taken", "DELETE", EMAIL, {"email": ADDRESS})
    yield Ask("list without it", "GET", EMAIL)
    yield Ask("verify what was given up", "POST", VERIFY, {"key": WRONG})
    yield CalmDown()
    for number, address in enumerate((SECOND, THIRD)):
        yield Ask(f"add another {number}", "POST", EMAIL, {"email": address})
        code = yield MailedCode(address)
        yield Ask(f"verify yet another {number}", "POST", VERIFY, {"key": code})
    yield Ask("add too many", "POST", EMAIL, {"email": "fourth@example.com"})
    yield Ask("remove one of three", "DELETE", EMAIL, {"email": THIRD})


def _guess() -> Journey:
    yield CalmDown()
    yield Ask("add to guess", "POST", EMAIL, {"email": "guess@example.com"})
    code = yield MailedCode("guess@example.com")
    for number in range(5):
        yield Ask(f"guess {number}", "POST", VERIFY, {"key": WRONG})
    yield Ask("the right one is too late", "POST", VERIFY, {"key": code})
    yield Ask("list after guessing", "GET", EMAIL)
    for number in range(2):
        yield CalmDown()
        yield Ask(f"add to resend {number}", "POST", EMAIL, {"email": "resend@example.com"})
    for number in range(2):
        yield CalmDown()
        yield Ask(f"resend as often {number}", "POST", RESEND)
    yield Ask("resend once too often", "POST", RESEND)
    yield Ask("ask once too often", "PUT", EMAIL, {"email": "resend@example.com"})


def _do_it_too_often() -> Journey:
    yield CalmDown()
    yield Wait(TOO_LATE)
    yield Ask("list after a while", "GET", EMAIL)
    yield Ask("ask after a while", "PUT", EMAIL, {"email": "resend@example.com"})
    yield Ask("resend after a while", "POST", RESEND)
    yield Ask("add to be late", "POST", EMAIL, {"email": "late@example.com"})
    code = yield MailedCode("late@example.com")
    yield Wait(TOO_LATE)
    yield Ask("verify too late", "POST", VERIFY, {"key": code})
    yield CalmDown()
    for number in range(11):
        yield Ask(f"refused {number}", "DELETE", EMAIL, {"email": "nobody@example.com"})
    yield Ask("to look is not counted", "GET", EMAIL)
    yield CalmDown()
    yield Ask("ask for a verified one", "PUT", EMAIL, {"email": BOB})


def _sign_up_by_link() -> Generator[Wish, str, None]:
    yield Ask("sign up", "POST", "auth/signup", _credentials(ADDRESS))
    link = yield MailedKey()
    yield Ask("list while pending", "GET", EMAIL)
    yield Ask("change while pending", "POST", EMAIL, {"email": SECOND})
    yield Ask("resend while pending", "POST", RESEND)
    yield look("look while pending", link)
    yield Ask("follow a wrong one while pending", "POST", VERIFY, {"key": NO_LINK})
    yield Ask("still pending", "GET", "auth/session")
    yield Ask("follow the link", "POST", VERIFY, {"key": link})
    yield Ask("logged in by it", "GET", "auth/session")
    yield Ask("follow it again", "POST", VERIFY, {"key": link})
    yield look("look again", link)
    yield Ask("log out for another sign-up", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew for another sign-up", "GET", "auth/session")
    yield Ask("sign up with what is taken", "POST", "auth/signup", _credentials(ADDRESS))
    yield Ask("sign up another", "POST", "auth/signup", _credentials(BOB))
    link = yield MailedKey(BOB)
    yield Forget()
    yield Ask("anew elsewhere", "GET", "auth/session")
    yield look("look elsewhere", link)
    yield Ask("follow elsewhere", "POST", VERIFY, {"key": link})
    yield Ask("nobody elsewhere", "GET", "auth/session")
    yield CalmDown()
    yield Ask("log in another", "POST", "auth/login", _credentials(BOB))
    yield Ask("log out another", "DELETE", "auth/session")
    yield Forget()
    yield Ask("anew for the first", "GET", "auth/session")
    yield Ask("log in", "POST", "auth/login", _credentials(ADDRESS))


def _add_by_link() -> Generator[Wish, str, None]:
    yield Ask("list one", "GET", EMAIL)
    yield Ask("add the same", "POST", EMAIL, {"email": ADDRESS})
    yield Ask("add", "POST", EMAIL, {"email": SECOND})
    link = yield MailedKey(SECOND)
    yield Ask("list what waits", "GET", EMAIL)
    yield Ask("add it again", "POST", EMAIL, {"email": SECOND})
    yield Ask("make primary what waits", "PATCH", EMAIL, {"email": SECOND, "primary": True})
    yield Ask("TOTP while one waits", "GET", TOTP)
    yield Ask("resend by link", "POST", RESEND)
    yield Ask("ask too early", "PUT", EMAIL, {"email": SECOND})
    yield CalmDown()
    yield Ask("ask again", "PUT", EMAIL, {"email": SECOND})
    yield look("look at the other", link)
    yield Ask("follow the other", "POST", VERIFY, {"key": link})
    yield Ask("follow the other again", "POST", VERIFY, {"key": link})
    yield Ask("add to remove", "POST", EMAIL, {"email": THIRD})
    link = yield MailedKey(THIRD)
    yield Ask("remove what waits", "DELETE", EMAIL, {"email": THIRD})
    yield Ask("follow to what was removed", "POST", VERIFY, {"key": link})
    yield Ask("add what is taken", "POST", EMAIL, {"email": BOB})
    yield Ask("list with what is taken", "GET", EMAIL)
    yield Ask("remove what is taken", "DELETE", EMAIL, {"email": BOB})
    yield CalmDown()


def _protect(how: str) -> Journey:
    yield Ask(f"reauthenticate, {how}", "POST", "auth/reauthenticate", {"password": PASSWORD})
    answer = yield Ask(f"see a secret, {how}", "GET", TOTP)
    code = yield Code(answer["meta"]["secret"])
    yield Ask("activate", "POST", TOTP, {"code": code})
    yield Ask(f"see codes, {how}", "GET", CODES)
