"""Addresses are verified, added, made primary and removed as in django-allauth."""

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
)
from tests.reference.emails import (
    code_journey,
    link_journey,
    one_address_journey,
    optional_journey,
    proved_journey,
)
from tests.reference.journey import Journey, Json, Seen
from tests.reference.test_reference import Ours, assert_alike, assert_shows

pytestmark = pytest.mark.long

ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
PAGES = '{"account_confirm_email": "https://testserver/{key}"}'
BY_LINK: dict[str, Any] = {
    "account_email_verification_by_code_enabled": False,
    "headless_frontend_urls": PAGES,
}


def called_by_address(seen: Seen) -> Seen:
    """Call people by their primary address."""
    data = (seen.body or {}).get("data")
    if not isinstance(data, dict) or "user" not in data:
        return seen
    user = {**data["user"], "display": data["user"]["email"].partition("@")[0]}
    return replace(seen, body={**(seen.body or {}), "data": {**data, "user": user}})


def primary_first(seen: Seen) -> Seen:
    """List the primary address before all others."""
    listed = (seen.body or {}).get("data")
    if not isinstance(listed, list):
        return seen
    ordered = sorted(listed, key=lambda address: not address["primary"])
    return replace(seen, body={**(seen.body or {}), "data": ordered})


def all_primary(seen: Seen) -> Seen:
    """Call the only address primary."""
    body = seen.body or {}
    listed = [{**address, "primary": True} for address in body["data"]]
    return replace(seen, body={**body, "data": listed})


def unsent(seen: Seen) -> Seen:
    """Say that no mail was sent."""
    return replace(seen, status=403, body={"status": 403})


def unknown(seen: Seen) -> Seen:
    """Refuse a login by an address that is nobody's."""
    body: Json = {"status": 400, "errors": [MISMATCH]}
    holds = tuple(name for name in seen.holds if name != "sessionid")
    return replace(seen, status=400, body=body, token=False, holds=holds)


MISMATCH = {
    "message": "The email address and/or password you specified are not correct.",
    "code": "email_password_mismatch",
    "param": "password",
}
CALLED = Difference("People are called by their primary address.", called_by_address)
FIRST = Difference("The primary address is listed first.", primary_first)
VERIFIED = Difference(
    "An address that is verified is not verified again.", unsent, steps("ask for a verified one")
)


@dataclass(frozen=True)
class Way:
    """A journey, what is set on it, and how its answers differ."""

    name: str
    journey: Callable[[], Journey]
    settings: dict[str, Any]
    differences: tuple[Difference, ...] = ()


WAYS = [
    Way(
        "emails by code",
        code_journey,
        {
            "account_email_verification_by_code_max_attempts": 5,
            "account_email_verification_supports_resend": True,
            "account_email_verification_supports_change": True,
            "account_max_email_addresses": 3,
        },
        (
            CALLED,
            FIRST,
            VERIFIED,
            Difference(
                "The address of a sign-up is primary from the beginning, whichever it is.",
                all_primary,
                steps("change"),
            ),
        ),
    ),
    Way(
        "emails by link",
        link_journey,
        {**BY_LINK, "account_login_on_email_confirmation": True},
        (
            CALLED,
            FIRST,
            VERIFIED,
            Difference(
                "Whenever a sign-up begins another login, the session gets a new token.",
                with_a_new_token,
                steps("sign up another"),
            ),
            Difference(
                "That recovery codes were made is told as the document has it, with TOTP too.",
                with_codes_generated,
                steps("activate"),
            ),
        ),
    ),
    Way(
        "optional emails",
        optional_journey,
        {**BY_LINK, "account_email_verification": "optional"},
        (
            CALLED,
            FIRST,
            Difference(
                "An address that is merely claimed opens nothing: it may be anybody's.",
                unknown,
                steps("log in by the claim"),
            ),
        ),
    ),
    Way("one email", one_address_journey, {**BY_LINK, "account_change_email": True}, (CALLED,)),
    Way("proved emails", proved_journey, {"account_reauthentication_required": True}, (FIRST,)),
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
async def test_addresses_are_as_with_the_peer(
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
