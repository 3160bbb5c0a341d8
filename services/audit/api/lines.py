"""Entries as text: as members of a feed, lines of JSON, and lines of CSV.

The events in them are the very bytes that were signed.
"""

import csv
import io
import json
from typing import Any

from services.audit.domain.entries import time_text
from services.audit.domain.outcome import outcome_of
from services.audit.domain.reading import Shown
from services.audit.domain.sealing import facts_of

COLUMNS = (
    "entry",
    "time",
    "received",
    "source",
    "sequence",
    "id",
    "type",
    "outcome",
    "user",
    "address",
    "user_agent",
    "client",
    "session",
    "request_id",
    "data",
)
CONTEXT = ("address", "user_agent", "client", "session", "request_id")

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


def as_json(shown: Shown) -> str:
    """Return an `EntryOut`."""
    entry = shown.entry
    return (
        f'{{"entry":{entry.number},"received_at":{entry.received_at.timestamp()!r},'
        f'"redacted":{json.dumps(shown.redacted)},"dropped":{json.dumps(shown.dropped)},'
        f'"event":{shown.text}}}'
    )


def header() -> str:
    """Return the first line of CSV."""
    return _line(dict(zip(COLUMNS, COLUMNS, strict=True)))


def as_csv(shown: Shown) -> str:
    """Return an entry as a line of CSV (RFC 4180); what it has no column for is JSON, in `data`."""
    entry = shown.entry
    data, context = facts_of(shown.text)
    return _line(
        {
            "entry": entry.number,
            "time": time_text(entry.occurred_at),
            "received": time_text(entry.received_at),
            "source": entry.source,
            "sequence": entry.sequence,
            "id": entry.id,
            "type": entry.type,
            "outcome": outcome_of(entry.type),
            "user": entry.subject,
            **{name: context.get(name) for name in CONTEXT},
            "data": json.dumps(data, ensure_ascii=False) if data else None,
        }
    )


def _line(cells: dict[str, Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(_cell(cells[name]) for name in COLUMNS)
    return text.getvalue()


def _cell(value: object) -> str:
    """Return a value so that no spreadsheet computes with it: anybody chooses their user agent."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
