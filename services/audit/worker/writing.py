"""Brings batches into the ledger, however long its database is away."""

import asyncio
from collections.abc import Sequence

import structlog
from prometheus_client import Counter, Gauge

from services.audit.domain import Fact
from services.audit.flows import Ledger
from shared.errors import Conflict, Malformed, Unavailable

BATCH = 500  # events written at once
GATHER = 0.05  # seconds that the first event of a batch waits for others
FIRST_PAUSE = 0.1  # seconds between two attempts to write; doubles
LONGEST_PAUSE = 5.0  # seconds

log = structlog.stdlib.get_logger(__name__)

entered = Counter("countersign_ledger_entries_total", "Events entered into the ledger.")
repeated = Counter(
    "countersign_ledger_repeated_total", "Events that came again and were already in the ledger."
)
held = Gauge("countersign_ledger_held", "Events off the bus that could not be written so far.")


class Writer:
    """Writes one batch at a time, so that the ledger's order is that of arrival."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def write(self, facts: Sequence[Fact]) -> list[Fact]:
        """Return when `facts` are in the ledger, but for those returned, which it cannot hold.

        While it is away, they are held.
        """
        try:
            await self._enter(facts)
        except (Malformed, Conflict) as error:
            if len(facts) == 1:
                log.error("event_not_storable", id=facts[0].id, reason=error.detail)  # noqa: TRY400
                return list(facts)
            # One of them spoils the batch; the others must not be lost with it, nor wait for it.
            return [bad for fact in facts for bad in await self.write([fact])]
        return []

    async def _enter(self, facts: Sequence[Fact]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                fresh = await self._ledger.enter(facts)
            except (Malformed, Conflict):
                raise
            except Unavailable as error:
                if pause == FIRST_PAUSE:
                    log.warning("ledger_away", events=len(facts), reason=error.detail)
            except Exception:  # whatever it is, these events must not be lost
                log.exception("ledger_not_written", events=len(facts))
            else:
                held.set(0)
                entered.inc(fresh)
                repeated.inc(len(facts) - fresh)
                return
            held.set(len(facts))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
