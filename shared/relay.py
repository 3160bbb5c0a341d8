"""Carries events from a service's outbox to the broker: number, sign, publish, forget.

The order makes losing one impossible: an event is deleted only after the broker has confirmed it.
A relay that dies in between leaves events that are sent again under the same id and number.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Counter, Gauge

from shared.bus.publisher import BrokerAway, Outgoing, Publisher
from shared.bus.wire import EventSigner, Form, to_cloudevent
from shared.clock import Clock, from_micros, utc_now
from shared.database import Database, Row
from shared.errors import Unavailable
from shared.outbox import Outbox

BATCH = 500  # events published at once
GATHER = 0.02  # seconds that the first event of a batch waits for others: each batch costs the same
STANDBY = 2.0  # seconds until a relay that is not the active one, or lost its database, tries again
FIRST_PAUSE = 0.1  # seconds after the broker failed; doubles
LONGEST_PAUSE = 5.0  # seconds
MEASURE = 5.0  # seconds between two counts of what waits

log = structlog.stdlib.get_logger(__name__)

sent = Counter("countersign_relay_sent_total", "Events that the broker confirmed.", ["source"])
backlog = Gauge("countersign_outbox_backlog", "Events that wait in the outbox.", ["source"])
oldest = Gauge("countersign_outbox_oldest_seconds", "Age of the oldest that waits.", ["source"])


@dataclass(frozen=True)
class _Batch:
    """Events that are ready to be sent, and what the outbox knows them by."""

    events: Sequence[Outgoing]
    seqs: Sequence[int]
    last: int  # the highest number


class Relay:
    """Empties one outbox. Of the relays on one database, one is active and the others stand by."""

    def __init__(
        self, db: Database, broker_url: str, signer: EventSigner, clock: Clock = utc_now
    ) -> None:
        self._db = db
        self._outbox = Outbox(db)
        self._broker_url = broker_url
        self._signer = signer
        self._clock = clock

    async def run(self) -> None:
        """Relay until cancelled, through any absence of the database or the broker."""
        while True:
            # The database itself tells, once, that it is away.
            with suppress(Unavailable):
                async with self._db.exclusive("relay") as active:
                    if active:
                        await self._relay()
            await asyncio.sleep(STANDBY)

    async def _relay(self) -> None:
        """Send what is there and what comes, until the database fails."""
        publisher = Publisher(self._broker_url)
        # kombu blocks, so it has a thread; and only one, as it is not made for more.
        thread = ThreadPoolExecutor(1, f"relay {self._signer.source}")
        measuring = asyncio.create_task(self._measure())
        try:
            while True:
                await self._drain(publisher, thread)
                await self._outbox.wait()
                await asyncio.sleep(GATHER)
        finally:
            measuring.cancel()
            await asyncio.wait([measuring])
            publisher.stop_waiting()
            thread.submit(publisher.close)
            thread.shutdown(wait=False)

    async def _drain(self, publisher: Publisher, thread: ThreadPoolExecutor) -> None:
        """Send until the outbox is empty; wait for a broker that is away."""
        pause, told = FIRST_PAUSE, ""
        while True:
            try:
                async for _ in self._send(publisher, thread):
                    if told:
                        log.warning("broker_back", source=self._signer.source)
                    pause, told = FIRST_PAUSE, ""
            except BrokerAway as error:
                reason = str(error.cause)
                if reason != told:  # it may have come back without its queues
                    log.warning("broker_away", source=self._signer.source, reason=reason)
                    told = reason
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if told:  # another relay has sent what this one had to wait with
                    log.warning("broker_back", source=self._signer.source)
                return

    async def _send(self, publisher: Publisher, thread: ThreadPoolExecutor) -> AsyncIterator[None]:
        """Send batch after batch; while the broker stores one, the next is made ready.

        Yields whenever one is sent and forgotten. The next is not sent before that, or the order
        would be lost; and if it cannot be made ready, the one before is forgotten all the same.
        """
        loop = asyncio.get_running_loop()
        batch = await self._batch(behind=0)
        while batch:
            storing = loop.run_in_executor(thread, publisher.publish, batch.events)
            following = asyncio.create_task(self._behind(batch))
            for task in (storing, following):
                task.add_done_callback(_look_at)  # if nobody waits for it any more
            try:
                await storing
                await self._outbox.delete(batch.seqs)
                sent.labels(self._signer.source).inc(len(batch.seqs))
                yield
                batch = await following
            finally:
                following.cancel()
                await asyncio.wait([following])

    async def _behind(self, batch: _Batch) -> _Batch | None:
        """Return what comes behind a batch, if that may be anything."""
        return await self._batch(batch.last) if len(batch.seqs) == BATCH else None

    async def _batch(self, behind: int) -> _Batch | None:
        """Return the next events, numbered and signed, if there are any."""
        await self._outbox.number_batch(BATCH)
        rows = await self._outbox.pending(BATCH, behind=behind)
        if not rows:
            return None
        return _Batch(self._sign(rows), [row.seq for row in rows], rows[-1].number)

    def _sign(self, rows: Sequence[Row]) -> list[Outgoing]:
        bodies = self._signer.sign_all([self._form(row) for row in rows])
        return [
            Outgoing(id=row.id, type=row.type, body=body)
            for row, body in zip(rows, bodies, strict=True)
        ]

    def _form(self, row: Row) -> Form:
        try:
            return self._signer.form(self._cloudevent(row, json.loads(row.data)))
        except ValueError:
            # Facts without a canonical form are a fault in the service that stated them. They
            # travel as the text that they are, so that neither they nor those behind them are lost.
            log.exception("event_not_canonical", source=self._signer.source, type=row.type)
            return self._signer.form(self._cloudevent(row, {"text": row.data}))

    def _cloudevent(self, row: Row, data: dict[str, object]) -> dict[str, object]:
        return to_cloudevent(
            id=row.id,
            type=row.type,
            source=self._signer.source,
            number=row.number,
            occurred_at=from_micros(row.occurred_at),
            subject=row.subject,
            data=data,
            context=_sendable(json.loads(row.context)),
        )

    async def _measure(self) -> None:
        """Show how much waits, and for how long, as long as this relay is the active one."""
        source = self._signer.source
        try:
            while True:
                with suppress(Unavailable):
                    waiting = await self._outbox.backlog()
                    now = self._clock()
                    age = (now - (waiting.oldest_at or now)).total_seconds()
                    backlog.labels(source).set(waiting.count)
                    oldest.labels(source).set(max(0.0, age))
                await asyncio.sleep(MEASURE)
        finally:
            backlog.remove(source)
            oldest.remove(source)


def _look_at(done: "asyncio.Future[Any]") -> None:
    """Take notice of how it went, so that nobody is told that nobody has."""
    if not done.cancelled():
        done.exception()


def _sendable(context: dict[str, object]) -> dict[str, object]:
    """Return what a request told of itself, without what no UTF-8 can carry."""
    return {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in context.items()
    }
