"""Apps are given tokens, and have them renewed, as in django-allauth."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.cli.keys import make
from tests.journeys.suite import in_process
from tests.reference.conftest import Peer
from tests.reference.differences import DIFFERENCES, NOT_JSON, Difference, in_shape, steps
from tests.reference.journey import Json, Seen
from tests.reference.test_reference import Ours, assert_alike, assert_shows
from tests.reference.test_stages import where
from tests.reference.tokens import tokens_journey

pytestmark = pytest.mark.long

KEY = "session/tokens-EdDSA.pem"


def renewed(seen: Seen) -> Seen:
    """Give an app tokens."""
    if seen.status != 400:
        return seen
    body: Json = {"status": 200, "data": dict.fromkeys(("access_token", "refresh_token"), "given")}
    return replace(seen, status=200, body=body)


def ended(seen: Seen) -> Seen:
    """Say that the session of a token is over."""
    return replace(seen, status=410, body=None) if seen.status == 200 else seen


ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
ONLY_HERE = (
    Difference(
        "A body that is no JSON is told in the shape of every other error.",
        where(in_shape(NOT_JSON), "half of JSON", status=400),
        steps("refresh with half of JSON"),
    ),
    Difference(
        "What renewed tokens does so again until its successor has: an answer may be lost.",
        renewed,
        steps("refresh again"),
    ),
    Difference(
        "What is not there for browsers is told in the shape of everything else.", in_shape()
    ),
    Difference(
        "A token that others have followed upon is a copy, and ends the session.",
        ended,
        steps("show after the copy"),
    ),
)


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_tokens_are_as_with_the_peer(tmp_path: Path, kind: str, peer: Peer) -> None:
    make(tmp_path / "keys", KEY)
    told: dict[str, Any] = {
        "headless_token_strategy": "jwt",
        "headless_jwt_private_key": (tmp_path / "keys" / KEY).read_text(),
    }
    async with in_process(tmp_path, **told) as suite:
        ours = await Ours(suite, kind).drive(tokens_journey())

    theirs = peer("tokens")[kind]
    assert_alike(theirs, ours, (*ALWAYS, *ONLY_HERE))


@pytest.mark.parametrize("difference", ONLY_HERE, ids=lambda difference: difference.why)
def test_every_difference_shows(difference: Difference, peer: Peer) -> None:
    assert_shows(difference, peer("tokens"))
