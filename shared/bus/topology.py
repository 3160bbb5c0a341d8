"""Where events go: the exchanges and queues on RabbitMQ, and their likeness on a redis transport.

They are made once, by `declare`, which an operator runs with a user of his own; the services may
then publish and consume, and configure nothing. On RabbitMQ:

    audit (topic) ──> audit.store (quorum) ──rejected──> audit.dlx ──> audit.dead
      │ └─some types> audit.notices (quorum) ──rejected──┘
      │       └─────> audit.stream (seven days, for whoever comes later)
      └──unroutable─> audit.unrouted

Queues of a redis transport are lists: what has a limit there is kept to it by who publishes, and
dead letters are what our own code puts there.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from amqp.exceptions import NotFound, PreconditionFailed
from kombu import Connection, Exchange, Queue, binding

from shared.errors import Unavailable

EVENTS = "audit"
STORE = "audit.store"
NOTICES = "audit.notices"
STREAM = "audit.stream"
DEAD = "audit.dead"
DEAD_EXCHANGE = "audit.dlx"
UNROUTED = "audit.unrouted"
TASK = "audit.record"
"""The name of the Celery task that a message of the bus calls, for consumers that have one."""

NOTICES_BYTES = 16 * 1024 * 1024  # beyond, the oldest go: nothing may push back on the ledger
NOTICES_LENGTH = 10_000  # messages; the same for a list, of which the bytes are not known

MANY = 2**31 - 1  # times that a dead letter may be looked at: RabbitMQ 4 forgets it after 20
DELIVERY_LIMIT = 20  # times that RabbitMQ hands out a message before it counts as poison
STREAM_AGE = "7D"
CONNECT_WITHIN = 3.0  # seconds
ANSWER_WITHIN = 10.0  # seconds that a broker may keep silent on a question


class NotDeclared(Unavailable):
    """Queues of ours are not there: what is published now would be lost for who takes from them."""

    code = "bus_not_declared"

    def __init__(self, queues: Iterable[str]) -> None:
        names = ", ".join(sorted(queues))
        super().__init__(f"There is no queue {names}; `countersign bus declare` makes it.")


class DeclaredOtherwise(Unavailable):
    """Something of that name is there, and is not what it should be."""

    code = "bus_declared_otherwise"


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


def notices_queue(url: str, types: Iterable[str] = (), *, made: bool = True) -> Queue:
    """Return the queue of what people are to be told of by mail: events of `types`, to be bound."""
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_EXCHANGE,  # at most once: RabbitMQ has no more for drop-head
        "x-max-length-bytes": NOTICES_BYTES,
        "x-overflow": "drop-head",
    }
    return _queue(url, NOTICES, events_exchange(url, made=made), arguments, keys=types)


def declare(url: str, notices: Iterable[str]) -> None:
    """Make every exchange and queue of the bus; to be repeated at will.

    `notices` are the types of events that people are to be told of by mail, each exactly: what is
    in that queue and no such event is an alarm.
    """
    with connection(url) as broker:
        broker.ensure_connection(max_retries=3, interval_start=0, interval_step=1)
        channel = broker.channel()
        for queue in every_queue(url, notices):
            try:
                queue(channel).declare()
            except PreconditionFailed as error:
                raise DeclaredOtherwise(
                    f"{queue.name} cannot be made: {reply_of(error)}. Delete what is there when it "
                    "is empty, and declare anew."
                ) from None


def reply_of(error: Exception) -> str:
    """Return what RabbitMQ has said, without its own name for it."""
    return str(getattr(error, "reply_text", error)).partition(" - ")[2].rstrip(".") or str(error)


def require_queues(url: str, channel: Any) -> None:
    """Raise NotDeclared unless the queues are there that get copies of what is published.

    An exchange does not mind who is not there yet, and confirms what it has handed to nobody or to
    some. To ask takes no permission on RabbitMQ, but spoils `channel` if it raises.
    """
    if speaks_amqp(url):
        for queue in (STORE, NOTICES, STREAM):
            try:
                channel.queue_declare(queue, passive=True)
            except NotFound:
                raise NotDeclared([queue]) from None
    elif missing := {STORE, NOTICES} - {queue for _, _, queue in channel.get_table(EVENTS)}:
        raise NotDeclared(missing)


def every_queue(url: str, notices: Iterable[str]) -> list[Queue]:
    """Return all queues, each with its exchange, in an order in which they can be made."""
    dead = Exchange(DEAD_EXCHANGE, "topic", durable=True)
    kept = {"x-queue-type": "quorum", "x-delivery-limit": MANY}
    queues = [
        _queue(url, DEAD, dead, kept),
        store_queue(url, made=False),
        notices_queue(url, notices, made=False),
    ]
    if speaks_amqp(url):
        unrouted = Exchange(UNROUTED, "fanout", durable=True)
        stream = {"x-queue-type": "stream", "x-max-age": STREAM_AGE}
        queues.insert(0, _queue(url, UNROUTED, unrouted, kept))
        queues.append(_queue(url, STREAM, events_exchange(url, made=False), stream))
    return queues


def _queue(
    url: str,
    name: str,
    exchange: Exchange,
    arguments: Mapping[str, object],
    *,
    keys: Iterable[str] = ("#",),
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
