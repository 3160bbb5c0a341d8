"""What shows somebody that an entry is in the ledger, or that the ledger has only grown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.audit.domain.entries import Entry
from services.audit.domain.merkle import Node, Range, complete_nodes, folded


@dataclass(frozen=True)
class Inclusion:
    """An entry is in the tree of `size` leaves: RFC 9162 section 2.1.3. `note` says its root."""

    entry: Entry
    size: int
    hashes: tuple[bytes, ...]
    note: str


@dataclass(frozen=True)
class Consistency:
    """The tree of `second` leaves begins with that of `first`: RFC 9162 section 2.1.4."""

    first: int
    second: int
    hashes: tuple[bytes, ...]


def hashes(path: Sequence[Range], nodes: Mapping[Node, bytes]) -> tuple[bytes, ...]:
    """Return the hashes of the subtrees in `path`, made of complete ones."""
    return tuple(folded([nodes[node] for node in complete_nodes(leaves)]) for leaves in path)
