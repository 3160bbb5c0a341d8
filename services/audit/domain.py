"""The rules of the ledger: every fact once, in the order of arrival, numbered without gaps."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

IMPERSONAL = frozenset({"request_id", "session"})
"""What stays of the context of an event when its person is forgotten: random, or a hash."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """An event that has arrived and whose signature fits.

    `number` is counted by its source, from 1 and without gaps: a gap is a loss.
    """

    id: str
    type: str
    source: str
    number: int
    occurred_at: datetime
    subject: str | None
    text: str  # the whole event as signed, unless it is `redacted`
    redacted: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A fact in the ledger. `number` counts all entries from 1, in the order of arrival."""

    number: int
    received_at: datetime
    fact: Fact


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the ledger stands: its newest entry, and how often somebody was forgotten so far."""

    head: int
    forgettings: int


@dataclass(frozen=True)
class Page:
    """Entries in order, and the number of the entry up to which the reader has now seen all."""

    entries: Sequence[Entry]
    last: int


def enter(
    facts: Sequence[Fact], known: Collection[str], head: int, received_at: datetime
) -> list[Entry]:
    """Return the entries that `facts` become behind entry `head`.

    A fact whose id is among `known`, or that comes twice, is the same fact: the bus repeats
    itself after a crash.
    """
    fresh: dict[str, Fact] = {}
    for fact in facts:
        if fact.id not in known:
            fresh.setdefault(fact.id, fact)
    return [
        Entry(number=head + place, received_at=received_at, fact=fact)
        for place, fact in enumerate(fresh.values(), start=1)
    ]


def stripped(fact: Fact) -> Fact:
    """Return a fact without what is personal in it: where it came from, and with what.

    What happened, when and to which id stays. The signature does not fit any more, and says so.
    """
    event = json.loads(fact.text)
    data = event.get("data")
    if isinstance(data, dict) and isinstance(data.get("context"), dict):
        kept = {name: value for name, value in data["context"].items() if name in IMPERSONAL}
        event["data"] = {**data, "context": kept}
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return replace(fact, text=text, redacted=True)
