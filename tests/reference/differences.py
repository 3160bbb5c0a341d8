"""Where Countersign answers otherwise than django-allauth, on purpose, and why.

Each difference turns what allauth answered into what Countersign answers. Whatever is not named
here is a fault.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.reference.journey import Json, Seen

Change = Callable[[Seen], Seen]


@dataclass(frozen=True)
class Difference:
    """`why` it is so, the names of the `steps` that it is seen in (none: all), and the change."""

    why: str
    change: Change
    steps: frozenset[str] = frozenset()

    def applies(self, seen: Seen) -> bool:
        """Tell whether this difference may show in an answer."""
        return not self.steps or seen.name in self.steps


def steps(*names: str) -> frozenset[str]:
    """Name the steps that a difference is seen in."""
    return frozenset(names)


def without_username(seen: Seen) -> Seen:
    """Drop the name that Django made up: accounts here have an address and nothing else."""
    return _with_body(seen, lambda body: body["data"]["user"].pop("username", None), "data", "user")


def with_svg(seen: Seen) -> Seen:
    """Add the picture of the code to what is shown at enrolment."""
    return _with_body(seen, lambda body: body["meta"].update(totp_svg="<svg>"), "meta", "secret")


def in_shape(*errors: Json) -> Change:
    """Put an answer that has no JSON into the shape that all others have."""

    def change(seen: Seen) -> Seen:
        if seen.body is not None:
            return seen
        body: Json = {"status": seen.status, **({"errors": list(errors)} if errors else {})}
        return replace(seen, body=body, no_store=True)

    return change


def with_errors(*errors: Json) -> Change:
    """Put other errors into an answer."""

    def change(seen: Seen) -> Seen:
        if seen.status != 400:
            return seen
        return replace(seen, body={"status": 400, "errors": list(errors)})

    return change


def only_the_last_password(seen: Seen) -> Seen:
    """Drop the proofs of the logins that were replaced."""

    def drop(body: Json) -> None:
        methods = body["data"]["methods"]
        logins = [method for method in methods if "reauthenticated" not in method]
        passwords = [method for method in logins if method["method"] == "password"]
        body["data"]["methods"] = [m for m in methods if m not in passwords[:-1]]

    return _with_body(seen, drop, "data", "methods")


def _with_body(seen: Seen, change: Callable[[Json], Any], member: str, wanted: str) -> Seen:
    """Change a copy of the body, if it has `wanted` in its `member`."""
    body = seen.body or {}
    inner = body.get(member)
    if not isinstance(inner, dict) or wanted not in inner:
        return seen
    copy = {**body, member: {**inner, **({"user": {**inner["user"]}} if "user" in inner else {})}}
    change(copy)
    return replace(seen, body=copy)


UNREADABLE = {"message": "The request cannot be read."}
NOT_AN_OBJECT = {**UNREADABLE, "code": "not_an_object"}
NOT_JSON = {**UNREADABLE, "code": "invalid_json"}
NUL = {
    "message": "Null characters are not allowed.",
    "code": "null_characters_not_allowed",
    "param": "email",
}
INVALID_EMAIL = {"message": "Enter a valid email address.", "code": "invalid", "param": "email"}


def invalid(param: str) -> Json:
    """Return the error of a member of another type than text."""
    return {"message": "Enter a valid value.", "code": "invalid", "param": param}


def current_first(seen: Seen) -> Seen:
    """List the session that asks before all others."""
    sessions = (seen.body or {}).get("data")
    if seen.body is None or not isinstance(sessions, list):
        return seen
    ordered = sorted(sessions, key=lambda session: not session["is_current"])
    return replace(seen, body={**seen.body, "data": ordered})


def with_a_new_token(seen: Seen) -> Seen:
    """Show a new token where there is a place for it, which is to apps alone."""
    if seen.holds:
        return seen
    changed = _with_body(
        seen, lambda body: body["meta"].update(session_token="new"), "meta", "is_authenticated"
    )
    return replace(changed, token=True)


def reauthentication_first(seen: Seen) -> Seen:
    """Answer as to a person who has to prove themselves again."""
    return replace(seen, status=401, body=None)


def with_codes_generated(seen: Seen) -> Seen:
    """Say that recovery codes were made along with a first authenticator."""
    if seen.status != 200 or seen.body is None:
        return seen
    return replace(seen, body={**seen.body, "meta": {"recovery_codes_generated": True}})


def with_stock(seen: Seen) -> Seen:
    """Say of every set of recovery codes whether few are left."""
    data = (seen.body or {}).get("data")
    if isinstance(data, list):
        return replace(seen, body={**(seen.body or {}), "data": [_with_low(item) for item in data]})
    if isinstance(data, dict):
        return replace(seen, body={**(seen.body or {}), "data": _with_low(data)})
    return seen


def _with_low(item: Json) -> Json:
    return item | ({"recovery_codes_low": False} if "unused_code_count" in item else {})


def with_a_sheet(seen: Seen) -> Seen:
    """Add what can be printed to codes that are shown."""
    body = seen.body or {}
    data = body.get("data")
    if not isinstance(data, dict) or "unused_codes" not in data:
        return seen
    return replace(seen, body={**body, "meta": {"recovery_codes_text": "<text>"}})


def refused_answer(seen: Seen) -> Seen:
    """Refuse an answer to the question of trust, where the question was asked."""
    if seen.status == 404:  # to an app it never is
        return seen
    error = {"message": "Enter true or false.", "code": "invalid", "param": "trust"}
    return replace(seen, status=400, body={"status": 400, "errors": [error]})


DIFFERENCES = (
    Difference("Accounts have no username.", without_username),
    Difference("`meta.totp_svg` is our extension.", with_svg),
    Difference("`recovery_codes_low` is our extension.", with_stock),
    Difference("`meta.recovery_codes_text` is our extension.", with_a_sheet),
    Difference(
        "That recovery codes were made is told as the document has it, with TOTP too.",
        with_codes_generated,
        steps("activate"),
    ),
    Difference(
        "A pending login that is replaced drops what it had proved.",
        only_the_last_password,
        steps(
            "the second step",
            "logged in",
            "change the password to the same with TOTP",
            "change the password with TOTP",
            "after the change with TOTP",
            "change the password back with TOTP",
            "deactivate too early",
            "reauthenticate with TOTP",
            "reauthenticated",
        ),
    ),
    Difference(
        "Whenever a proof begins another login, the session gets a new token.",
        with_a_new_token,
        steps("sign up while pending", "log in while pending"),
    ),
    Difference(
        "No code is judged before the person has proved themselves again: guesses need that too.",
        reauthentication_first,
        steps("activate without reauthentication", "activate while active"),
    ),
    Difference(
        "A body that is no object is told in the shape of every other error.",
        in_shape(NOT_AN_OBJECT),
        steps("sign up with a list", "make codes from a list"),
    ),
    Difference(
        "A body that is no JSON is told in the shape of every other error.",
        in_shape(NOT_JSON),
        steps("sign up with half of JSON", "a form"),
    ),
    Difference(
        "Unknown paths, wrong methods and foreign pages are told in the shape of everything else.",
        in_shape(),
        steps("an unknown path", "a wrong method", "a wrong CSRF token", "a foreign page"),
    ),
    Difference(
        "JSON types are not coerced: a number is no password.",
        with_errors(INVALID_EMAIL, invalid("password")),
        steps("log in with a number"),
    ),
    Difference(
        "JSON types are not coerced: a number is no code.",
        with_errors(invalid("code")),
        steps("a second step with a number"),
    ),
    Difference(
        "JSON types are not coerced: a number is no id.",
        with_errors(
            {"message": "Enter a list of ids.", "code": "invalid_pk_value", "param": "sessions"}
        ),
        steps("end a number"),
    ),
    Difference(
        "Ids of sessions are texts, so that any text may be one.",
        with_errors(
            {
                "message": "Select a valid choice. <value> is not one of the available choices.",
                "code": "invalid_choice",
                "param": "sessions",
            }
        ),
        steps("end what is no session"),
    ),
    Difference(
        "The session that asks is listed first, then the others, the newest first.",
        current_first,
        steps("two sessions", "still two sessions"),
    ),
    Difference(
        "NUL is refused where JSON is read, before fields are looked at.",
        with_errors(NUL),
        steps("NUL"),
    ),
)
