"""Passwords that were forgotten are reset as in django-allauth, by code and by link."""

from dataclasses import dataclass
from typing import Any

import pytest

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
from tests.reference.journey import Journey, MailedCode, MailedKey, Seen
from tests.reference.password_resets import resets_journey
from tests.reference.test_reference import Ours, assert_alike, assert_shows

pytestmark = pytest.mark.long

ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
COMMON = (
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
)
NEW_TOKEN = Difference(
    "Every step of a login has a new token.", with_a_new_token, steps("give while protected")
)


@dataclass(frozen=True)
class Way:
    """A journey, what is set on it, and how its answers differ."""

    name: str
    by_code: bool
    logs_in: bool
    differences: tuple[Difference, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """What is set."""
        page = '{"account_reset_password_from_key": "https://testserver/{key}"}'
        chosen: dict[str, Any] = (
            {"account_password_reset_by_code_enabled": True}
            if self.by_code
            else {"headless_frontend_urls": page}
        )
        if self.logs_in:
            chosen |= {
                "account_login_on_password_reset": True,
                "account_prevent_enumeration": False,
            }
        return chosen

    def journey(self) -> Journey:
        """Return the journey from its beginning."""
        mailed = MailedCode if self.by_code else MailedKey
        return resets_journey(mailed, logs_in=self.logs_in)


WAYS = [
    Way("resets by code", True, False, COMMON),
    Way("resets by link", False, False, COMMON),
    Way("told resets by code", True, True, (*COMMON, NEW_TOKEN)),
    Way("told resets by link", False, True, COMMON),
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
async def test_passwords_are_reset_as_with_the_peer(
    suite: InProcess, kind: str, way: Way, theirs: dict[str, list[Seen]]
) -> None:
    ours = await Ours(suite, kind).drive(way.journey())

    assert_alike(theirs[kind], ours, (*ALWAYS, *way.differences))


def test_every_difference_shows(way: Way, theirs: dict[str, list[Seen]]) -> None:
    for difference in way.differences:
        assert_shows(difference, theirs)


def test_the_journey_comes_to_what_it_is_about(way: Way, theirs: dict[str, list[Seen]]) -> None:
    """So that the comparison compares something."""
    seen = {answer.name: answer for answer in theirs["browser"]}

    assert len(seen) >= 90
    assert seen["give"].status == (200 if way.logs_in else 401)
    assert seen["request as nobody"].status == (400 if way.logs_in else 401 if way.by_code else 200)
