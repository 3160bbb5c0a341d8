"""A clock that tests turn by hand."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 5, 4, 12, 0, 15, tzinfo=UTC)  # the middle of a TOTP period


class Hands:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        """Let time pass, in the units of `timedelta`."""
        self.now += timedelta(**by)
