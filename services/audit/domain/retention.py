"""For how long the events of a type are kept. Their entries, and what proves them, stay for ever.

That events are dropped is itself on record: it is stated first, and only what a statement in the
ledger covers is dropped. What is missing beyond that was taken by somebody else.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

OWN = "mfa.audit."
"""What the ledger itself puts on record. It says what was dropped, and is never dropped."""

STATEMENT = "mfa.audit.events_due"
"""The type of the event that states which events are dropped: see `services.audit.events`."""

_PATTERN = re.compile(r"mfa\.[a-z0-9_*]+(\.[a-z0-9_*]+)*")

Policy = Mapping[str, timedelta]
"""For how long events are kept, by patterns of types; the first pattern that fits counts."""


@dataclass(frozen=True)
class Statement:
    """Events of `type` that happened before `before` are not kept any more."""

    type: str
    before: datetime


def is_pattern(text: str) -> bool:
    """Tell whether `text` names types of events: `mfa.totp.accepted`, `mfa.*.failed`, `mfa.*`."""
    return _PATTERN.fullmatch(text) is not None and not text.startswith(OWN)


def matches(pattern: str, type: str) -> bool:
    """Tell whether `pattern` names `type`: `*` stands for anything, dots too."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return not type.startswith(OWN) and re.fullmatch(".*".join(parts), type) is not None


def due(policy: Policy, oldest: Mapping[str, datetime], now: datetime) -> list[Statement]:
    """Return what is not to be kept any more, of types whose `oldest` event is from then.

    Whole days, so that it is stated once a day.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for kind, first in sorted(oldest.items()):
        keep = next((keep for pattern, keep in policy.items() if matches(pattern, kind)), None)
        if keep is not None and first < today - keep:
            found.append(Statement(kind, today - keep))
    return found


def stated(event: str) -> Statement | None:
    """Return what an event of type STATEMENT says, of its sealed form; None if it says nothing."""
    data = json.loads(event).get("data", {})
    try:
        return Statement(str(data["event_type"]), datetime.fromisoformat(data["before"]))
    except (KeyError, TypeError, ValueError):
        return None


def covered(statements: Iterable[Statement], type: str, occurred_at: datetime) -> bool:
    """Tell whether it was stated that an event would be dropped."""
    return any(s.type == type and occurred_at < s.before for s in statements)
