"""The least that a broker has to do for events to be safe: what the trail is held against.

No signature, no number, no database: bodies that are ready are published and confirmed, or taken
and acknowledged, as many at once as the relay and the ledger have.
"""

import json
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

from kombu import Consumer, Producer
from redis import Redis

from shared.bus import topology
from shared.bus.wire import CONTENT_TYPE
from shared.intake.queue import PREFETCH
from shared.intake.writing import BATCH

Send = Callable[[Any, Sequence[tuple[str, bytes]]], None]

KIND = "mfa.demo.happened"
"""Of an event that nobody is told of by mail: the ledger's queue and the stream get it."""

PATIENCE = 30.0  # seconds


def publish(url: str, events: Sequence[tuple[str, bytes]]) -> float:
    """Publish and have confirmed; return the events per second behind the first batch."""
    with topology.connection(url) as connection:
        channel: Any = connection.channel()
        exchange = topology.events_exchange(url)
        batches = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]
        if topology.speaks_amqp(url):
            send: Send = _Confirmed(channel)
        else:
            exchange(channel).declare()
            send = _written
        producer = Producer(channel, exchange, auto_declare=False)
        send(producer, batches[0])
        started = time.perf_counter()
        for batch in batches[1:]:
            send(producer, batch)
        return (len(events) - len(batches[0])) / (time.perf_counter() - started)


def consume(url: str, count: int) -> float:
    """Have kombu take and acknowledge `count` messages of the ledger's queue.

    Returns how many per second behind a batch. On RabbitMQ a batch is acknowledged at once; redis
    transports know of no such thing.
    """
    at_once = BATCH if topology.speaks_amqp(url) else 1
    with topology.connection(url) as connection:
        channel: Any = connection.channel()
        taken, started = 0, 0.0

        def take(message: Any) -> None:
            nonlocal taken, started
            taken += 1
            if taken % at_once == 0 or taken == count:
                message.ack(multiple=at_once > 1)
            if taken == BATCH:
                started = time.perf_counter()

        queue = topology.store_queue(url)
        with Consumer(channel, [queue], on_message=take, prefetch_count=PREFETCH):
            while taken < count:
                connection.drain_events(timeout=PATIENCE)
        return (count - BATCH) / (time.perf_counter() - started)


def read(url: str, count: int) -> float:
    """Read `count` messages off the list that the ledger's queue is on redis transports.

    Without kombu, and so without its safety: nobody could say who has which of them. Returns how
    many per second behind a batch.
    """
    with Redis.from_url(url) as client:
        left, started = count, time.perf_counter()
        while left > 0:
            found: Any = client.lrange(topology.STORE, -BATCH, -1)
            assert found, "fewer messages than were published"
            for message in found:
                b64decode(json.loads(message)["body"])
            client.ltrim(topology.STORE, 0, -len(found) - 1)
            started = time.perf_counter() if left == count else started
            left -= len(found)
        return (count - BATCH) / (time.perf_counter() - started)


class _Confirmed:
    """Publishes batches on RabbitMQ, and waits until all of each is confirmed."""

    def __init__(self, channel: Any) -> None:
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        self._connection = channel.connection
        self._sent = 0
        self._open: set[int] = set()

    def __call__(self, producer: Any, batch: Sequence[tuple[str, bytes]]) -> None:
        self._open = set(range(self._sent + 1, self._sent + len(batch) + 1))
        self._sent += len(batch)
        _put(producer, batch)
        while self._open:
            self._connection.drain_events(timeout=PATIENCE)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._open = {waiting for waiting in self._open if waiting > tag}
        else:
            self._open.discard(tag)


def _written(producer: Any, batch: Sequence[tuple[str, bytes]]) -> None:
    with producer.batch(max_size=len(batch) + 1):
        _put(producer, batch)


def _put(producer: Any, batch: Sequence[tuple[str, bytes]]) -> None:
    for name, body in batch:
        producer.publish(
            body,
            routing_key=KIND,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=2,
            headers={"task": topology.TASK, "id": name, "lang": "py"},
            message_id=name,
        )
