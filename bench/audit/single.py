"""The plain way: a Celery worker with one task, and one INSERT, for each event.

Told by the environment: BROKER_URL, DATABASE_URL, COUNT and BATCH. It prints how many events per
second it wrote behind the first BATCH of them, and ends. It checks no signature, chains nothing.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from celery import Celery

from countersign_events.types import CloudEvent
from shared.bus import topology
from shared.worker import create_celery, run

TABLE = (
    "CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, type TEXT, subject TEXT, event TEXT)"
)
INSERT = "INSERT INTO events VALUES ({}, {}, {}, {})"

Insert = Callable[[CloudEvent], None]


def worker(url: str, insert: Insert, count: int, first: int) -> Celery:
    """Return a worker that ends once it has written `count` events."""
    app = create_celery(url, "single")
    app.conf.task_queues = [topology.store_queue(url)]
    app.conf.worker_prefetch_multiplier = 100  # as many on their way as help
    done, started = 0, 0.0

    @app.task(name=topology.TASK)
    def record(event: CloudEvent) -> None:
        nonlocal done, started
        insert(event)
        done += 1
        if done == first:
            started = time.perf_counter()
        if done == count:
            print((count - first) / (time.perf_counter() - started), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

    return app


def on_postgresql(url: str) -> Insert:
    """Return what inserts an event there, each in a transaction of its own."""
    loop = asyncio.new_event_loop()
    connection: Any = loop.run_until_complete(asyncpg.connect(url))
    loop.run_until_complete(connection.execute(TABLE))
    statement = loop.run_until_complete(connection.prepare(INSERT.format("$1", "$2", "$3", "$4")))
    return lambda event: loop.run_until_complete(statement.fetch(*_row(event)))


def on_sqlite(path: str) -> Insert:
    """Return what inserts an event there, as safe from a crash as our own tables are."""
    connection = sqlite3.connect(path, isolation_level=None)
    for command in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", TABLE):
        connection.execute(command)
    statement = INSERT.format("?", "?", "?", "?")

    def insert(event: CloudEvent) -> None:
        connection.execute(statement, _row(event))

    return insert


def _row(event: CloudEvent) -> tuple[str, str, str | None, str]:
    return event["id"], event["type"], event.get("subject"), json.dumps(event)


if __name__ == "__main__":
    database = os.environ["DATABASE_URL"]
    insertion = (
        on_sqlite(database.removeprefix("sqlite:///"))
        if database.startswith("sqlite")
        else on_postgresql(database)
    )
    app = worker(
        os.environ["BROKER_URL"], insertion, int(os.environ["COUNT"]), int(os.environ["BATCH"])
    )
    sys.exit(run(app))
