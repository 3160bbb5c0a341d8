"""Workers in processes of their own, to be stopped, killed and measured."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu import Queue

from services.audit import worker as audit
from services.audit.settings import Settings
from services.session import worker as session_worker
from services.session.settings import Settings as SessionSettings
from shared import logs
from shared.auth import PrivateKey
from shared.bus import topology
from shared.bus.wire import EventSigner, EventVerifier, Received
from shared.database import Database
from shared.http.operations import Check
from shared.relay import Relay
from shared.settings import load
from shared.worker import background, create_celery, run
from tests import trail


def relay() -> int:
    """Be a worker that relays an outbox, and does nothing else."""
    app = create_celery(os.environ["BROKER_URL"], "demo")
    db = Database(os.environ["OUTBOX_URL"], source="demo")
    key = PrivateKey.parse(trail.PRIVATE_KEY_TEXT)
    work = background(app)
    work.holds(db)
    work.needs(Check("database", db.ping))
    work.forever(Relay(db, os.environ["BROKER_URL"], EventSigner(key)).run, "relay")
    return run(app, operations=_operations())


def ledger() -> int:
    """Be the worker of the ledger."""
    settings = load(Settings)
    app = create_celery(settings.broker_url.get_secret_value(), "audit")
    audit.register(app, settings)
    return run(app, operations=_operations())


def session() -> int:
    """Be the worker of session."""
    settings = load(SessionSettings)
    app = create_celery(settings.broker_url.get_secret_value(), "session")
    session_worker.register(app, settings)
    return run(app, operations=_operations())


def together() -> int:
    """Be one worker of session and of the ledger, as where the suite is embedded."""
    app = create_celery(os.environ["BROKER_URL"], "suite")
    session_worker.register(app, load(SessionSettings))
    audit.register(app, load(Settings))
    return run(app, operations=_operations())


def clumsy() -> int:
    """Be a worker of the ledger that fails on the second event, and loses the third one's text."""
    verify = EventVerifier.verify

    def failing(self: EventVerifier, message: bytes | Mapping[str, Any]) -> Received:
        event = verify(self, message)
        if event.number == 2:
            raise RuntimeError("this code is wrong")
        if event.number == 3:
            object.__setattr__(event, "text", None)
        return event

    EventVerifier.verify = failing  # type: ignore[method-assign]
    return ledger()


def recorder() -> int:
    """Be somebody else's Celery worker, with a queue and a task of its own."""
    url = os.environ["BROKER_URL"]
    app = create_celery(url, "recorder")
    dead = {"x-dead-letter-exchange": topology.DEAD_EXCHANGE} if topology.speaks_amqp(url) else None
    app.conf.task_queues = [
        Queue("recorder", topology.events_exchange(url), routing_key="#", queue_arguments=dead)
    ]

    @app.task(name=topology.TASK)
    def record(event: dict[str, object]) -> None:
        with Path(os.environ["RECORD"]).open("a") as file:
            print(json.dumps(event), file=file)

    return run(app)


def _operations() -> tuple[str, int] | None:
    port = os.environ.get("OPERATIONS_PORT")
    return ("127.0.0.1", int(port)) if port else None


@contextmanager
def running(role: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker `role` in a process of its own; it is killed at the end if it still runs."""
    process = start(role, environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def start(role: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the worker `role`."""
    return subprocess.Popen(command(role), env=settings(environment))


def command(role: str) -> list[str]:
    """Return the command that is the worker `role`."""
    return [sys.executable, "-m", "tests.trail.processes", role]


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker."""
    return {
        **os.environ,
        "EVENT_KEYS": trail.PUBLIC_KEYS_TEXT,
        "CALLER_KEYS": trail.PUBLIC_KEYS_TEXT,
        "AUDIT_SEALING_KEYS": trail.RING_TEXT,
        "AUDIT_EVENT_KEY": trail.AUDIT_KEY_TEXT,
        "AUDIT_CHECKPOINT_KEY": trail.AUDIT_KEY_TEXT,
        **environment,
    }


def stand_still(process: subprocess.Popen[bytes]) -> None:
    """Suspend a worker wherever it is, and return once it does nothing more."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


def terminate(process: subprocess.Popen[bytes], within: float = 60.0) -> int:
    """Send SIGTERM and return the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(within)


if __name__ == "__main__":
    logs.configure(sys.argv[1], "WARNING")
    roles = {
        "relay": relay,
        "ledger": ledger,
        "session": session,
        "together": together,
        "clumsy": clumsy,
        "recorder": recorder,
    }
    sys.exit(roles[sys.argv[1]]())
