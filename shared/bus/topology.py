"""Where events go: the exchanges and queues on RabbitMQ, and their likeness on a redis transport.

They are made once, by `declare`, which an operator runs with a user of his own; the services may
then publish and consume, and configure nothing. On RabbitMQ:

    audit (topic) ──> audit.store (quorum) ──rejected──> audit.dlx ──> audit.dead
      │ └─NOTICES───> audit.notices (quorum) ──rejected──┘
      │       └─────> audit.stream (seven days, for whoever comes later)
      └──unroutable─> audit.unrouted

Queues of a redis transport are lists: there are no limits, and no dead letters but what the code
that consumes puts there.
"""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from kombu import Connection, Exchange, Queue, binding
from kombu.serialization import register

from shared.bus.wire import CONTENT_TYPE, canonical

EVENTS = "audit"
STORE = "audit.store"
NOTICES = "audit.notices"
STREAM = "audit.stream"
DEAD = "audit.dead"
DEAD_EXCHANGE = "audit.dlx"
UNROUTED = "audit.unrouted"
TASK = "audit.record"
"""The name of the Celery task that a message of the bus calls, for consumers that have one."""

NOTICE_KINDS = ("mfa.*.clone_suspected", "mfa.*.trust_replayed")
"""What people are to be told of by mail, wherever it is found out: all that NOTICES gets."""
NOTICES_BYTES = 16 * 1024 * 1024  # beyond, the oldest go: nothing may push back on the ledger

DELIVERY_LIMIT = 20  # times that RabbitMQ hands out a message before it counts as poison
STREAM_AGE = "7D"
CONNECT_WITHIN = 3.0  # seconds
ANSWER_WITHIN = 10.0  # seconds that a broker may keep silent on a question


def speaks_amqp(url: str) -> bool:
    """Whether `url` is a RabbitMQ's, with exchanges and confirms, and not a redis transport's."""
    return urlsplit(url).scheme in {"amqp", "amqps", "pyamqp"}


def transport_options(url: str) -> dict[str, object]:
    """Return kombu's transport options for the broker at `url`: how long it may keep silent."""
    if speaks_amqp(url):
        return {"write_timeout": ANSWER_WITHIN}
    return {"socket_connect_timeout": CONNECT_WITHIN, "socket_timeout": ANSWER_WITHIN}


def connection(url: str) -> Connection:
    """Return a connection to the broker at `url`, not opened yet.

    Without heartbeats, as nothing would send them between two batches: TCP's own time-out and the
    one on confirms find out that a broker is gone.
    """
    return Connection(
        url,
        connect_timeout=CONNECT_WITHIN,
        heartbeat=0,
        transport_options=transport_options(url),
    )


def events_exchange(url: str, *, made: bool = True) -> Exchange:
    """Return the exchange that every event is published to.

    What is already `made` is not declared again on RabbitMQ, where services may not. A redis
    transport keeps types of exchanges in each process, so there everyone declares.
    """
    return Exchange(
        EVENTS,
        "topic",
        durable=True,
        arguments={"alternate-exchange": UNROUTED} if speaks_amqp(url) else None,
        no_declare=made and speaks_amqp(url),
    )


def store_queue(url: str, *, made: bool = True) -> Queue:
    """Return the queue that the ledger is fed from."""
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return _queue(url, STORE, events_exchange(url, made=made), arguments)


def notices_queue(url: str, *, made: bool = True) -> Queue:
    """Return the queue of what people are to be told of by mail."""
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        "x-max-length-bytes": NOTICES_BYTES,
        "x-overflow": "drop-head",
    }
    return _queue(url, NOTICES, events_exchange(url, made=made), arguments, keys=NOTICE_KINDS)


def declare(url: str) -> None:
    """Make every exchange and queue of the bus; to be repeated at will."""
    with connection(url) as broker:
        broker.ensure_connection(max_retries=3, interval_start=0, interval_step=1)
        channel = broker.channel()
        for queue in _everything(url):
            queue(channel).declare()


def _everything(url: str) -> list[Queue]:
    """Return all queues, each with its exchange, in an order in which they can be made."""
    dead = Exchange(DEAD_EXCHANGE, "topic", durable=True)
    queues = [
        _queue(url, DEAD, dead, {"x-queue-type": "quorum"}),
        store_queue(url, made=False),
        notices_queue(url, made=False),
    ]
    if speaks_amqp(url):
        unrouted = Exchange(UNROUTED, "fanout", durable=True)
        stream = {"x-queue-type": "stream", "x-max-age": STREAM_AGE}
        queues.insert(0, _queue(url, UNROUTED, unrouted, {"x-queue-type": "quorum"}))
        queues.append(_queue(url, STREAM, events_exchange(url, made=False), stream))
    return queues


def _queue(
    url: str,
    name: str,
    exchange: Exchange,
    arguments: Mapping[str, object],
    *,
    keys: Sequence[str] = ("#",),
) -> Queue:
    """Return a durable queue bound to what of `exchange` has one of `keys`.

    It is declared or not as the exchange is.
    """
    return Queue(
        name,
        exchange,
        bindings=[binding(exchange, routing_key=key) for key in keys],
        durable=True,
        queue_arguments=dict(arguments) if speaks_amqp(url) else None,
        no_declare=exchange.no_declare,
    )


def register_serializer() -> None:
    """Teach kombu the serializer `cloudevents`, with which a Celery task's argument is the event.

    Consumers that read messages without Celery take the body as it is.
    """
    register("cloudevents", _as_text, _as_task_arguments, CONTENT_TYPE, "utf-8")


def _as_text(event: object) -> str:
    return canonical(event).decode()


def _as_task_arguments(
    body: str | bytes,
) -> tuple[list[object], dict[str, object], dict[str, object]]:
    """Return what Celery's protocol 2 has in a body: arguments, named arguments, and links."""
    return [json.loads(body)], {}, {}
