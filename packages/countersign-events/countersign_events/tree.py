"""Many things under one signature: the Merkle tree of RFC 9162, section 2.1, over their hashes.

The path of a leaf is what leads from it to the root: for each level a step of 33 bytes, first the
side on which the other node stands (0 left, 1 right), then its hash. No step has to be counted.
"""

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32
STEP_BYTES = 1 + HASH_BYTES
MAX_STEPS = 32  # of a path that is believed
LEFT, RIGHT = 0, 1


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two others."""
    return sha256(b"\x01" + left + right).digest()


def grown(leaves: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the root over leaf hashes, of which there is at least one, and the path of each."""
    paths = [bytearray() for _ in leaves]
    nodes, height = list(leaves), 0
    while len(nodes) > 1:
        for place, path in enumerate(paths):
            node = place >> height
            if node ^ 1 < len(nodes):  # the last of an odd number stands for itself one level up
                path.extend((LEFT if node & 1 else RIGHT, *nodes[node ^ 1]))
        nodes = [_above(nodes[start : start + 2]) for start in range(0, len(nodes), 2)]
        height += 1
    return nodes[0], [bytes(path) for path in paths]


def climbed(leaf: bytes, path: bytes) -> bytes:
    """Return the root to which `path` leads from a leaf hash; ValueError if it is no path."""
    if len(path) % STEP_BYTES or len(path) > MAX_STEPS * STEP_BYTES:
        raise ValueError("not a path of whole steps")
    node = leaf
    for start in range(0, len(path), STEP_BYTES):
        side, other = path[start], path[start + 1 : start + STEP_BYTES]
        if side == LEFT:
            node = node_hash(other, node)
        elif side == RIGHT:
            node = node_hash(node, other)
        else:
            raise ValueError("a step is to the left or to the right")
    return node


def _above(nodes: Sequence[bytes]) -> bytes:
    return node_hash(*nodes) if len(nodes) > 1 else nodes[0]
