"""What tests of the audit trail have in common: a source of events, its keys, and processes."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kombu.exceptions import OperationalError

from shared.auth import PrivateKey, PublicKey, PublicKeys
from shared.bus import topology
from shared.bus.wire import EventSigner, to_cloudevent
from shared.cipher import KEY_BYTES, KeyRing
from shared.database import Database
from shared.event import Event

SEED = bytes(range(32))
KEY = PrivateKey("demo-1", "demo", Ed25519PrivateKey.from_private_bytes(SEED))
PRIVATE_KEY_TEXT = json.dumps({"kid": "demo-1", "issuer": "demo", "key": b64encode(SEED).decode()})
PUBLIC_KEYS_TEXT = json.dumps(
    {
        "demo-1": {
            "issuer": "demo",
            "key": b64encode(KEY.key.public_key().public_bytes_raw()).decode(),
        }
    }
)
AUDIT_KEY_TEXT = json.dumps({"kid": "audit-1", "issuer": "audit", "key": b64encode(SEED).decode()})
RING = KeyRing("audit-1", {"audit-1": b"r" * KEY_BYTES})
RING_TEXT = json.dumps(
    {"primary": "audit-1", "keys": {"audit-1": b64encode(b"r" * KEY_BYTES).decode()}}
)
PUBLIC_KEYS = PublicKeys({"demo-1": PublicKey("demo", KEY.key.public_key())})
REPORT = "mfa.demo.reported"
NOON = datetime(2026, 7, 1, 12, 0, 0, 250000, tzinfo=UTC)
NO_TIME = timedelta(0)
PATIENCE = 120.0  # seconds after which a condition that is awaited counts as never to come true


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    """Something happened, for the `number`th time."""

    type = "mfa.demo.happened"

    number: int
    extra: object = None


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return an event of the source `demo`, not yet signed."""
    facts: dict[str, Any] = {
        "id": f"event-{number}",
        "type": "mfa.demo.happened",
        "source": "demo",
        "number": number,
        "occurred_at": NOON,
        "subject": "ada",
        "data": {"number": number},
        "context": {"request_id": "0af7651916cd43dd8448eb211c80319c", "address": "192.0.2.1"},
    }
    return to_cloudevent(**{**facts, **changes})


def signed(number: int = 1, **changes: Any) -> bytes:
    """Return an event as its source sends it."""
    return EventSigner(KEY).sign(event(number, **changes))


def signed_together(count: int, first: int = 1, **changes: Any) -> list[bytes]:
    """Return events as their source sends them when it has several."""
    signer = EventSigner(KEY)
    return signer.sign_all([signer.form(event(n, **changes)) for n in range(first, first + count)])


async def happen(db: Database, count: int, first: int = 1) -> None:
    """Record `count` events, a few with each write."""
    numbers = range(first, first + count)
    for start in range(0, count, 10):
        chunk = numbers[start : start + 10]
        await db.record(*(Happened(user_id="ada", number=number) for number in chunk))


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """Return as soon as `condition` comes true; fail if it does not."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        await asyncio.sleep(0.02)


def declare(url: str, *notices: str) -> None:
    """Make the exchange and queues; people are told of events of the types `notices`, or REPORT.

    A broker that is busy with other tests may take longer than an operator would wait.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return topology.declare(url, notices or (REPORT,))
        except OperationalError:
            if time.monotonic() > deadline:
                raise


def undeclare(url: str, queue: str) -> None:
    """Let one queue be as if it had never been made: after an update, or on a broker made anew."""
    with topology.connection(url) as connection:
        channel: Any = connection.channel()
        if topology.speaks_amqp(url):
            channel.queue_delete(queue=queue)
            return
        for binding in channel.get_table(topology.EVENTS):
            if binding[2] == queue:
                key = channel.keyprefix_queue % topology.EVENTS
                channel.client.srem(key, channel.sep.join(binding))


def waiting(url: str, queue: str) -> int:
    """Return how many messages `queue` has, but for those that are handed out."""
    with topology.connection(url) as connection:
        channel: Any = connection.channel()
        if not topology.speaks_amqp(url):
            return int(channel.client.llen(queue))
        return int(channel.queue_declare(queue, passive=True).message_count)


@contextmanager
def bound_queue(url: str, name: str) -> Iterator[Callable[[], list[Any]]]:
    """Bind a queue of one's own to all events; yields a function that takes what has come."""
    with topology.connection(url) as connection:
        channel: Any = connection.channel()
        topology.events_exchange(url)(channel).declare()
        channel.queue_declare(queue=name, durable=False, auto_delete=False)
        channel.queue_bind(queue=name, exchange=topology.EVENTS, routing_key="#")
        yield lambda: take(url, name)


def take(url: str, queue: str) -> list[Any]:
    """Take every message that `queue` has now."""
    messages: list[Any] = []
    with topology.connection(url) as connection:
        channel: Any = connection.channel()
        while (message := channel.basic_get(queue=queue, no_ack=True)) is not None:
            messages.append(channel.message_to_python(message))
    return messages


def put(
    url: str,
    body: bytes,
    content_type: str = "application/cloudevents+json",
    queue: str = topology.STORE,
) -> None:
    """Send anything at all to a queue; the ledger's if none is named."""
    with topology.connection(url) as connection:
        connection.Producer().publish(
            body,
            exchange="",
            routing_key=queue,
            headers={"task": topology.TASK, "id": "put", "lang": "py"},
            content_type=content_type,
            content_encoding="utf-8",
        )
