"""A Celery worker that is told of what happens: `python celery_task.py`.

Told by the environment: BROKER_URL, EVENT_KEYS_FILE, QUEUE and TYPES (see the README).
"""

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.worker.consumer import Consumer
from kombu import Exchange, Queue, binding
from kombu.message import Message

from countersign_events import EventVerifier, PublicKeys, Refused, register_serializer
from countersign_events.types import CloudEvent

URL = os.environ["BROKER_URL"]
NAME = os.environ.get("QUEUE", "siem")
TYPES = os.environ.get("TYPES", "#").split(",")
IS_RABBITMQ = URL.startswith(("amqp", "pyamqp"))

verifier = EventVerifier(PublicKeys.parse(Path(os.environ["EVENT_KEYS_FILE"]).read_text()))
seen: set[str] = set()  # in earnest: a unique column of the table that events go into


class Refusing(Consumer):
    """Celery's consumer, which by itself forgets what it cannot decode: it is refused instead."""

    connection_errors: tuple[type[Exception], ...]

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Send it to the dead letters."""
        message.reject_log_error(None, self.connection_errors)


# What is declared already on RabbitMQ is Countersign's; a redis transport has to be told its type.
events = Exchange("audit", "topic", durable=True, no_declare=IS_RABBITMQ)
limits = {"x-queue-type": "quorum", "x-max-length-bytes": 64 * 1024**2, "x-overflow": "drop-head"}
dead = Queue(f"{NAME}.dead", Exchange(f"{NAME}.dlx", "fanout"), queue_arguments=limits)
queue = Queue(
    NAME,
    routing_key=TYPES[0],  # or Celery would bind it to an exchange of its own
    bindings=[binding(events, routing_key=kind) for kind in TYPES],
    queue_arguments={**limits, "x-dead-letter-exchange": f"{NAME}.dlx"} if IS_RABBITMQ else None,
)

register_serializer()
app = Celery("siem", broker=URL)
app.conf.update(
    accept_content=["cloudevents"],
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_acks_on_failure=False,
    task_acks_on_timeout=False,
    task_ignore_result=True,
    task_queues=[queue],
    task_reject_on_worker_lost=True,
    worker_consumer=Refusing,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
)


@app.task(name="audit.record")
def record(event: CloudEvent) -> None:
    """Take one event. What raises is refused, and ends among the dead letters of the queue."""
    try:
        fact = verifier.verify(event)
    except Refused as refused:
        raise ValueError(f"not believed: {refused.flaw}") from None
    if fact.id not in seen:
        seen.add(fact.id)
        print(f"{fact.occurred_at:%H:%M:%S} {fact.type} {fact.subject or '-'}", flush=True)


if __name__ == "__main__":
    if IS_RABBITMQ:
        with app.connection_for_write() as connection:
            dead(connection.default_channel).declare()
    quiet: Any = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    sys.exit(app.worker_main(["worker", "--pool=solo", "--loglevel=WARNING", *quiet]))
