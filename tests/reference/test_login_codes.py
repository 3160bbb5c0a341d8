"""People log in by mailed codes as in django-allauth, because they like to or have to."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.journeys.client import ORIGIN
from tests.journeys.suite import InProcess
from tests.reference.conftest import Peer
from tests.reference.differences import (
    DIFFERENCES,
    NOT_JSON,
    Difference,
    in_shape,
    steps,
    with_a_new_token,
    with_codes_generated,
)
from tests.reference.journey import Journey, Json, Seen
from tests.reference.login_codes import login_codes_journey, required_codes_journey
from tests.reference.test_keys import TYPES, with_more_of_keys, with_our_options
from tests.reference.test_passkeys import with_our_request, with_signal, with_signal_hidden
from tests.reference.test_reference import Ours, assert_alike, assert_shows

pytestmark = pytest.mark.long

ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
MISMATCH = {
    "message": "The email address and/or password you specified are not correct.",
    "code": "email_password_mismatch",
    "param": "password",
}


def without_a_password(seen: Seen) -> Seen:
    """Say that there is no password."""
    body = seen.body or {}
    user = {**body["data"]["user"], "has_usable_password": False}
    return replace(seen, body={**body, "data": {**body["data"], "user": user}})


def refused(seen: Seen) -> Seen:
    """Refuse a password."""
    body: Json = {"status": 400, "errors": [MISMATCH]}
    return replace(_without(seen, "sessionid"), status=400, body=body, token=False)


def without_trust(seen: Seen) -> Seen:
    """Keep nothing that is of no use any more."""
    return _without(seen, "mfa_trusted")


def _without(seen: Seen, cookie: str) -> Seen:
    return replace(seen, holds=tuple(name for name in seen.holds if name != cookie))


def without_the_password_before(seen: Seen) -> Seen:
    """Drop the proof of the login that was replaced."""
    body = seen.body or {}
    methods = [m for m in body["data"]["methods"] if m["method"] != "password"]
    return replace(seen, body={**body, "data": {**body["data"], "methods": methods}})


BY_CODES = (
    Difference(
        "A body that is no JSON is told in the shape of every other error.",
        in_shape(NOT_JSON),
        steps("request for half of JSON"),
    ),
    Difference(
        "That recovery codes were made is told as the document has it, with TOTP too.",
        with_codes_generated,
        steps("activate"),
    ),
    Difference(
        "Every step of a login has a new token.",
        with_a_new_token,
        steps(
            "request anew",
            "request in its place",
            "confirm while protected",
            "request in place of a second step",
            "confirm in place of it",
        ),
    ),
    Difference(
        "A pending login that is replaced drops what it had proved.",
        without_the_password_before,
        steps("the second step after it"),
    ),
    Difference(
        "A password that was chosen by who never showed that the address is theirs is dropped.",
        without_a_password,
        steps("confirm unverified", "logged in and verified"),
    ),
    Difference(
        "So it opens nothing.",
        refused,
        steps("log in by what was never proved"),
    ),
)
REQUIRED = (
    Difference(
        "Every step of a login has a new token.",
        with_a_new_token,
        steps("confirm protected", "confirm where both are trusted", "give a passkey"),
    ),
    Difference(
        "A browser that is trusted no more is told to forget that it was.",
        without_trust,
        steps(
            "log in protected", "confirm protected", "pending while protected", "the second step"
        ),
    ),
    Difference(
        "That recovery codes were made is told as the document has it, with TOTP too.",
        with_codes_generated,
        steps("activate"),
    ),
    Difference("The options say more, and are for our site and algorithms.", with_our_options),
    Difference("What is known of a key is our extension.", with_more_of_keys),
    Difference("What is asked for says more, and is for our site.", with_our_request),
    Difference("`meta.signal` is our extension.", with_signal, steps("add")),
    Difference("What is not there for apps is told in the shape of everything else.", in_shape()),
)


@dataclass(frozen=True)
class Way:
    """A journey, what is set on it, and how its answers differ."""

    name: str
    settings: dict[str, Any]
    differences: tuple[Difference, ...]

    def journey(self) -> Journey:
        """Return the journey from its beginning."""
        if self.name == "required codes":
            return required_codes_journey(ORIGIN)
        return login_codes_journey()


ON = {"account_login_by_code_enabled": True, "account_login_by_code_supports_resend": True}
WAYS = [
    Way("login codes", ON, BY_CODES),
    Way("told login codes", {**ON, "account_prevent_enumeration": False}, BY_CODES),
    Way(
        "required codes",
        {
            **ON,
            "mfa_supported_types": TYPES,
            "mfa_passkey_login_enabled": True,
            "mfa_passkey_signup_enabled": True,
            "mfa_trust_enabled": True,
            "account_login_by_code_required": True,
            "account_login_by_code_trust_enabled": True,
        },
        REQUIRED,
    ),
]


@pytest.fixture(params=WAYS, ids=lambda way: way.name, scope="module")
def way(request: pytest.FixtureRequest) -> Way:
    """One of the journeys."""
    found: Way = request.param
    return found


@pytest.fixture(scope="module")
def theirs(way: Way, peer: Peer) -> dict[str, list[Seen]]:
    """What django-allauth answers to each kind of client."""
    return peer(way.name)


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_codes_are_asked_for_and_given_as_with_the_peer(
    suite: InProcess, kind: str, way: Way, theirs: dict[str, list[Seen]]
) -> None:
    ours = await Ours(suite, kind).drive(way.journey())

    told = [with_signal_hidden(seen) for seen in ours]
    assert_alike(theirs[kind], told, (*ALWAYS, *way.differences))


def test_every_difference_shows(way: Way, theirs: dict[str, list[Seen]]) -> None:
    for difference in way.differences:
        assert_shows(difference, theirs)


def test_the_journey_comes_to_what_it_is_about(way: Way, theirs: dict[str, list[Seen]]) -> None:
    """So that the comparison compares something."""
    seen = {answer.name: answer for answer in theirs["browser"]}
    names = {
        "login codes": ("request as nobody", 401),
        "told login codes": ("request as nobody", 400),
        "required codes": ("see who is in where both are trusted", 200),
    }
    name, status = names[way.name]

    assert len(seen) >= 60
    assert seen[name].status == status
