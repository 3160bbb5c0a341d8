"""Has batches written, however long the database is away that they go to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from shared.bus.wire import Received
from shared.errors import Conflict, Malformed, Unavailable
from shared.intake.measures import Measures

BATCH = 500  # events written at once
GATHER = 0.05  # seconds that the first event of a batch waits for others
FIRST_PAUSE = 0.1  # seconds between two attempts to write; doubles
LONGEST_PAUSE = 5.0  # seconds

Enter = Callable[[Sequence[Received]], Awaitable[int]]
"""Writes events, and returns how many were new. What it knows already it leaves out.

Raises Malformed or Conflict if one of them cannot be stored, ever.
"""

log = structlog.stdlib.get_logger(__name__)


class Writer:
    """Has one batch written at a time, so that the order is that of arrival."""

    def __init__(self, enter: Enter, measures: Measures) -> None:
        self._enter = enter
        self._measures = measures

    async def write(self, events: Sequence[Received]) -> list[Received]:
        """Return when `events` are written, but for those returned, which cannot be.

        While what they are written to is away, they are held.
        """
        try:
            await self._entered(events)
        except (Malformed, Conflict) as error:
            if len(events) == 1:
                log.error(  # noqa: TRY400
                    "event_not_storable",
                    intake=self._measures.name,
                    id=events[0].id,
                    reason=error.detail,
                )
                return list(events)
            # One of them spoils the batch; the others must not be lost with it, nor wait for it.
            return [bad for event in events for bad in await self.write([event])]
        return []

    async def _entered(self, events: Sequence[Received]) -> None:
        pause, measures = FIRST_PAUSE, self._measures
        while True:
            try:
                fresh = await self._enter(events)
            except (Malformed, Conflict):
                raise
            except Unavailable as error:
                if pause == FIRST_PAUSE:
                    log.warning(
                        "intake_waits",
                        intake=measures.name,
                        events=len(events),
                        reason=error.detail,
                    )
            except Exception:  # whatever it is, these events must not be lost
                log.exception("intake_not_written", intake=measures.name, events=len(events))
            else:
                measures.held.set(0)
                measures.entered.inc(fresh)
                measures.repeated.inc(len(events) - fresh)
                return
            measures.held.set(len(events))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
