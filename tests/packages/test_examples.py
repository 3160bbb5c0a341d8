"""The examples of `countersign-events` are run: consumers of three kinds, on one queue."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import gettempdir

import pytest

from shared.bus import topology
from shared.bus.publisher import Outgoing, Publisher
from shared.bus.wire import canonical
from tests import trail
from tests.servers import need_program
from tests.suites import Output, until

EXAMPLES = Path(__file__).parents[2] / "packages" / "countersign-events" / "examples"
PYTHON = ("celery_task.py", "kombu_consumer.py")
EXAMPLES_RUN = (*PYTHON, "node/consumer.mjs")
LINE, ENDED = "12:00:00 mfa.demo.happened ada", "12:00:00 mfa.demo.ended ada"
PROBE, ENDED_TYPE = "mfa.demo.probed", "mfa.demo.ended"
QUEUE = "siem"


def command_of(example: str) -> list[str]:
    """Return the command that runs an example; what it needs is asked for first."""
    if example.endswith(".py"):
        return [sys.executable, str(EXAMPLES / example)]
    path = EXAMPLES / example
    install_packages(path.parent)
    return [need_program("Node.js"), str(path)]


def install_packages(folder: Path) -> None:
    """Have npm install what `folder` needs, once: other processes run tests beside this one.

    Each installation begins by removing what is there, and notes last what it has made.
    """
    with Path(gettempdir(), "countersign_test_npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules" / ".package-lock.json").is_file():
            npm = need_program("npm")
            subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)


@contextmanager
def running(example: str, broker_url: str, keys: Path, **environment: str) -> Iterator[Output]:
    """Run an example; yields what it prints."""
    process = subprocess.Popen(
        command_of(example),
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "BROKER_URL": broker_url,
            "EVENT_KEYS_FILE": str(keys),
            "QUEUE": QUEUE,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Output(process.stdout)
    finally:
        process.kill()
        process.wait()


def send(broker_url: str, numbers: range, type: str = "mfa.demo.happened") -> None:
    """Publish events as a relay does."""
    with Publisher(broker_url) as publisher:
        bodies = trail.signed_together(len(numbers), numbers.start, type=type)
        publisher.publish(
            [Outgoing(f"event-{n}", type, body) for n, body in zip(numbers, bodies, strict=True)]
        )


def await_bound(broker_url: str, output: Output, type: str = PROBE) -> None:
    """Return when what is published comes to the consumer that prints `output`."""
    numbers = count(1000)

    def arrives() -> bool:
        send(broker_url, range(number := next(numbers), number + 1), type=type)
        return type in output.text

    until(arrives, "an event by the queue of the example")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The file of public keys."""
    path = tmp_path / "events.json"
    path.write_text(trail.PUBLIC_KEYS_TEXT)
    return path


@pytest.fixture(params=EXAMPLES_RUN)
def example(request: pytest.FixtureRequest) -> str:
    """Each of the examples."""
    name: str = request.param
    return name


def refused() -> list[bytes]:
    """Return what no source has signed, as it is."""
    one, other = trail.signed_together(2, 7, subject="eve")
    path = json.loads(one)["signaturepath"]
    return [
        b"no JSON",
        trail.signed(7).replace(b'"ada"', b'"eve"'),
        trail.signed_together(2, 7)[0].replace(b'"ada"', b'"eve"'),
        canonical({**json.loads(other), "signaturepath": path}),
        canonical({**json.loads(one), "signaturepath": path + "!"}),
        canonical({**json.loads(one), "signaturepath": [path]}),
        canonical({**json.loads(one), "signaturepath": "B" + path[1:]}),
        canonical({**json.loads(trail.signed(7, subject="eve")), "signaturepath": None}),
    ]


def take_and_refuse(example: str, broker_url: str, keys: Path) -> None:
    """Have an example print what its source has signed, once each, and refuse all else.

    On RabbitMQ, what is refused is a dead letter.
    """
    trail.declare(broker_url)
    with running(example, broker_url, keys) as output:
        await_bound(broker_url, output)
        send(broker_url, range(1, 4))
        send(broker_url, range(1, 4))
        for body in refused():
            trail.put(broker_url, body, queue=QUEUE)
        send(broker_url, range(4, 5), type=ENDED_TYPE)
        output.wait_for(ENDED)
        if topology.speaks_amqp(broker_url):  # Celery refuses after what it has begun
            dead = len(refused())
            until(lambda: trail.waiting(broker_url, f"{QUEUE}.dead") == dead, "all dead letters")

    lines = [line for line in output.text.splitlines() if LINE in line or ENDED in line]
    assert lines == [LINE] * 3 + [ENDED]
    assert "happened eve" not in output.text


def test_an_example_prints_what_is_signed_and_refuses_what_is_not(
    example: str, rabbitmq_url: str, keys: Path
) -> None:
    """Section 3, bus: altered and unreadable messages are refused, by consumers elsewhere too."""
    take_and_refuse(example, rabbitmq_url, keys)


@pytest.mark.parametrize("example", PYTHON)
def test_an_example_in_python_does_so_on_the_embedded_broker(
    example: str, valkey_url: str, keys: Path
) -> None:
    take_and_refuse(example, valkey_url, keys)


def test_the_three_share_one_queue(rabbitmq_url: str, keys: Path) -> None:
    """Each message is read by whichever takes it: the form is one for all."""
    trail.declare(rabbitmq_url)
    with (
        running(PYTHON[0], rabbitmq_url, keys) as celery,
        running(PYTHON[1], rabbitmq_url, keys) as kombu,
        running("node/consumer.mjs", rabbitmq_url, keys) as node,
    ):
        outputs = (celery, kombu, node)
        for output in outputs:
            await_bound(rabbitmq_url, output)
        send(rabbitmq_url, range(1, 301))
        until(
            lambda: sum(output.text.count(LINE) for output in outputs) == 300,
            "every event, once",
        )

    assert all(LINE in output.text for output in outputs)


def test_a_consumer_binds_to_what_it_wants(rabbitmq_url: str, keys: Path) -> None:
    trail.declare(rabbitmq_url)
    with running(PYTHON[1], rabbitmq_url, keys, TYPES="mfa.*.ended") as output:
        await_bound(rabbitmq_url, output, ENDED_TYPE)
        send(rabbitmq_url, range(1, 4))
        trail.put(rabbitmq_url, trail.signed(4, type=ENDED_TYPE), queue=QUEUE)
        until(lambda: output.text.count(ENDED) > 1, "the last one")

    assert LINE not in output.text
