"""The register: which authenticators of a person count, and how it changes."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Intent(StrEnum):
    """What a change that is under way was going to do."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An authenticator that counts. `type` is also the name of the factor that judges it."""

    id: str
    type: str
    created_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A change that was announced and not yet written down as done: the register is dirty."""

    intent: Intent
    type: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Register:
    """What counts, under a number that every change takes anew.

    Whoever holds an older number has been overtaken, and writes nothing.
    """

    number: int = 0
    entries: tuple[Entry, ...] = ()
    pending: Pending | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """The kinds of authenticators that count, in order and once each."""
        return tuple(dict.fromkeys(entry.type for entry in self.entries))

    def of_type(self, type: str) -> tuple[Entry, ...]:
        """Return the entries that one factor judges."""
        return tuple(entry for entry in self.entries if entry.type == type)

    def find(self, id: str) -> Entry | None:
        """Return the entry of that id."""
        return next((entry for entry in self.entries if entry.id == id), None)

    def with_entry(self, entry: Entry) -> "Register":
        """Return the register with one authenticator more."""
        return replace(self, entries=(*self.entries, entry))

    def without(self, id: str) -> "Register":
        """Return the register with that authenticator gone."""
        return replace(self, entries=tuple(e for e in self.entries if e.id != id))

    def used(self, id: str, at: datetime) -> "Register":
        """Return the register with the time of that authenticator's last use."""
        entries = (replace(e, last_used_at=at) if e.id == id else e for e in self.entries)
        return replace(self, entries=tuple(entries))


def repaired(register: Register) -> Register:
    """Return what a dirty register comes to, once the factor has forgotten what is pending.

    An addition is rolled back and a removal carried on, for both leave the person with what they
    can prove. Nothing is ever added, and nothing else dropped: a factor that has lost its data
    must not turn anybody's second factor off.
    """
    if register.pending is None:
        return register
    return replace(register.without(register.pending.id), pending=None)
