"""What is made of measurements: medians and spreads, and whether one is worse than another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEAST_NOISE = 0.15  # of a ratio: as much as runs on one machine differ, whatever one run shows
WHOLE = 100  # from here on, decimals say nothing
OF_SPREAD = 1.5  # times a recorded spread that a ratio may be off


@dataclass(frozen=True)
class Spread:
    """A median, and the lowest and highest of what it was found among."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of `values`, of which there is at least one."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{_figure(self.median)} ({_figure(self.low)} to {_figure(self.high)})"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """Return how many times more the peer took, round by round.

    Rounds are compared each with its own: what disturbs the machine lasts for longer than one.
    """
    return Spread.of([their / our for their, our in zip(theirs, ours, strict=True)])


def fell(recorded: Spread, now: Spread) -> bool:
    """Tell whether a ratio has become worse, by more than measuring it again explains."""
    width = (recorded.high - recorded.low) / 2
    allowed = max(LEAST_NOISE * recorded.median, OF_SPREAD * width)
    return now.median < recorded.median - allowed


def _figure(value: float) -> str:
    """Return a number as exactly as it is worth."""
    digits = 2 if abs(value) < 1 else 1 if abs(value) < WHOLE else 0
    return f"{value:.{digits}f}"
