"""People have usernames as in django-allauth: to log in by, or made up for them, or neither."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.journeys.suite import InProcess
from tests.reference.conftest import Peer
from tests.reference.differences import (
    DIFFERENCES,
    Difference,
    steps,
    with_a_new_token,
    with_codes_generated,
    without_username,
)
from tests.reference.journey import Journey, Json, Seen
from tests.reference.test_emails import all_primary
from tests.reference.test_reference import Ours, assert_alike, assert_shows
from tests.reference.usernames import both_journey, made_up_journey, named_journey

pytestmark = pytest.mark.long

ALWAYS = tuple(
    difference
    for difference in DIFFERENCES
    if not difference.steps and difference.change is not without_username
)
BY_LINK: dict[str, Any] = {
    "account_email_verification_by_code_enabled": False,
    "headless_frontend_urls": '{"account_confirm_email": "https://testserver/{key}"}',
}
TAKEN: Json = {
    "message": "A user with that username already exists.",
    "code": "username_taken",
    "param": "username",
}
LAST: Json = {
    "message": "You cannot remove your primary email address.",
    "code": "cannot_remove_primary_email",
    "param": "email",
}


def in_alphabetical_order(seen: Seen) -> Seen:
    """List the methods of login by their names, in place of no order at all."""
    data = (seen.body or {})["data"]
    account = {**data["account"], "login_methods": sorted(data["account"]["login_methods"])}
    return replace(seen, body={**(seen.body or {}), "data": {**data, "account": account}})


def refused(*errors: Json) -> Callable[[Seen], Seen]:
    """Refuse what allauth has let pass."""

    def change(seen: Seen) -> Seen:
        let_in = seen.status == 401  # then there is no session
        holds = tuple(name for name in seen.holds if name != "sessionid" or not let_in)
        body: Json = {"status": 400, "errors": list(errors)}
        return replace(seen, status=400, body=body, token=False, holds=holds)

    return change


@dataclass(frozen=True)
class Way:
    """A journey, what is set on it, and how its answers differ."""

    name: str
    journey: Callable[[], Journey]
    settings: dict[str, Any]
    differences: tuple[Difference, ...] = ()


WAYS = [
    Way(
        "usernames",
        named_journey,
        {
            **BY_LINK,
            "account_email_verification": "optional",
            "account_login_methods": "username",
            "account_signup_fields": "username*,email,password1*",
        },
        (
            Difference(
                "That recovery codes were made is told as the document has it, with TOTP too.",
                with_codes_generated,
                steps("activate"),
            ),
        ),
    ),
    Way(
        "both names",
        both_journey,
        {
            "mfa_supported_types": "recovery_codes,totp,webauthn",
            "mfa_passkey_login_enabled": True,
            "mfa_passkey_signup_enabled": True,
            "account_login_methods": "username,email",
            "account_signup_fields": "email*,username*,password1*,password2*",
            "account_email_verification_supports_change": True,
            "account_username_min_length": 3,
            "account_username_blacklist": "Admin",
            "account_preserve_username_casing": False,
        },
        (
            Difference(
                "The methods of login are listed in alphabetical order.",
                in_alphabetical_order,
                steps("configuration"),
            ),
            Difference(
                "A username that was given with a known address is held as with an unknown one.",
                refused(TAKEN),
                steps("the name of a sign-up that was none"),
            ),
            Difference(
                "The address of a sign-up is primary from the beginning, whichever it is.",
                all_primary,
                steps("change"),
            ),
            Difference(
                "Where addresses have to be verified nobody removes the last: they could not log "
                "in any more.",
                refused(LAST),
                steps("remove the only address"),
            ),
            Difference(
                "With each step of a login the session gets a new token.",
                with_a_new_token,
                steps("verify for the passkey"),
            ),
        ),
    ),
    Way(
        "made-up names",
        made_up_journey,
        {
            **BY_LINK,
            "account_email_verification": "none",
            "account_login_methods": "username,email",
            "account_signup_fields": "email*,username,password1*",
        },
    ),
]


EVERY_DIFFERENCE = [(way, difference) for way in WAYS for difference in way.differences]


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture(scope="module")
def theirs(peer: Peer) -> dict[str, dict[str, list[Seen]]]:
    """What django-allauth answers on each journey to each kind of client."""
    return {way.name: peer(way.name) for way in WAYS}


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_usernames_are_as_with_the_peer(
    suite: InProcess, way: Way, kind: str, theirs: dict[str, dict[str, list[Seen]]]
) -> None:
    ours = await Ours(suite, kind).drive(way.journey())

    assert_alike(theirs[way.name][kind], ours, (*ALWAYS, *way.differences))


@pytest.mark.parametrize(
    ("way", "difference"),
    EVERY_DIFFERENCE,
    ids=lambda value: value.name if isinstance(value, Way) else value.why,
)
def test_every_difference_shows(
    way: Way, difference: Difference, theirs: dict[str, dict[str, list[Seen]]]
) -> None:
    assert_shows(difference, theirs[way.name])
