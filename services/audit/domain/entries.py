"""An entry of the ledger, and what of it is hashed.

The leaf of an entry is its *envelope*, a JSON object in canonical form (RFC 8785): what happened
when and to which source's count, and the SHA-256 of the event in its sealed form. So an entry can
still be shown to be in the tree, and what it was about, when the event itself is kept no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import orjson

from countersign_events.tree import leaf_hash
from services.audit.domain.merkle import Frontier

NO_CHAIN = bytes(32)  # what the first entry is chained to


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the ledger keeps of a fact. `number` counts all entries from 1, in order of arrival.

    `event` is the sealed form of what was signed, and None once that was dropped; `subject` goes
    with it.
    """

    number: int
    received_at: datetime
    id: str
    type: str
    source: str
    sequence: int
    occurred_at: datetime
    subject: str | None
    event: str | None
    event_hash: bytes


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """The place of an entry in tree and chain: the nodes that it completes, and its link."""

    number: int
    nodes: tuple[bytes, ...]
    chain: bytes


@dataclass(frozen=True)
class Growth:
    """How far tree and chain have come: both go on from here."""

    frontier: Frontier = field(default_factory=Frontier)
    chain: bytes = NO_CHAIN


def event_hash(event: str) -> bytes:
    """Return the hash under which an event is known to the tree, of its sealed form."""
    return sha256(event.encode()).digest()


def envelope(entry: Entry) -> str:
    """Return the leaf of an entry, as text."""
    return canonical(
        {
            "entry": entry.number,
            "event": entry.event_hash.hex(),
            "id": entry.id,
            "received": time_text(entry.received_at),
            "sequence": entry.sequence,
            "source": entry.source,
            "time": time_text(entry.occurred_at),
            "type": entry.type,
        }
    )


def link(chain: bytes, leaf: bytes) -> bytes:
    """Return the link of an entry: the hash over that of the entry before, and its leaf hash."""
    return sha256(chain + leaf).digest()


def grow(growth: Growth, entries: Sequence[Entry]) -> tuple[Growth, list[Leaf]]:
    """Return tree and chain with `entries` behind, which follow in order, and their leaves."""
    frontier, chain = growth.frontier, growth.chain
    leaves = []
    for entry in entries:
        hashed = leaf_hash(envelope(entry).encode())
        frontier, nodes = frontier.append(hashed)
        chain = link(chain, hashed)
        leaves.append(Leaf(number=entry.number, nodes=nodes, chain=chain))
    return Growth(frontier, chain), leaves


def canonical(value: object) -> str:
    """Return JSON in the canonical form of RFC 8785, of what came in it or has such names."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def time_text(moment: datetime) -> str:
    """Return a time as events have it: RFC 3339, in UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
