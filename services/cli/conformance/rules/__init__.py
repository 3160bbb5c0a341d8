"""Everything that a factor has to keep: functions that raise if it does not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.cli.conformance.bench import Bench
from services.cli.conformance.rules import access, bodies, enrolments, optional, people, proofs


@dataclass(frozen=True)
class Rule:
    """A rule, by a name that is a sentence."""

    name: str
    summary: str
    hold: Callable[[Bench], Awaitable[None]]


def _named(hold: Callable[[Bench], Awaitable[None]]) -> Rule:
    summary = " ".join((hold.__doc__ or "").split())
    return Rule(hold.__name__.replace("_", "-"), summary, hold)


RULES = tuple(
    _named(hold)
    for room in (access, bodies, enrolments, proofs, people, optional)
    for hold in room.RULES
)
"""All of them. None depends on another, so they may run in any order, or at once."""
