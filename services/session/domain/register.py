"""The register: which authenticators of a person count, and how it changes."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple

from services.session.domain.factors import RECOVERY_CODES, is_real

NOTHING: Mapping[str, Any] = MappingProxyType({})
WHAT_IS_LEFT = frozenset({"unused", "low"})


class Intent(StrEnum):
    """What a change that is under way was going to do."""

    ADD = "add"
    REMOVE = "remove"


class Named(NamedTuple):
    """An authenticator, by its kind and its id."""

    type: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An authenticator that counts. `facts` are what its factor says of it, in JSON."""

    id: str
    type: str
    created_at: datetime
    last_used_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def name(self) -> Named:
        """What it is called by."""
        return Named(self.type, self.id)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A change that was announced and not yet written down as done: the register is dirty.

    `codes` is the set of recovery codes that is made along with what is added, if one is.
    """

    intent: Intent
    type: str
    id: str
    codes: str | None = None

    @property
    def involved(self) -> tuple[Named, ...]:
        """What its factors may hold, or not hold any more, while nothing has been written."""
        own = Named(self.type, self.id)
        return (own,) if self.codes is None else (own, Named(RECOVERY_CODES, self.codes))


@dataclass(frozen=True, kw_only=True)
class Register:
    """What counts, under a number that every change takes anew.

    Whoever holds an older number has been overtaken, and writes nothing. `serials` tell, by kind,
    how often something of it was added, removed or given up: no id is ever made twice.
    """

    number: int = 0
    entries: tuple[Entry, ...] = ()
    pending: Pending | None = None
    serials: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def types(self) -> tuple[str, ...]:
        """The kinds of authenticators that count, in order and once each."""
        return tuple(dict.fromkeys(entry.type for entry in self.entries))

    def types_among(self, offered: Collection[str]) -> tuple[str, ...]:
        """Return the kinds that a person can prove themselves by, of those that are offered.

        They are in alphabetical order, as clients know them. What is real is always one of them,
        and what waits to be confirmed is none yet.
        """
        usable = (
            entry.type
            for entry in self.entries
            if is_real(entry.type)
            or (entry.type in offered and entry.facts.get("confirmed") is not False)
        )
        return tuple(sorted(set(usable)))

    @property
    def has_second_factor(self) -> bool:
        """Whether there is one to be asked for: what stands only beside others makes none."""
        return any(is_real(entry.type) for entry in self.entries)

    def of_type(self, type: str) -> tuple[Entry, ...]:
        """Return the entries of one kind."""
        return tuple(entry for entry in self.entries if entry.type == type)

    def find(self, id: str) -> Entry | None:
        """Return the entry of that id."""
        return next((entry for entry in self.entries if entry.id == id), None)

    def next_id(self, user_id: str, session_id: str, type: str) -> str:
        """Return the id of what a person may enrol next of a kind: the same until then.

        It need not be kept, for it follows from the session too, which only its owner has.
        """
        serial = self.serials.get(type, 0)
        return sha256(f"{user_id}:{session_id}:{type}:{serial}".encode()).hexdigest()

    def used(self, id: str, at: datetime, changed: Mapping[str, Any] = NOTHING) -> "Register":
        """Return the register with the last use of an authenticator, and what that has changed."""
        entries = (
            replace(e, last_used_at=at, facts=_after_use(e.facts, changed)) if e.id == id else e
            for e in self.entries
        )
        return replace(self, entries=tuple(entries))

    def with_facts(self, id: str, facts: Mapping[str, Any]) -> "Register":
        """Return the register with what the factor says of an authenticator now."""
        entries = (replace(e, facts=facts) if e.id == id else e for e in self.entries)
        return replace(self, entries=tuple(entries))

    def lost_by(self, after: "Register") -> tuple[Named, ...]:
        """Return what counts here and does not in `after`."""
        return tuple(entry.name for entry in self.entries if after.find(entry.id) is None)


# What comes of a change. Each result is clean, and no id that was involved is made again.


def added(register: Register, *entries: Entry) -> Register:
    """Return the register with what was being added."""
    return _clean(register, (*register.entries, *entries))


def replaced(register: Register, entry: Entry) -> Register:
    """Return the register with `entry` in place of all others of its kind."""
    others = (other for other in register.entries if other.type != entry.type)
    return _clean(register, (*others, entry))


def removed(register: Register, id: str) -> Register:
    """Return the register without an authenticator, and without what stands only beside others."""
    return _clean(register, _without_dangling(e for e in register.entries if e.id != id))


def given_up(register: Register) -> Register:
    """Return the register as it was before the addition that is pending."""
    return _clean(register, register.entries)


def repaired(register: Register) -> Register:
    """Return what a dirty register comes to, once the factor has forgotten what is pending.

    An addition is rolled back and a removal carried on, for both leave the person with what they
    can prove. Nothing is ever added, and nothing else dropped, but what stands only beside others:
    a factor that has lost its data must not turn anybody's second factor off.
    """
    if register.pending is None:
        return register
    return removed(register, register.pending.id)


def emptied(register: Register) -> Register:
    """Return the register with nothing left in it, nor under way."""
    return _clean(register, ())


def _after_use(facts: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an authenticator after a use.

    Of two at once the later may be written down first. What the earlier has to say of how much is
    left is out of date then, for that only falls.
    """
    left, told = facts.get("unused"), changed.get("unused")
    if isinstance(left, int) and isinstance(told, int) and left < told:
        changed = {name: changed[name] for name in changed if name not in WHAT_IS_LEFT}
    return {**facts, **changed}


def _clean(register: Register, entries: Iterable[Entry]) -> Register:
    after = replace(register, entries=tuple(entries), pending=None)
    pending = () if register.pending is None else register.pending.involved
    changed = {*pending, *register.lost_by(after), *after.lost_by(register)}
    serials = dict(register.serials)
    for kind in {named.type for named in changed}:
        serials[kind] = serials.get(kind, 0) + 1
    return replace(after, serials=MappingProxyType(serials))


def _without_dangling(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return `entries`, or none of them if there is nothing real among them."""
    kept = tuple(entries)
    return kept if any(is_real(entry.type) for entry in kept) else ()
