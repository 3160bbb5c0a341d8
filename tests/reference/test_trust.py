"""Trust in browsers is asked for, given and ended as in django-allauth."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.journeys.suite import InProcess, in_process
from tests.reference.conftest import Peer
from tests.reference.differences import (
    DIFFERENCES,
    Difference,
    in_shape,
    refused_answer,
    steps,
    with_codes_generated,
)
from tests.reference.journey import ADDRESS, Seen
from tests.reference.test_reference import (
    Ours,
    assert_alike,
    assert_shows,
)
from tests.reference.trust import BOB, EVE, trust_journey

pytestmark = pytest.mark.long

ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
ONLY_HERE = (
    Difference(
        "JSON types are not coerced: a text is neither yes nor no.",
        refused_answer,
        steps("no answer"),
    ),
    Difference(
        "That recovery codes were made is told as the document has it, with TOTP too.",
        with_codes_generated,
        steps(
            f"activate of {ADDRESS}",
            f"activate of {BOB}",
            f"activate of {EVE}",
            "activate another",
        ),
    ),
    Difference("What is not there for apps is told in the shape of everything else.", in_shape()),
)


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, mfa_trust_enabled=True) as running:
        yield running


@pytest.fixture(scope="module")
def theirs(peer: Peer) -> dict[str, list[Seen]]:
    """What django-allauth answers to each kind of client."""
    return peer("trust")


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_trust_is_as_with_the_peer(
    suite: InProcess, kind: str, theirs: dict[str, list[Seen]]
) -> None:
    """K2, K3, K4: who is asked, what is answered, and when a browser is trusted no more."""
    ours = await Ours(suite, kind).drive(trust_journey())

    assert_alike(theirs[kind], ours, (*ALWAYS, *ONLY_HERE))


@pytest.mark.parametrize("difference", ONLY_HERE, ids=lambda difference: difference.why)
def test_every_difference_shows(difference: Difference, theirs: dict[str, list[Seen]]) -> None:
    assert_shows(difference, theirs)


def test_browsers_are_asked_and_trusted_on_this_journey(theirs: dict[str, list[Seen]]) -> None:
    """So that the comparison compares something."""
    seen = {answer.name: answer for answer in theirs["browser"]}

    assert seen["come back a second time"].status == 200
    assert seen["come back with a new password"].status == 401
    assert seen["come back with another"].status == 401
    assert "mfa_trusted" in seen["trust, at first"].holds
