"""A journey of an app that is given tokens, beside its session; a browser is given none."""

from collections.abc import Generator
from typing import Any

from tests.reference.journey import ADDRESS, PASSWORD, Ask, Forget, Journey, Json, MailedCode, Wish

REFRESH = "tokens/refresh"
CREDENTIALS = {"email": ADDRESS, "password": PASSWORD}
NO_TOKEN = "no.token.atall"
NO_TOKENS: dict[str, Json] = {
    "nothing": {},
    "null": {"refresh_token": None},
    "blanks": {"refresh_token": "  "},
    "a word": {"refresh_token": "token"},
    "what looks like one": {"refresh_token": NO_TOKEN},
}


def tokens_journey() -> Journey:
    """Be given tokens, show and renew them, and err in every way; then have a copy used."""
    yield Ask("configuration", "GET", "config")
    yield Ask("anonymous", "GET", "auth/session")
    yield from _refresh_badly("as nobody")
    yield Ask("refresh with half of JSON", "POST", REFRESH, raw=b"{")
    yield from _show_badly()
    yield from _join()
    access, renewal = yield from _log_in("to begin")
    yield from _refresh_badly("logged in")
    yield Ask("refresh with an access token", "POST", REFRESH, {"refresh_token": access})
    yield Forget()
    yield from _show("at first", access)
    yield Forget()
    yield show("show what renews", renewal)
    yield Forget()
    renewed, next_renewal = yield from _refresh("refresh", renewal)
    yield from _show("from before", access)
    yield from _show("renewed", renewed)
    yield from _refresh("refresh on", next_renewal)
    yield from _log_out()
    yield from _lose_an_answer()
    access, renewal = yield from _log_in("to be copied")
    yield Forget()
    _, next_renewal = yield from _refresh("refresh what was copied", renewal)
    yield from _refresh("refresh on what was copied", next_renewal)
    yield Ask("refresh the copy", "POST", REFRESH, {"refresh_token": renewal})
    yield show("show after the copy", access)


def show(name: str, token: str, path: str = "auth/session", scheme: str = "Bearer") -> Ask:
    """Return the request of who has nothing but an access token."""
    return Ask(name, "GET", path, headers={"Authorization": f"{scheme} {token}".strip()})


def _show(how: str, token: str) -> Journey:
    """Show a token wherever one has to be logged in."""
    for path in ("auth/session", "auth/sessions", "account/email", "account/authenticators"):
        yield Forget()
        yield show(f"show one {how}: {path}", token, path)
    yield Forget()


def _show_badly() -> Journey:
    for what, token, scheme in (
        ("a word", "token", "Bearer"),
        ("what looks like one", NO_TOKEN, "Bearer"),
        ("nothing", "", "Bearer"),
        ("another scheme", NO_TOKEN, "Basic"),
    ):
        yield Forget()
        yield show(f"show {what}", token, scheme=scheme)
    yield Forget()


def _refresh_badly(when: str) -> Journey:
    for what, body in NO_TOKENS.items():
        yield Ask(f"refresh with {what} {when}", "POST", REFRESH, body)


def _refresh(name: str, token: str) -> Generator[Wish, Any, tuple[str, str]]:
    """Have tokens renewed; return what an app is given."""
    answer = yield Ask(name, "POST", REFRESH, {"refresh_token": token})
    return _tokens((answer or {}).get("data", {}))


def _join() -> Journey:
    yield Ask("sign up", "POST", "auth/signup", CREDENTIALS)
    code = yield MailedCode()
    yield Ask("verify", "POST", "auth/email/verify", {"key": code})
    yield Ask("logged in", "GET", "auth/session")
    yield Ask("leave", "DELETE", "auth/session")
    yield Forget()


def _log_in(why: str) -> Generator[Wish, Any, tuple[str, str]]:
    answer = yield Ask(f"log in {why}", "POST", "auth/login", CREDENTIALS)
    return _tokens(answer["meta"])


def _log_out() -> Journey:
    access, renewal = yield from _log_in("to leave")
    yield Ask("leave with tokens", "DELETE", "auth/session")
    yield Forget()
    yield show("show one too late", access)
    yield Forget()
    yield Ask("refresh too late", "POST", REFRESH, {"refresh_token": renewal})


def _lose_an_answer() -> Journey:
    _, renewal = yield from _log_in("to lose an answer")
    yield from _refresh("refresh, and lose the answer", renewal)
    yield from _refresh("refresh again", renewal)
    yield Ask("leave with a lost answer", "DELETE", "auth/session")
    yield Forget()


def _tokens(given: Json) -> tuple[str, str]:
    return given.get("access_token", NO_TOKEN), given.get("refresh_token", NO_TOKEN)
