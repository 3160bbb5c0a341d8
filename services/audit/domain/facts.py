"""Facts as they arrive: each is entered once, and not later than the ledger goes back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import Conflict

MAX_AHEAD = timedelta(days=366)
"""By how much the clock of a source may be wrong: what is later has no place in the ledger."""


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
    text: str  # the whole event as signed


@dataclass(frozen=True)
class Arrival:
    """A fact, and when it came."""

    fact: Fact
    received_at: datetime
    redacted: bool = False  # it has lost what was personal in it, before it came here


def fresh(arrivals: Sequence[Arrival], known: Collection[str]) -> list[Arrival]:
    """Return those of `arrivals` that are not in the ledger, each once, in their order.

    A fact whose id is among `known`, or that comes twice, is the same fact: the bus repeats
    itself after a crash.
    """
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        if arrival.fact.id not in known:
            first.setdefault(arrival.fact.id, arrival)
    return list(first.values())


def check_times(arrivals: Sequence[Arrival], since: datetime) -> None:
    """Raise Conflict if a fact is older than the ledger goes back, or from the future.

    Where a fact is looked for, to know whether it has come before, follows from its own time.
    """
    for arrival in arrivals:
        if arrival.fact.occurred_at < since:
            raise Conflict("The event is older than the ledger goes back.", code="too_old")
        if arrival.fact.occurred_at > arrival.received_at + MAX_AHEAD:
            raise Conflict("The event is from the future.", code="too_new")
