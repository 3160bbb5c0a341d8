"""A plain kombu consumer that is told of what happens: `python kombu_consumer.py`.

Told by the environment: BROKER_URL, EVENT_KEYS_FILE, QUEUE and TYPES (see the README).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kombu import Connection, Exchange, Queue, binding
from kombu.message import Message
from kombu.mixins import ConsumerMixin

from countersign_events import EventVerifier, PublicKeys, Refused

URL = os.environ["BROKER_URL"]
NAME = os.environ.get("QUEUE", "siem")
TYPES = os.environ.get("TYPES", "#").split(",")
IS_RABBITMQ = URL.startswith(("amqp", "pyamqp"))

# What is declared already on RabbitMQ is Countersign's; a redis transport has to be told its type.
events = Exchange("audit", "topic", durable=True, no_declare=IS_RABBITMQ)
limits = {"x-queue-type": "quorum", "x-max-length-bytes": 64 * 1024**2, "x-overflow": "drop-head"}
dead = Queue(f"{NAME}.dead", Exchange(f"{NAME}.dlx", "fanout"), queue_arguments=limits)
queue = Queue(
    NAME,
    bindings=[binding(events, routing_key=kind) for kind in TYPES],
    queue_arguments={**limits, "x-dead-letter-exchange": f"{NAME}.dlx"} if IS_RABBITMQ else None,
)


class Recorder(ConsumerMixin):
    """Prints each event once, and refuses what is none."""

    def __init__(self, connection: Connection, verifier: EventVerifier) -> None:
        self.connection = connection
        self._verifier = verifier
        self._seen: set[str] = set()  # in earnest: a unique column of the table they go into

    def get_consumers(self, Consumer: Any, channel: Any) -> Sequence[Any]:  # noqa: N803
        """Take messages as they are: a signature is over the bytes, whatever they are called."""
        return [Consumer([queue], on_message=self.take, prefetch_count=100)]

    def take(self, message: Message) -> None:
        """Take one message, and acknowledge it when it has been dealt with."""
        body: Any = message.body
        try:
            fact = self._verifier.verify(body.encode() if isinstance(body, str) else bytes(body))
        except Refused:
            message.reject()
            return
        if fact.id not in self._seen:
            self._seen.add(fact.id)
            print(f"{fact.occurred_at:%H:%M:%S} {fact.type} {fact.subject or '-'}", flush=True)
        message.ack()


if __name__ == "__main__":
    keys = PublicKeys.parse(Path(os.environ["EVENT_KEYS_FILE"]).read_text())
    with Connection(URL, heartbeat=0) as opened:
        if IS_RABBITMQ:
            dead(opened.default_channel).declare()
        Recorder(opened, EventVerifier(keys)).run()
