"""Holds a ledger against itself and against checkpoints, and names the first entry that is bad.

Whoever alters the tables and nothing else is found at the entry. Whoever works out anew all that
follows from it is found by the next checkpoint that was written elsewhere, or that they could not
sign: then the bad entry is one of those between two checkpoints. Whoever can sign checkpoints as
well is found by the signatures of the sources, where their public keys are at hand.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import orjson

from countersign_events.tree import leaf_hash
from services.audit.domain.checkpoint import Checkpoint, NoteFlaw, Verifier, read
from services.audit.domain.entries import Entry, Growth, Leaf, envelope, event_hash, grow
from services.audit.domain.retention import STATEMENT, Statement, covered, stated
from services.audit.domain.sealing import NOT_KEPT, SEALED, sealed_part
from services.audit.domain.signatures import Signatures


class Kind(StrEnum):
    """What is wrong."""

    ALTERED = "altered"
    INSERTED = "inserted"
    REMOVED = "removed"
    REORDERED = "reordered"
    CUT = "cut"
    REWRITTEN = "rewritten"  # consistent in itself, but not what was signed
    UNSIGNED = "unsigned"  # consistent in itself, but no source has signed it
    FORGED = "forged"  # a checkpoint


@dataclass(frozen=True)
class Fault:
    """What is wrong with entry `first`, or with one of `first` to `last`; `detail` says why."""

    kind: Kind
    first: int
    last: int
    detail: str


@dataclass(frozen=True)
class Kept:
    """All that is kept under one number: normally one entry and one leaf."""

    number: int
    entries: tuple[Entry, ...]
    leaf: Leaf | None


@dataclass(frozen=True)
class Verdict:
    """How far a ledger is as it was signed. `dropped` entries have no event, as was stated.

    `fitting` events are signed by their sources, None if that was not looked at; `unopened` ones
    cannot be opened, so that their signatures cannot be checked.
    """

    entries: int
    root: bytes
    dropped: int
    checkpoints: int
    faults: tuple[Fault, ...]
    fitting: int | None = None
    unopened: int = 0


Opened = Callable[[Entry], str | None]
"""Returns the event of an entry as it was signed, or None if that cannot be had."""


def as_kept(entry: Entry) -> str | None:
    """Return the event of an entry if nothing in it is sealed: for that it takes no key."""
    return None if entry.event is None or sealed_part(entry.event) is not None else entry.event


@dataclass
class Verification:
    """Takes a ledger in page by page, in order, and judges it in the end."""

    verifiers: Sequence[Verifier]
    whole: bool = True  # whether all nodes of the tree are kept, or only those of the leaves
    signatures: Signatures | None = None  # those of the sources are checked by it
    _growth: Growth = field(default_factory=Growth)
    _checkpoints: dict[int, set[bytes]] = field(default_factory=dict)
    _signed: int = 0  # the size up to which checkpoints agree
    _missing: list[Entry] = field(default_factory=list)
    _statements: list[Statement] = field(default_factory=list)
    _forged: list[Fault] = field(default_factory=list)
    _fault: Fault | None = None
    _agreed: int = 0

    @property
    def is_new(self) -> bool:
        """Whether nothing has been taken in so far."""
        return self._growth.frontier.size == 0 and self._fault is None

    def add_notes(self, notes: Iterable[str]) -> None:
        """Take signed checkpoints, of wherever they were kept; before the entries."""
        for note in notes:
            checkpoint = read(note, self.verifiers)
            if isinstance(checkpoint, NoteFlaw):
                self._forge(note, checkpoint.value)
            else:
                self._checkpoints.setdefault(checkpoint.size, set()).add(checkpoint.root)

    def add_record(self, size: int, root: bytes, note: str) -> None:
        """Take a checkpoint as the database has it, whose columns must be what was signed."""
        found = read(note, self.verifiers)
        if isinstance(found, Checkpoint) and (found.size, found.root) != (size, root):
            self._forge(note, "its row is not what was signed")
        else:
            self.add_notes([note])

    def take(self, page: Sequence[Kept], opened: Opened = as_kept) -> bool:
        """Look at the entries that come next; False once one is bad, and the rest need not come."""
        for kept in page:
            if self._fault is None:
                self._fault = self._judge(kept, page, opened)
        return self._fault is None

    def verdict(self) -> Verdict:
        """Return what is to be said of the whole."""
        frontier = self._growth.frontier
        fault = self._fault or self._cut(frontier.size) or self._unstated()
        return Verdict(
            entries=frontier.size,
            root=frontier.root,
            dropped=len(self._missing),
            checkpoints=self._agreed,
            faults=(*([fault] if fault else []), *self._forged),
            fitting=None if self.signatures is None else self.signatures.fitting,
            unopened=0 if self.signatures is None else self.signatures.unopened,
        )

    def _judge(self, kept: Kept, page: Sequence[Kept], opened: Opened) -> Fault | None:
        number = self._growth.frontier.size + 1
        if kept.number > number and any(other.number == number for other in page):
            return _fault(Kind.REORDERED, number, "it stands behind others that it was before")
        if kept.number > number:
            return _fault(Kind.REMOVED, number, "it is missing")
        if kept.number < number or len(kept.entries) > 1:
            return _fault(Kind.INSERTED, kept.number, "there is another entry of its number")
        if not kept.entries:
            return _fault(Kind.REMOVED, number, "its leaf is there, the entry is not")
        if kept.leaf is None:
            return _fault(Kind.INSERTED, number, "it has no place in the tree")
        entry = kept.entries[0]
        return (
            self._compare(entry, kept.leaf, page)
            or self._unsigned(entry, opened)
            or self._check_root(entry.number)
        )

    def _compare(self, entry: Entry, leaf: Leaf, page: Sequence[Kept]) -> Fault | None:
        if entry.event is not None and event_hash(entry.event) != entry.event_hash:
            return _fault(Kind.ALTERED, entry.number, "the event is not the one that was hashed")
        growth, (expected,) = grow(self._growth, [entry])
        if expected.nodes[0] != leaf.nodes[0]:
            if _is_elsewhere(entry, leaf, page):
                return _fault(Kind.REORDERED, entry.number, "it stood at another number")
            return _fault(Kind.ALTERED, entry.number, "the entry is not the one that was hashed")
        if expected.chain != leaf.chain:
            return _fault(Kind.ALTERED, entry.number, "it does not follow upon the one before")
        if self.whole and expected.nodes != leaf.nodes:
            return _fault(Kind.ALTERED, entry.number, "its part of the tree is another")
        if detail := self._misfiled(entry):
            return _fault(Kind.ALTERED, entry.number, detail)
        self._growth = growth
        self._note(entry)
        return None

    def _misfiled(self, entry: Entry) -> str | None:
        """Return what is wrong with whom it is found by, a column of which nothing is hashed."""
        if entry.event is None:
            return None
        try:
            event = orjson.loads(entry.event)
            subject, sealed = event.get("subject"), event.get(SEALED)
        except (ValueError, AttributeError):
            return "its event is none"
        # What was forgotten before there were keys may not even say whom it was about.
        is_unnamed = subject is None and sealed == NOT_KEPT
        is_other = self.whole and subject != entry.subject and not is_unnamed
        return "it is filed under another person" if is_other else None

    def _unsigned(self, entry: Entry, opened: Opened) -> Fault | None:
        """Return what is wrong with the source's signature, if that is to be checked and can be."""
        if self.signatures is None or entry.event is None:
            return None
        detail = self.signatures.fault(entry, opened(entry))
        return None if detail is None else _fault(Kind.UNSIGNED, entry.number, detail)

    def _note(self, entry: Entry) -> None:
        if entry.event is None:
            self._missing.append(entry)
        elif entry.type == STATEMENT and (statement := stated(entry.event)) is not None:
            self._statements.append(statement)

    def _check_root(self, size: int) -> Fault | None:
        roots = self._checkpoints.get(size)
        if roots is None:
            return None
        if roots != {self._growth.frontier.root}:
            detail = f"they are not what the checkpoint of {size} entries was signed for"
            return Fault(Kind.REWRITTEN, self._signed + 1, size, detail)
        self._signed = size
        self._agreed += 1
        return None

    def _cut(self, size: int) -> Fault | None:
        signed = max(self._checkpoints, default=0)
        if signed <= size:
            return None
        detail = f"a checkpoint was signed for {signed} entries"
        return Fault(Kind.CUT, size + 1, signed, detail)

    def _unstated(self) -> Fault | None:
        for entry in self._missing:
            if not covered(self._statements, entry.type, entry.occurred_at):
                detail = "its event is missing, and nothing on record says that it was dropped"
                return _fault(Kind.REMOVED, entry.number, detail)
        return None

    def _forge(self, note: str, why: str) -> None:
        size = note.split("\n")[1:2]
        number = int(size[0]) if size and size[0].isascii() and size[0].isdigit() else 0
        self._forged.append(_fault(Kind.FORGED, number, f"the checkpoint is not believed: {why}"))


def _is_elsewhere(entry: Entry, leaf: Leaf, page: Sequence[Kept]) -> bool:
    """Whether the leaf at this place is of what stands nearby, or the entry has its leaf there."""
    at_place = {leaf_of(replace(other, number=entry.number)) for k in page for other in k.entries}
    there = {k.leaf.nodes[0] for k in page if k.leaf is not None and k.number != entry.number}
    moved = {leaf_of(replace(entry, number=k.number)) for k in page if k.number != entry.number}
    own = leaf_of(entry)
    others = at_place - {own}
    return leaf.nodes[0] in others or leaf.nodes[0] in moved or bool(there & moved)


def leaf_of(entry: Entry) -> bytes:
    """Return the leaf hash of an entry."""
    return leaf_hash(envelope(entry).encode())


def _fault(kind: Kind, number: int, detail: str) -> Fault:
    return Fault(kind, number, number, detail)
