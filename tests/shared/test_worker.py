"""Background work goes on through errors, and ends when it is told to."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from structlog.testing import capture_logs

from shared import worker
from shared.bus import topology
from shared.bus.publisher import Outgoing, Publisher
from shared.errors import ConfigurationError, Unavailable
from shared.inherited import PARENT_FD
from shared.migrations import migrate
from shared.worker import Background, background, create_celery
from tests import trail
from tests.trail import processes
from tests.trail.proxy import Proxy


@pytest.fixture
def work() -> Iterator[Background]:
    """A background that is stopped at the end."""
    work = Background()
    yield work
    work.stop()


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as `condition` is true."""
    deadline = time.monotonic() + trail.PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        time.sleep(0.02)


def test_a_job_that_fails_is_started_again(
    work: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    starts: list[int] = []
    third = threading.Event()

    async def job() -> None:
        starts.append(1)
        if len(starts) == 3:
            third.set()
            await asyncio.Event().wait()
        raise ValueError("no luck")

    work.forever(job, "job")
    work.start()

    assert third.wait(trail.PATIENCE)


def test_a_repeated_job_goes_on_after_an_error(work: Background) -> None:
    runs: list[int] = []
    third = threading.Event()

    async def job() -> None:
        runs.append(1)
        if len(runs) == 3:
            third.set()
        raise ValueError("no luck")

    work.every(timedelta(milliseconds=10), job, "job")
    work.start()

    assert third.wait(trail.PATIENCE)


@pytest.mark.parametrize(
    "absence",
    [Unavailable("gone"), ExceptionGroup("all", [Unavailable("gone"), Unavailable("gone")])],
    ids=["alone", "in a group"],
)
def test_what_is_away_is_told_once_and_without_a_traceback(
    work: Background, absence: Exception
) -> None:
    """An outage must not bury in the log what else happens."""
    runs: list[int] = []
    fourth = threading.Event()

    async def job() -> None:
        runs.append(1)
        if len(runs) == 4:
            fourth.set()
        raise absence

    work.every(timedelta(milliseconds=10), job, "job")
    with capture_logs() as lines:
        work.start()
        assert fourth.wait(trail.PATIENCE)
        work.stop()

    waits = [line for line in lines if line["event"] == "background_job_waits"]
    assert [line["reason"] for line in waits] == ["gone"]
    assert not any("exc_info" in line for line in lines)


def test_resources_are_open_while_jobs_run(work: Background) -> None:
    story: list[str] = []
    running = threading.Event()

    class Resource:
        async def connect(self) -> None:
            story.append("connect")

        async def close(self) -> None:
            story.append("close")

    async def job() -> None:
        story.append("job")
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            story.append("job ends")

    work.holds(Resource())
    work.forever(job, "job")
    work.start()
    assert running.wait(trail.PATIENCE)
    work.stop()

    assert story == ["connect", "job", "job ends", "close"]


def test_a_resource_that_cannot_be_opened_keeps_no_job_from_running(work: Background) -> None:
    running = threading.Event()

    async def away() -> None:
        raise OSError("away")

    async def job() -> None:
        running.set()

    work.at_start(away)
    work.forever(job, "job")
    work.start()

    assert running.wait(trail.PATIENCE)


def test_other_threads_can_have_work_done_on_the_loop(work: Background) -> None:
    async def answer() -> int:
        return 42

    work.start()

    assert work.call(answer(), timedelta(seconds=5)) == 42


def test_without_a_loop_there_is_no_work(work: Background) -> None:
    async def answer() -> int:
        return 42

    with pytest.raises(RuntimeError, match="not running"):
        work.submit(answer())


def test_an_app_has_one_background() -> None:
    app = create_celery("amqp://127.0.0.1:1//", "one")

    assert background(app) is background(app)
    assert background(app) is not background(create_celery("amqp://127.0.0.1:1//", "other"))


@pytest.fixture
def relay_environment(broker_url: str, sqlite_url: str, unused_tcp_port: int) -> dict[str, str]:
    """What a worker needs that has a relay and nothing to relay."""
    migrate(sqlite_url, "tests.trail.migrations")
    trail.declare(broker_url)
    return {
        "BROKER_URL": broker_url,
        "OUTBOX_URL": sqlite_url,
        "OPERATIONS_PORT": str(unused_tcp_port),
    }


def is_ready(environment: dict[str, str]) -> Callable[[], bool]:
    """Return a condition: the worker answers at its operations port."""

    def condition() -> bool:
        port = environment["OPERATIONS_PORT"]
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    return condition


WAKE_UPS = 60  # per second, of all threads of a worker that has nothing to do


def _wake_ups(process: psutil.Process) -> int:
    """Return how often all threads of a process have gone to sleep so far."""
    return sum(
        int(line.split()[1])
        for thread in process.threads()
        for line in Path(f"/proc/{process.pid}/task/{thread.id}/status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def test_a_worker_serves_its_health_is_light_when_idle_and_ends_cleanly(
    relay_environment: dict[str, str],
) -> None:
    """With a relay in it, it is woken now and then: what that takes is up to the machine."""
    with processes.running("relay", **relay_environment) as process:
        wait_until(is_ready(relay_environment))
        port = relay_environment["OPERATIONS_PORT"]
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=trail.PATIENCE).text
        assert "countersign_background_failures_total" in metrics

        time.sleep(1)  # what starting up has left to do is not what is measured
        usage = psutil.Process(process.pid)
        before, started = _wake_ups(usage), time.monotonic()
        time.sleep(4)
        woken = (_wake_ups(usage) - before) / (time.monotonic() - started)
        assert woken <= WAKE_UPS

        assert processes.terminate(process) == 0


@pytest.mark.parametrize(
    ("broker_url", "signum"),
    [("valkey", signal.SIGINT), ("rabbitmq", signal.SIGTERM)],
    indirect=["broker_url"],
)
def test_a_worker_ends_cleanly_without_its_broker(
    relay_environment: dict[str, str], signum: signal.Signals
) -> None:
    cable = Proxy(relay_environment["BROKER_URL"])
    relay_environment["BROKER_URL"] = cable.url
    with processes.running("relay", **relay_environment) as process:
        wait_until(is_ready(relay_environment))
        cable.cut()
        process.send_signal(signum)
        assert process.wait(60) == 0


def test_a_worker_that_never_saw_its_broker_ends_cleanly(
    sqlite_url: str, unused_tcp_port_factory: Callable[[], int]
) -> None:
    migrate(sqlite_url, "tests.trail.migrations")
    environment = {
        "BROKER_URL": f"amqp://127.0.0.1:{unused_tcp_port_factory()}//",
        "OUTBOX_URL": sqlite_url,
        "OPERATIONS_PORT": str(unused_tcp_port_factory()),
    }
    with processes.running("relay", **environment) as process:
        wait_until(is_ready(environment))
        assert processes.terminate(process) == 0


@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
def test_a_worker_does_not_outlive_its_parent(relay_environment: dict[str, str]) -> None:
    child, parent = os.pipe()
    process = subprocess.Popen(
        processes.command("relay"),
        env=processes.settings({**relay_environment, PARENT_FD: str(child)}),
        pass_fds=[child],
    )
    try:
        os.close(child)
        wait_until(is_ready(relay_environment))
        os.close(parent)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_a_celery_task_gets_the_event_as_its_argument(broker_url: str, tmp_path: Path) -> None:
    """And what it cannot decode is refused, not acknowledged."""
    trail.declare(broker_url)
    record = tmp_path / "record"
    with processes.running("recorder", BROKER_URL=broker_url, RECORD=str(record)) as process:

        def recorded() -> bool:
            with Publisher(broker_url) as publisher:
                publisher.publish([Outgoing("event-1", "mfa.demo.happened", trail.signed())])
            time.sleep(0.2)
            return record.exists()

        wait_until(recorded)
        with topology.connection(broker_url) as connection:
            connection.Producer().publish(
                b"not JSON",
                exchange="",
                routing_key="recorder",
                content_type="application/cloudevents+json",
                content_encoding="utf-8",
                headers={"task": topology.TASK, "id": "broken"},
            )
        if topology.speaks_amqp(broker_url):
            wait_until(lambda: trail.take(broker_url, topology.DEAD))
        assert processes.terminate(process) == 0

    event = json.loads(record.read_text().splitlines()[0])
    assert event == json.loads(trail.signed())


def test_a_worker_says_where_it_cannot_listen() -> None:
    """Or it would be started again for ever, each time with a traceback."""
    app = create_celery("redis://127.0.0.1:1", "demo")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = taken.getsockname()
        with pytest.raises(ConfigurationError, match="address already in use"):
            worker.run(app, operations=place)
