"""Rows as the rules have them, and back."""

import json

from countersign_events.tree import HASH_BYTES
from services.audit.domain.coverage import Coverage
from services.audit.domain.entries import Entry, Leaf
from services.audit.domain.facts import Arrival, Fact
from services.audit.domain.outcome import outcome_of
from shared.clock import from_micros, to_micros
from shared.database import Row


def from_entry(entry: Entry) -> dict[str, object]:
    """Return a row of `entries`."""
    return {
        "entry": entry.number,
        "occurred_at": to_micros(entry.occurred_at),
        "received_at": to_micros(entry.received_at),
        "id": entry.id,
        "type": entry.type,
        "outcome": str(outcome_of(entry.type)),
        "source": entry.source,
        "number": entry.sequence,
        "subject": entry.subject,
        "event": entry.event,
        "event_hash": entry.event_hash,
    }


def to_entry(row: Row) -> Entry:
    """Return the entry in a row of `entries`."""
    return Entry(
        number=row.entry,
        occurred_at=from_micros(row.occurred_at),
        received_at=from_micros(row.received_at),
        id=row.id,
        type=row.type,
        source=row.source,
        sequence=row.number,
        subject=row.subject,
        event=row.event,
        event_hash=bytes(row.event_hash),
    )


def from_leaf(leaf: Leaf) -> dict[str, object]:
    """Return a row of `leaves`."""
    return {"entry": leaf.number, "nodes": b"".join(leaf.nodes), "chain": leaf.chain}


def to_leaf(row: Row) -> Leaf:
    """Return the leaf in a row of `leaves`."""
    raw = bytes(row.nodes)
    nodes = (raw[start : start + HASH_BYTES] for start in range(0, len(raw), HASH_BYTES))
    return Leaf(number=row.entry, nodes=tuple(nodes) or (b"",), chain=bytes(row.chain))


def from_coverage(coverage: Coverage) -> dict[str, object]:
    """Return a row of `sources`."""
    return {
        "source": coverage.source,
        "last": coverage.last,
        "gaps": json.dumps(coverage.gaps),
        "repeated": coverage.repeated,
    }


def to_coverage(row: Row) -> Coverage:
    """Return the coverage in a row of `sources`."""
    gaps = tuple((int(first), int(last)) for first, last in json.loads(row.gaps))
    return Coverage(row.source, int(row.last), gaps, int(row.repeated))


def to_arrival(row: Row) -> Arrival:
    """Return what waits in a row of `unsealed`."""
    fact = Fact(
        id=row.id,
        type=row.type,
        source=row.source,
        number=row.number,
        occurred_at=from_micros(row.occurred_at),
        subject=row.subject,
        text=row.event,
    )
    return Arrival(fact, from_micros(row.received_at), redacted=bool(row.redacted))
