"""Where answers are known to be otherwise than django-allauth's document has it, and why.

The document lags behind django-allauth, which clients know by what it answers; and here and there
we answer otherwise on purpose (`ours`). Whatever is not named here is a fault, and so is what is
named and is seen no more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.contract.document import Answer, Json

ANY = ("*",)


@dataclass(frozen=True, kw_only=True)
class Lag:
    """`why` the document does not know an answer, and to which `operations`: patterns."""

    why: str
    operations: tuple[str, ...] = ANY
    ours: bool = False

    def is_about(self, answer: Answer) -> bool:
        """Tell whether an answer may show it."""
        return any(fnmatchcase(answer.operation, pattern) for pattern in self.operations)


@dataclass(frozen=True, kw_only=True)
class Extension(Lag):
    """Operations that the document does not have."""

    ours: bool = True


@dataclass(frozen=True, kw_only=True)
class Unlisted(Lag):
    """Answers of a `status` that is listed otherwise or not at all; they are like those at `place`.

    The place is a JSON pointer in the document, or None if there is nothing but the status.
    """

    status: int
    place: str | None

    def is_about(self, answer: Answer) -> bool:
        """Tell whether an answer may show it."""
        return answer.status == self.status and super().is_about(answer)


@dataclass(frozen=True, kw_only=True)
class Otherwise(Lag):
    """Members that are otherwise: `change` puts them as the document has them."""

    change: Callable[[Any], Any]


def each(change: Callable[[Json], Json]) -> Callable[[Any], Any]:
    """Return what makes a change to every object in a body, the innermost first."""

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(child) for child in node]
        if not isinstance(node, dict):
            return node
        return change({name: walk(child) for name, child in node.items()})

    return walk


def _said_of_nobody(node: Json) -> Json:
    said = "is_authenticated" in node and node["is_authenticated"] is None
    return {**node, "is_authenticated": False} if said else node


def _used_once(node: Json) -> Json:
    unused = "last_used_at" in node and node["last_used_at"] is None
    return {**node, "last_used_at": 0} if unused else node


def _listed_flows(node: Json) -> Json:
    return {**node, "id": "login"} if node.get("id") in UNLISTED_FLOWS else node


def _without_reset(node: Json) -> Json:
    return {"id": "login"} if node.get("id") == "password_reset_by_code" else node


def _with_address(node: Json) -> Json:
    told = node.get("method") != "password_reset" or "email" in node
    return node if told else {**node, "email": "somebody@example.org"}


def _plain_password(node: Json) -> Json:
    if node.get("method") != "password":
        return node
    return {name: value for name, value in node.items() if name != "reauthenticated"}


def _numbered(node: Json) -> Json:
    shown = "created_at" in node and isinstance(node.get("id"), str)
    return {**node, "id": 0} if shown else node


def _known_kinds(node: Json) -> Json:
    """Leave other kinds out of lists, and put a known one in place of that of an authenticator.

    Or of a proof by it.
    """
    known: Json = {
        name: [kind for kind in node[name] if kind in KINDS]
        for name in ("types", "supported_types")
        if name in node
    }
    shown = "created_at" in node or node.get("method") == "mfa"
    if shown and node.get("type", "totp") not in KINDS:
        known["type"] = "totp"
    return {**node, **known}


def _seen_codes(node: Json) -> Json:
    shown = node.get("type") == "recovery_codes"
    return {"unused_codes": [], **node} if shown else node


UNLISTED_FLOWS = ("mfa_trust", "mfa_login_webauthn", "mfa_signup_webauthn")
KINDS = ("recovery_codes", "totp", "webauthn")

NOBODY = "/components/schemas/AuthenticationResponse"
SOMEBODY = "/components/schemas/AuthenticatedResponse"
CONFLICT = "/components/schemas/ConflictResponse"
FORBIDDEN = "/components/schemas/ForbiddenResponse"
GONE = "/components/responses/SessionGone"
TOO_MANY = "/components/responses/TooManyRequests"
ERRORS = "/components/schemas/ErrorResponse"
CODES = "/components/responses/RecoveryCodes"
LAGS: tuple[Lag, ...] = (
    Otherwise(
        why="`is_authenticated` is null, not a boolean, when a session or a stage is gone",
        change=each(_said_of_nobody),
    ),
    Otherwise(
        why="`last_used_at` is null, not a number, for what was never used",
        change=each(_used_once),
    ),
    Otherwise(
        why="a password that was given again fits two descriptions, of which it should fit one",
        change=each(_plain_password),
    ),
    Otherwise(
        why="`mfa_trust` and `mfa_…_webauthn` are flows like others, which the list leaves out",
        change=each(_listed_flows),
    ),
    Otherwise(
        why="`password_reset_by_code` is a flow like others, and says so where it is not pending",
        change=each(_without_reset),
    ),
    Otherwise(
        why="who has reset a password by link is logged in without an address",
        change=each(_with_address),
    ),
    Unlisted(
        why="what needs somebody who is logged in answers 401 to everybody else",
        status=401,
        place=NOBODY,
        operations=(
            "* account/*",
            "* auth/sessions",
            "POST auth/*reauthenticate",
            "GET auth/webauthn/reauthenticate",
        ),
    ),
    Unlisted(
        why="what needs a login at a stage answers 401 to every other",
        status=401,
        place=NOBODY,
        operations=("* auth/2fa/*", "* auth/webauthn/authenticate"),
    ),
    Unlisted(
        why="an app whose session is over is told so, whatever it asks",
        status=410,
        place=GONE,
    ),
    Unlisted(
        why="limits are told as 429 wherever there are any",
        status=429,
        place=TOO_MANY,
    ),
    Unlisted(
        why="what cannot be used is told as an error, also where none is listed",
        status=400,
        place=ERRORS,
        operations=("* account/authenticators/webauthn", "DELETE auth/sessions"),
    ),
    Unlisted(
        why="new recovery codes are answered as those that there are",
        status=200,
        place=CODES,
        operations=("POST account/authenticators/recovery-codes",),
    ),
    Unlisted(
        why="a changed password is answered as the session stands afterwards",
        status=200,
        place=SOMEBODY,
        operations=("POST account/password/change",),
    ),
    Unlisted(
        why="whoever is logged in and asks for a login code is told who they are",
        status=200,
        place=SOMEBODY,
        operations=("POST auth/code/request",),
    ),
    Unlisted(
        why="a sign-up by passkey is given creation options, and no request options",
        status=200,
        place="/components/responses/WebAuthnCreationOptionsResponse",
        operations=("GET auth/webauthn/signup",),
    ),
    Unlisted(
        why="what cannot be read is told as an error, whatever is asked for",
        status=400,
        place=ERRORS,
        ours=True,
    ),
    Unlisted(
        why="a page without the CSRF token, or of elsewhere, is told so as JSON",
        status=403,
        place=FORBIDDEN,
        ours=True,
    ),
    Unlisted(
        why="a passkey login conflicts with being logged in, as other logins do",
        status=409,
        place=CONFLICT,
        operations=("POST auth/webauthn/login",),
        ours=True,
    ),
    Unlisted(
        why="the last passkey of who has no password cannot be removed",
        status=409,
        place=CONFLICT,
        operations=("DELETE account/authenticators/webauthn",),
        ours=True,
    ),
    Otherwise(
        why="ids of sessions and authenticators are texts, as those of people may be",
        change=each(_numbered),
        ours=True,
    ),
    Otherwise(
        why="kinds of authenticators of someone else's factors have names of their own",
        change=each(_known_kinds),
        ours=True,
    ),
    Unlisted(
        why="a part that is away or full is told as 503, and nothing passes on a guess",
        status=503,
        place=None,
        ours=True,
    ),
    Otherwise(
        why="recovery codes that may not be seen again are left out",
        change=each(_seen_codes),
        operations=("GET account/authenticators/recovery-codes",),
        ours=True,
    ),
    Extension(
        why="factors of someone else's have endpoints of their own",
        operations=("* account/authenticators/*",),
    ),
    Extension(why="people delete their accounts", operations=("DELETE account",)),
    Extension(
        why="people list the browsers that they trust", operations=("* account/trusted-browsers",)
    ),
)
