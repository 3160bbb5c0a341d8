"""The package of events stands alone, and reads what the relays send."""

import ast
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from kombu import Consumer, Queue
from kombu.exceptions import DecodeError
from kombu.serialization import dumps, loads

from countersign_events import (
    CONTENT_TYPE,
    EventVerifier,
    Flaw,
    Refused,
    register_serializer,
)
from countersign_events.types import DATA, TYPES
from services.catalogue import catalogue
from shared.bus import topology
from shared.bus.publisher import Outgoing, Publisher
from tests import trail

PACKAGE = Path(__file__).parents[2] / "packages" / "countersign-events"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
VERIFIER = EventVerifier(trail.PUBLIC_KEYS)


def test_it_depends_on_kombu_and_cryptography_only() -> None:
    imported = {
        name.split(".")[0]
        for path in (PACKAGE / "countersign_events").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    needed = {name.split(">")[0] for name in PROJECT["dependencies"]}

    assert needed == {"kombu", "cryptography"}
    assert imported - sys.stdlib_module_names - {"countersign_events"} == needed


def test_its_version_is_the_one_that_the_suite_asks_for() -> None:
    suite = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]

    assert f"countersign-events=={PROJECT['version']}" in suite["dependencies"]


def test_its_types_are_those_of_the_catalogue() -> None:
    assert {entry.type for entry in catalogue()} == TYPES
    for entry in catalogue():
        members = DATA[entry.type].__annotations__.keys()
        assert members == {member.name for member in entry.members} | {"context"}
        required = {member.name for member in entry.members if member.required}
        assert DATA[entry.type].__required_keys__ == required


def test_a_celery_task_has_the_event_as_its_argument() -> None:
    register_serializer()
    content_type, encoding, text = dumps(trail.event(3), serializer="cloudevents")

    (event,), named, links = loads(text, content_type, encoding, accept=[CONTENT_TYPE])

    assert (event, named, links) == (trail.event(3), {}, {})
    assert content_type == "application/cloudevents+json"


def test_what_is_no_object_is_no_argument() -> None:
    register_serializer()

    with pytest.raises(DecodeError):
        loads(b"[1]", "application/cloudevents+json", "utf-8", accept=[CONTENT_TYPE])


def test_an_event_is_checked_as_a_body_or_as_what_was_read_from_it() -> None:
    body = trail.signed(3)

    received = VERIFIER.verify(json.loads(body))

    assert received == VERIFIER.verify(body)
    assert received.data["number"] == 3
    assert received.event["dataschema"] == "urn:countersign:events:1:mfa.demo.happened"


@pytest.mark.parametrize("changes", [{"subject": "eve"}, {"data": {"number": 1.5}}, {"keyid": "x"}])
def test_what_was_altered_is_refused_when_it_has_been_read(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        VERIFIER.verify(json.loads(trail.signed()) | changes)

    assert refusal.value.flaw in (Flaw.ALTERED, Flaw.UNKNOWN_KEY)


def test_a_newcomer_reads_what_was_before_it_from_the_stream(rabbitmq_url: str) -> None:
    """Which keeps everything for a week, whoever has read it."""
    trail.declare(rabbitmq_url)
    with Publisher(rabbitmq_url) as publisher:
        publisher.publish(
            [Outgoing(f"event-{n}", "mfa.demo.happened", trail.signed(n)) for n in range(1, 6)]
        )
    assert len(trail.take(rabbitmq_url, topology.STORE)) == 5
    read: list[int] = []

    def take(message: Any) -> None:
        body = message.body
        read.append(VERIFIER.verify(body.encode() if isinstance(body, str) else bytes(body)).number)
        message.ack()

    for _ in range(2):  # two newcomers, of whom neither takes anything from the other
        with topology.connection(rabbitmq_url) as connection:
            stream = Queue(
                topology.STREAM, no_declare=True, consumer_arguments={"x-stream-offset": "first"}
            )
            channel = connection.channel()
            with Consumer(channel, [stream], on_message=take, prefetch_count=10):
                before = len(read)
                while len(read) < before + 5:
                    connection.drain_events(timeout=60)
    assert read == [1, 2, 3, 4, 5] * 2
