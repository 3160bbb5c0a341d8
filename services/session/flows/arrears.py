"""Shows what is late: mails, registers and erasures, as gauges of the worker."""

import asyncio
from contextlib import suppress
from datetime import datetime

from prometheus_client import Gauge

from services.session.flows.register import LIVE
from services.session.store.arrears import ArrearsStore
from shared.clock import Clock
from shared.errors import Unavailable

MEASURE = 5.0  # seconds between two counts of what is late
SOURCE = "session"

# With a label, so that processes that do not measure show nothing, rather than nought.
_LABELS = ["source"]

mails_waiting = Gauge(
    "countersign_mails_waiting", "Mails that are overdue, or have failed at least once.", _LABELS
)
mails_oldest = Gauge(
    "countersign_mails_oldest_seconds", "For how long the oldest of these is overdue.", _LABELS
)
registers_dirty = Gauge(
    "countersign_registers_dirty", "People whose register is left half changed.", _LABELS
)
erasures_waiting = Gauge(
    "countersign_erasures_waiting", "People who are deleted and not forgotten by all yet.", _LABELS
)
erasures_oldest = Gauge(
    "countersign_erasures_oldest_seconds", "For how long the oldest of these waits.", _LABELS
)

GAUGES = (mails_waiting, mails_oldest, registers_dirty, erasures_waiting, erasures_oldest)


class Measuring:
    """Keeps the gauges up to date, by one cheap statement each time."""

    def __init__(self, arrears: ArrearsStore, clock: Clock) -> None:
        self._arrears = arrears
        self._clock = clock

    async def run(self) -> None:
        """Measure until cancelled. While the database is away, the gauges show what was last."""
        try:
            while True:
                # The database itself tells, once, that it is away.
                with suppress(Unavailable):
                    await self.measure()
                await asyncio.sleep(MEASURE)
        finally:
            for gauge in GAUGES:
                gauge.remove(SOURCE)

    async def measure(self) -> None:
        """Measure once. A register counts when nobody can be at work on it any more."""
        now = self._clock()
        late = await self._arrears.find(now, marked_before=now - LIVE)
        for gauge, value in (
            (mails_waiting, late.mails),
            (mails_oldest, _age(late.oldest_mail, now)),
            (registers_dirty, late.registers),
            (erasures_waiting, late.erasures),
            (erasures_oldest, _age(late.oldest_erasure, now)),
        ):
            gauge.labels(SOURCE).set(value)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
