"""What readers ask for, and what they are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.audit.domain.entries import Entry, canonical, time_text
from services.audit.domain.outcome import Outcome

SOURCE_PREFIX = "urn:countersign:"
SEQUENCE_DIGITS = 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which events a reader wants; None is all of them.

    `type` may have `*` in it, for anything. `since` and `until` are of when events happened.
    """

    user: str | None = None
    type: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True)
class Shown:
    """An entry, and its event as readers get it.

    `redacted`: what is personal in it is not there any more, so its signature does not fit.
    `dropped`: it is not kept any more, and this is what is left of it.
    """

    entry: Entry
    text: str
    redacted: bool = False
    dropped: bool = False


@dataclass(frozen=True)
class Page:
    """Entries in order, and the number of the entry up to which the reader has now seen all."""

    entries: Sequence[Shown]
    last: int


def remnant(entry: Entry) -> str:
    """Return what is left of an event that was dropped: its envelope, as attributes of an event."""
    return canonical(
        {
            "specversion": "1.0",
            "id": entry.id,
            "source": SOURCE_PREFIX + entry.source,
            "type": entry.type,
            "time": time_text(entry.occurred_at),
            "sequence": f"{entry.sequence:0{SEQUENCE_DIGITS}d}",
        }
    )
