"""Dead letters: messages that nobody could take, looked at and handed in again.

To look at one takes nothing away. To hand one in again puts it where it was, and only then removes
it: a crash in between leaves two, which the ledger knows for one.
"""

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.bus import lists, topology
from shared.errors import Unavailable

QUEUES = (topology.DEAD, topology.UNROUTED)
ID_DIGITS = 12
NO_ROUTE = "unrouted"
MARKS = {"x-death", "x-delivery-count", "x-acquired-count"}

# The letter is removed only if it is still there, and in the same step.
HAND_IN = """
if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
"""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One dead letter. `origin` is the queue that it was in, None if none wanted it."""

    body: bytes
    reason: str
    origin: str | None
    headers: Mapping[str, object]
    type: str | None
    handle: Any = field(repr=False)  # what the transport knows it by

    @property
    def id(self) -> str:
        """What it is called here: it follows from the body, so that copies are called the same."""
        return hashlib.sha256(self.body).hexdigest()[:ID_DIGITS]


class Letters(Protocol):
    """The dead letters of one broker."""

    def all(self) -> Iterator[Letter]:
        """Yield each, the oldest first, and leave it where it is."""

    def hand_in(self, letter: Letter) -> None:
        """Put one back where it was, for whoever takes from there, and remove it here."""


@contextmanager
def letters(url: str) -> Iterator[Letters]:
    """Open the dead letters of the broker at `url`."""
    with topology.connection(url) as broker:
        if topology.speaks_amqp(url):
            broker.transport_options = {"confirm_publish": True, **topology.transport_options(url)}
        channel: Any = broker.channel()
        yield _Queues(channel) if topology.speaks_amqp(url) else _Lists(channel.client)


class _Queues:
    """RabbitMQ's: what was looked at goes back when the channel closes."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def all(self) -> Iterator[Letter]:
        for queue in QUEUES:
            # No more than there are now: what is handed in may come back meanwhile.
            for _ in range(self._count(queue)):
                message = self._channel.basic_get(queue=queue)
                if message is None:
                    break
                yield _from_queue(queue, self._channel.message_to_python(message))

    def hand_in(self, letter: Letter) -> None:
        message = letter.handle
        if letter.origin is not None:
            self._count(letter.origin)  # or it would be confirmed, and gone
        properties = message.properties
        kept = {name: value for name, value in letter.headers.items() if not _is_mark(name)}
        made = self._channel.prepare_message(
            message.body,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            headers=kept,
            properties={
                name: properties[name]
                for name in ("message_id", "correlation_id", "delivery_mode")
                if name in properties
            },
        )
        exchange, key = ("", letter.origin) if letter.origin else (topology.EVENTS, letter.type)
        self._channel.basic_publish_confirm(made, exchange=exchange, routing_key=key)
        message.ack()

    def _count(self, queue: str) -> int:
        return int(self._channel.queue_declare(queue, passive=True).message_count)


class _Lists:
    """A redis transport's."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def all(self) -> Iterator[Letter]:
        for message in reversed(self._client.lrange(topology.DEAD, 0, -1)):
            yield _from_list(message)

    def hand_in(self, letter: Letter) -> None:
        origin = letter.origin or topology.STORE
        again = lists.living(letter.handle)
        if not self._client.eval(HAND_IN, 2, topology.DEAD, origin, letter.handle, again):
            raise Unavailable(f"Somebody else has taken {letter.id} away.")


def _from_queue(queue: str, message: Any) -> Letter:
    headers = dict(message.headers or {})
    deaths = headers.get("x-death") or [{}]
    body = message.body
    key = message.delivery_info.get("routing_key")
    is_dead = queue == topology.DEAD
    return Letter(
        body=body.encode() if isinstance(body, str) else bytes(body),
        reason=str(deaths[0].get("reason", "unknown")) if is_dead else NO_ROUTE,
        origin=str(deaths[0].get("queue", topology.STORE)) if is_dead else None,
        headers=headers,
        type=key if isinstance(key, str) else None,
        handle=message,
    )


def _from_list(message: bytes) -> Letter:
    envelope = json.loads(message)
    headers, body = envelope["headers"], envelope["body"]
    is_base64 = envelope["properties"]["body_encoding"] == "base64"
    return Letter(
        body=b64decode(body) if is_base64 else str(body).encode(),
        reason=str(headers.get(lists.REASON, "unknown")),
        origin=str(headers.get(lists.ORIGIN, topology.STORE)),
        headers=headers,
        type=envelope["properties"]["delivery_info"].get("routing_key"),
        handle=message,
    )


def _is_mark(header: str) -> bool:
    """Tell whether RabbitMQ wrote a header, when the message died or was looked at."""
    return header in MARKS or header.startswith(("x-first-death-", "x-last-death-"))
