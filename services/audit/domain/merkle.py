"""The Merkle tree of RFC 9162 section 2.1, grown leaf by leaf.

A tree is made of complete subtrees: node `(level, index)` is the root over the leaves from
`index << level` on, `1 << level` of them. What a new leaf completes follows from those before it
and is never changed again, so it is kept with that leaf: see `Frontier.append`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256

from countersign_events.tree import node_hash

EMPTY = sha256(b"").digest()  # the root of a tree without leaves

Node = tuple[int, int]
"""Level and index of a complete subtree."""

Range = tuple[int, int]
"""The leaves of a subtree, complete or not: the first, and the one behind the last."""


@dataclass(frozen=True)
class Frontier:
    """All of a tree that its growth depends on: the roots of its complete subtrees, from the left.

    There is one for each bit that is set in `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> tuple["Frontier", tuple[bytes, ...]]:
        """Return the tree with one more leaf hash, and the nodes that are complete with it.

        These are `(0, size)`, which is the leaf itself, `(1, size >> 1)` and so on.
        """
        peaks, size = list(self.peaks), self.size
        nodes = [leaf]
        while size & 1:
            nodes.append(node_hash(peaks.pop(), nodes[-1]))
            size >>= 1
        return Frontier(self.size + 1, (*peaks, nodes[-1])), tuple(nodes)

    @property
    def root(self) -> bytes:
        """The hash of the whole tree."""
        return folded(self.peaks)


def folded(peaks: Sequence[bytes]) -> bytes:
    """Return the hash over neighbouring complete subtrees, each smaller than the one before."""
    if not peaks:
        return EMPTY
    return reduce(lambda right, left: node_hash(left, right), reversed(peaks))


def complete_nodes(leaves: Range) -> Iterator[Node]:
    """Yield the complete subtrees that `leaves` consist of, from the left.

    `leaves` must be those of a subtree: begin at a multiple of a power of two that is not smaller.
    """
    start, end = leaves
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def kept_with(node: Node) -> int:
    """Return the number, from 1, of the leaf that completes `node`."""
    level, index = node
    return (index + 1) << level


def inclusion_path(index: int, size: int) -> list[Range]:
    """Return the subtrees whose hashes prove that leaf `index`, from 0, is in a tree of `size`.

    In the order of RFC 9162 section 2.1.3.1.
    """
    path: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency_path(first: int, second: int) -> list[Range]:
    """Return the subtrees whose hashes prove that a tree of `second` leaves extends one of `first`.

    In the order of RFC 9162 section 2.1.4.1; `first` is at least 1.
    """
    path: list[Range] = []
    start, end, whole = 0, second, True
    while first != end - start:
        middle = _split(end - start)
        if first <= middle:
            path.append((start + middle, end))
            end = start + middle
        else:
            path.append((start, start + middle))
            start, first, whole = start + middle, first - middle, False
    if not whole:
        path.append((start, end))
    return path[::-1]


def nodes_of(path: Iterable[Range]) -> set[Node]:
    """Return the complete subtrees of which `path` is made."""
    return {node for leaves in path for node in complete_nodes(leaves)}


def _split(size: int) -> int:
    """Return the largest power of two that is smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1
