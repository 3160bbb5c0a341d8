"""Takes events from RabbitMQ, as a step of the Celery worker's consumer."""

from concurrent.futures import Future
from functools import partial
from typing import Any

import structlog
from amqp.exceptions import NotFound
from celery import bootsteps
from celery.worker.consumer.consumer import STOP_CONDITIONS  # type: ignore[attr-defined]
from kombu import Consumer, Queue
from kombu.asynchronous.timer import Entry as Timer
from kombu.message import Message

from shared.bus.wire import Flaw, Received
from shared.intake.sorting import Sorter
from shared.intake.writing import BATCH, GATHER, Writer
from shared.worker import Background

PREFETCH = 2 * BATCH  # one batch is written while the next one gathers
LOOK_AGAIN = 5.0  # seconds until a queue that is not declared is tried again
STOP_WITHIN = 5.0  # seconds that the last batch has to be written when the worker ends

log = structlog.stdlib.get_logger(__name__)


class Intake:
    """Gathers messages into batches, and acknowledges each batch when it is written.

    Everything here runs on the worker's own thread, the one that may talk to the broker; only
    the writing goes to the background loop.
    """

    def __init__(self, queue: Queue, sorter: Sorter, writer: Writer, work: Background) -> None:
        self.queue = queue
        self._sorter = sorter
        self._writer = writer
        self._work = work
        self._hub: Any = None
        self._waiting: list[tuple[Message, Received]] = []
        self._batch: list[tuple[Message, Received]] = []  # that is being written
        self._writing: Future[list[Received]] | None = None
        self._timer: Timer | None = None
        self._due = False  # the time to gather is over, but the last batch is still being written

    def open(self, worker: Any, channel: Any) -> list[Consumer]:
        """Begin to take messages from `channel`."""
        self._hub = worker.hub
        consumer = Consumer(
            channel,
            [self.queue],
            on_message=self._receive,
            on_decode_error=self._reject_undecodable,
            prefetch_count=PREFETCH,
        )
        return [consumer]

    def close(self) -> None:
        """Wait for the batch that is being written, and acknowledge it."""
        if self._writing is not None:
            try:
                bad = self._writing.result(STOP_WITHIN)
            except Exception:  # then the broker keeps it for the next worker
                log.warning("batch_given_back")
            else:
                self._acknowledge(bad)
        self.forget()

    def forget(self) -> None:
        """Drop what has not been acknowledged.

        The broker hands it out again, and what has been written is known by its id.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            self._writing.cancel()
        self._writing = self._timer = None
        self._due = False
        self._batch, self._waiting = [], []

    def _receive(self, message: Message) -> None:
        body: Any = message.body
        verdict = self._sorter.judge(body.encode() if isinstance(body, str) else bytes(body))
        if isinstance(verdict, Flaw):
            self._refuse(message, verdict)
            return
        self._waiting.append((message, verdict))
        if len(self._waiting) >= BATCH:
            self._write()
        elif self._timer is None and not self._due:
            self._timer = self._hub.call_later(GATHER, self._write)

    def _write(self) -> None:
        """Have the next batch written, or note that it is due if another one still is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = self._writing is not None
        if self._due or not self._waiting:
            return
        self._batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self._due = bool(self._waiting)  # those left over have waited as long as the others
        writing = self._work.submit(self._writer.write([event for _, event in self._batch]))
        self._writing = writing
        writing.add_done_callback(lambda future: self._hub.call_soon(partial(self._settle, future)))

    def _settle(self, writing: "Future[list[Received]]") -> None:
        """Acknowledge what has been written, and go on with what came meanwhile."""
        if writing is not self._writing:
            return  # the connection that brought the batch is gone
        self._writing = None
        if not writing.cancelled() and writing.exception() is None:
            self._acknowledge(writing.result())
        if self._due or len(self._waiting) >= BATCH:
            self._write()

    def _acknowledge(self, bad: list[Received]) -> None:
        """Tell the broker that the batch is written, but for what is `bad`.

        Everything before the batch is settled by now: written, or refused on arrival.
        """
        if not bad:
            self._batch[-1][0].ack(multiple=True)
            return
        for message, event in self._batch:
            if event in bad:
                self._refuse(message, Flaw.UNSTORABLE)
            else:
                message.ack()

    def _refuse(self, message: Message, flaw: Flaw) -> None:
        """Send `message` to the dead letters, where RabbitMQ's own queue arguments say."""
        self._sorter.raise_alarm(flaw)
        message.reject()

    def _reject_undecodable(self, message: Message, error: Exception) -> None:
        self._refuse(message, Flaw.UNREADABLE)


class _IntakeStep(bootsteps.ConsumerStep):
    """Hangs an intake into the worker's connection to the broker."""

    intake: Intake
    _again: Timer | None = None

    def start(self, worker: Any) -> None:
        self._again = None
        self.consumers = self.intake.open(worker, worker.connection.channel())
        try:
            for consumer in self.consumers:
                consumer.consume()
        except NotFound:  # which has closed the channel, and nothing else
            log.error("queue_not_declared", queue=self.intake.queue.name)  # noqa: TRY400
            self.consumers = []
            self._again = worker.hub.call_later(LOOK_AGAIN, self.start, worker)

    def stop(self, worker: Any) -> None:
        if self._again is not None:
            self._again.cancel()
        if worker.blueprint.state in STOP_CONDITIONS:
            self.intake.close()
        else:  # the connection is lost, and with it the right to acknowledge
            self.intake.forget()
        super().stop(worker)


def intake_step(intake: Intake) -> type[bootsteps.ConsumerStep]:
    """Return `intake` as a step for `app.steps["consumer"]`."""
    # A worker has one step of a name, and may have several intakes.
    name = f"Intake of {intake.queue.name}"
    return type(name, (_IntakeStep,), {"intake": intake, "name": name})
