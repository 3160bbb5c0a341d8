"""A file of the whole ledger as it is hashed: verified without a database, without a service.

Each line is a JSON object: first the checkpoints (`size`, `note`), then the entries (`leaf`,
`event`, `hash`, `chain`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from countersign_events.wire import MAX_NUMBER
from services.audit.domain.checkpoint import Verifier
from services.audit.domain.entries import Entry, Leaf
from services.audit.domain.signatures import Signatures
from services.audit.domain.verification import Kept, Verdict, Verification

AT_ONCE = 1000  # entries


class NotAnExport(Exception):
    """A line that is none of such a file."""


def judge(
    lines: Iterable[str],
    verifiers: Sequence[Verifier],
    notes: Iterable[str],
    signatures: Signatures | None = None,
) -> Verdict:
    """Verify what such a file has, against its own checkpoints and `notes` from elsewhere.

    It is read once, from the beginning, where its checkpoints are. Raises NotAnExport if a line
    cannot be read. The file has no key that opens what is sealed in it: `signatures` judge the
    events of which nothing is.
    """
    verification = Verification(verifiers, whole=False, signatures=signatures)
    verification.add_notes(notes)
    page: list[Kept] = []
    for found in _read(lines):
        if isinstance(found, Kept):
            page.append(found)
            if len(page) == AT_ONCE:
                if not verification.take(page):
                    return verification.verdict()
                page = []
        elif page or not verification.is_new:
            raise NotAnExport("a checkpoint behind entries")
        else:
            verification.add_notes([found])
    verification.take(page)
    return verification.verdict()


def _read(lines: Iterable[str]) -> Iterator[Kept | str]:
    """Yield the entries and checkpoints that lines have."""
    for number, line in enumerate(lines, start=1):
        try:
            document = json.loads(line)
            yield str(document["note"]) if "note" in document else _kept(document)
        except (KeyError, TypeError, ValueError) as error:
            raise NotAnExport(f"line {number}") from error


def _kept(document: dict[str, Any]) -> Kept:
    leaf = json.loads(document["leaf"])
    number, event = _number(leaf["entry"]), document["event"]
    entry = Entry(
        number=number,
        received_at=datetime.fromisoformat(leaf["received"]),
        id=_text(leaf["id"]),
        type=_text(leaf["type"]),
        source=_text(leaf["source"]),
        sequence=_number(leaf["sequence"]),
        occurred_at=datetime.fromisoformat(leaf["time"]),
        subject=None,
        event=None if event is None else _text(event),
        event_hash=bytes.fromhex(leaf["event"]),
    )
    hashed, link = bytes.fromhex(document["hash"]), bytes.fromhex(document["chain"])
    return Kept(number, (entry,), Leaf(number=number, nodes=(hashed,), chain=link))


def _text(value: object) -> str:
    """Return text that UTF-8 can carry, as all that was ever hashed. TypeError, ValueError."""
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value


def _number(value: object) -> int:
    """Return a number as a database can have had it. TypeError, ValueError."""
    if type(value) is not int:
        raise TypeError
    if not 0 <= value <= MAX_NUMBER:
        raise ValueError
    return value
