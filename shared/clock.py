"""The time, as something a test can choose."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Returns the present as an aware UTC datetime."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """Return the system's time; the only place that reads it."""
    return datetime.now(UTC)


def to_micros(moment: datetime) -> int:
    """Return whole microseconds since 1970, the form in which every table stores a time."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC datetime that `to_micros` was given."""
    return EPOCH + timedelta(microseconds=micros)
