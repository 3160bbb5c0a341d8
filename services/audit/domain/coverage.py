"""How complete the events of a source are: it numbers them, and a gap is a loss."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass

Gap = tuple[int, int]
"""The first and the last of numbers that are missing."""


@dataclass(frozen=True)
class Coverage:
    """Which numbers of a source have come: all up to `last`, but for the `gaps`, in order.

    `repeated` is how often a number came with an event that is not the one it had come with: then
    the source has begun to count anew, or counts twice.
    """

    source: str
    last: int = 0
    gaps: tuple[Gap, ...] = ()
    repeated: int = 0

    @property
    def missing(self) -> int:
        """How many numbers have not come."""
        return sum(last - first + 1 for first, last in self.gaps)

    def add(self, numbers: Iterable[int]) -> "Coverage":
        """Return the coverage with these numbers, each of an event that is new."""
        last, gaps, repeated = self.last, list(self.gaps), self.repeated
        for number in numbers:
            if number > last:
                if number > last + 1:
                    gaps.append((last + 1, number - 1))
                last = number
            elif (gap := _gap_of(gaps, number)) is not None:
                gaps.remove(gap)
                for rest in ((gap[0], number - 1), (number + 1, gap[1])):
                    if rest[0] <= rest[1]:
                        insort(gaps, rest)
            else:
                repeated += 1
        return Coverage(self.source, last, tuple(gaps), repeated)


def _gap_of(gaps: Iterable[Gap], number: int) -> Gap | None:
    return next((gap for gap in gaps if gap[0] <= number <= gap[1]), None)
