"""Hands batches of events to the broker and returns when the broker has them."""

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import structlog
from kombu import Connection, Producer
from kombu.exceptions import OperationalError
from prometheus_client import Counter

from shared.bus.lists import shorten
from shared.bus.topology import (
    NOTICES,
    NOTICES_LENGTH,
    TASK,
    connection,
    events_exchange,
    require_queues,
    speaks_amqp,
)
from shared.bus.wire import CONTENT_TYPE
from shared.errors import Unavailable

CONFIRM_WITHIN = 10.0  # seconds that a broker has to confirm a whole batch
LOOK_UP = 0.5  # seconds between two looks whether the publisher is to be closed

log = structlog.stdlib.get_logger(__name__)

overflowed = Counter(
    "countersign_bus_overflowed_total",
    "Messages that nobody took off a full queue, and that are dead letters now (redis transports).",
    ["queue"],
)


class BrokerAway(Unavailable):
    """The broker did not take a batch, or did not say so: it may have stored a part of it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__("The broker did not take the events.")
        self.cause = cause


@dataclass(frozen=True)
class Outgoing:
    """One signed event, and what the broker has to know of it."""

    id: str
    type: str
    body: bytes


class Publisher:
    """A connection to the broker on which batches are sent; to be used by one thread at a time.

    It is opened with the first batch and opened anew after a failure. While a queue of ours is not
    declared, nothing is sent: on RabbitMQ that is asked whenever the connection is opened.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._producer: Any = None  # a kombu Producer: its types are older than its `batch`
        self._confirms: _Confirms | None = None
        self._closing = threading.Event()

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def publish(self, events: Sequence[Outgoing]) -> None:
        """Send `events` in order and wait until the broker has stored them all.

        Raises BrokerAway if that cannot be told.
        """
        try:
            producer = self._open()
            if self._confirms is not None:
                self._confirms.expect(len(events))
                _send(producer, events)
                self._await(self._confirms, producer.channel.connection)
            else:
                require_queues(self._url, producer.channel)
                _make_room(producer.channel.client)
                with producer.batch(max_size=len(events) + 1):
                    _send(producer, events)
        except Exception as error:
            self._drop()
            raise BrokerAway(error) from error

    def stop_waiting(self) -> None:
        """Make a `publish` that waits in another thread give up; for a clean end."""
        self._closing.set()

    def close(self) -> None:
        """Close the connection."""
        self._closing.set()
        self._drop()

    def _open(self) -> Any:
        if self._producer is not None:
            return self._producer
        self._connection = connection(self._url)
        self._connection.connect()
        channel: Any = self._connection.channel()
        exchange = events_exchange(self._url)
        if speaks_amqp(self._url):
            require_queues(self._url, channel)
            channel.confirm_select()
            self._confirms = _Confirms(channel)
        else:
            exchange(channel).declare()  # each process has to tell the transport that it is a topic
        self._producer = Producer(channel, exchange, auto_declare=False)
        return self._producer

    def _await(self, confirms: "_Confirms", connection: Any) -> None:
        """Read from the broker until every message is confirmed."""
        deadline = time.monotonic() + CONFIRM_WITHIN
        while not confirms.complete():
            if self._closing.is_set() or time.monotonic() > deadline:
                raise TimeoutError("not every event was confirmed")
            with suppress(TimeoutError):
                connection.drain_events(timeout=LOOK_UP)

    def _drop(self) -> None:
        broken, self._connection = self._connection, None
        self._producer = self._confirms = None
        if broken is not None:
            with suppress(Exception):  # there is nothing to be had from a connection that is broken
                broken.collect(socket_timeout=LOOK_UP)


class _Confirms:
    """Counts which messages of a channel in confirm mode RabbitMQ has answered for."""

    def __init__(self, channel: Any) -> None:
        self._last = 0  # delivery tags count from 1 on each channel
        self._open: set[int] = set()
        self._refused = False
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)

    def expect(self, count: int) -> None:
        """Expect answers for the next `count` messages."""
        self._open.update(range(self._last + 1, self._last + count + 1))
        self._last += count

    def complete(self) -> bool:
        """Whether all messages are stored. Raises OperationalError if one was refused."""
        if self._refused:
            raise OperationalError("the broker refused an event")
        return not self._open

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._open = {waiting for waiting in self._open if waiting > tag}
        else:
            self._open.discard(tag)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._refused = True


def _make_room(client: Any) -> None:
    """Keep the lists short that have a limit, as RabbitMQ does with such a queue."""
    if moved := shorten(client, NOTICES, NOTICES_LENGTH):
        overflowed.labels(NOTICES).inc(moved)
        log.error("queue_overflowed", queue=NOTICES, messages=moved)


def _send(producer: Any, events: Iterable[Outgoing]) -> None:
    for event in events:
        producer.publish(
            event.body,
            routing_key=event.type,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=2,
            headers={"task": TASK, "id": event.id, "lang": "py"},
            message_id=event.id,
            correlation_id=event.id,
        )
