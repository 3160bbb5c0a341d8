"""What several events are signed by: the tree of RFC 9162, and the path of each leaf in it."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign_events.tree import MAX_STEPS, STEP_BYTES, climbed, grown, leaf_hash
from services.audit.domain.merkle import Frontier
from tests.audit import independent


def leaves(count: int) -> list[bytes]:
    """Return so many leaf hashes."""
    return [leaf_hash(bytes([number])) for number in range(count)]


@given(count=st.integers(1, 100))
def test_the_root_is_that_of_rfc_9162_and_every_path_leads_there(count: int) -> None:
    frontier = Frontier()
    for leaf in leaves(count):
        frontier, _ = frontier.append(leaf)

    root, paths = grown(leaves(count))

    assert root == frontier.root
    for number, (leaf, path) in enumerate(zip(leaves(count), paths, strict=True)):
        assert climbed(leaf, path) == root
        steps = [path[at + 1 : at + STEP_BYTES] for at in range(0, len(path), STEP_BYTES)]
        assert independent.is_included(bytes([number]), number, count, steps, root)


def test_a_single_leaf_is_the_root_itself() -> None:
    assert grown(leaves(1)) == (sha256(b"\x00\x00").digest(), [b""])


@pytest.mark.parametrize(
    "path",
    [
        bytes(STEP_BYTES - 1),
        bytes(STEP_BYTES + 1),
        b"\x02" + bytes(32),
        bytes(STEP_BYTES * (MAX_STEPS + 1)),
    ],
)
def test_what_is_no_path_leads_nowhere(path: bytes) -> None:
    with pytest.raises(ValueError, match="step"):
        climbed(leaf_hash(b""), path)


def test_the_longest_path_that_is_believed_is_followed() -> None:
    assert climbed(leaf_hash(b""), bytes(STEP_BYTES * MAX_STEPS))
