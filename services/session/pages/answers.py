"""What a page can answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from services.session.domain.faults import Fault
from services.session.flows.outcomes import Outcome


@dataclass(frozen=True, kw_only=True)
class Show:
    """A page by its template, with what it is to show. `outcome` is what the browser has to keep.

    `faults` are what is wrong with what was typed; nothing is judged before `retry_after`.
    """

    template: str
    facts: Mapping[str, object] = field(default_factory=dict, repr=False)
    faults: tuple[Fault, ...] = ()
    retry_after: timedelta | None = None
    status: int = 200
    outcome: Outcome | None = None

    def refused(self, faults: Sequence[Fault], retry_after: timedelta | None = None) -> "Show":
        """Return the same page, saying what was wrong."""
        return replace(self, faults=tuple(faults), retry_after=retry_after, status=400)

    def throttled(self, retry_after: timedelta) -> "Show":
        """Return the same page, saying that it was too often."""
        fault = Fault(code="rate_limited", message="Too many requests.")
        return replace(self, faults=(fault,), retry_after=retry_after, status=429)


@dataclass(frozen=True, kw_only=True)
class GoTo:
    """Another page, to be got (303). It says by `notice` what was done here.

    `language` is one that is spoken from now on.
    """

    url: str
    notice: str | None = None
    language: str | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a script of ours has asked for, as JSON."""

    value: Mapping[str, object] = field(repr=False)
    status: int = 200
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class File:
    """A text to be kept as a file of that name."""

    text: str = field(repr=False)
    name: str


Answer = Show | GoTo | Given | File
