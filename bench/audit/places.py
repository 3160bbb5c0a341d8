"""The two places where the trail runs: a broker and a database each, of the measurement's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from shared.intake.writing import GATHER
from shared.migrations import migrate
from shared.outbox import LONGEST_PAUSE
from tests import trail
from tests.chaos.servers import PostgreSQL, RabbitMQ
from tests.trail.valkey import Valkey

MIGRATIONS = {
    "outbox": "tests.trail.migrations",
    "totp": "services.totp.migrations",
    "ledger": "services.audit.migrations",
}
T = TypeVar("T")

PLAIN = "plain"
"""A database without tables of ours."""


@dataclass(frozen=True)
class Place:
    """A broker and databases: an outbox, a factor's, a ledger, and a plain one.

    `servers` are the processes of each server; `interval` is for how many seconds the trail may
    hold an event by design.
    """

    name: str
    broker_url: str
    databases: dict[str, str]
    servers: dict[str, list[psutil.Process]]
    interval: float


@contextmanager
def embedded(folder: Path) -> Iterator[Place]:
    """Valkey and SQLite, as `countersign up` has them."""
    folder.mkdir()
    valkey, processes = _with_processes(lambda: Valkey(folder))
    try:
        databases = {name: f"sqlite:///{folder / name}.db" for name in (*MIGRATIONS, PLAIN)}
        # Nothing tells the relay of a commit: it looks, and after a pause again.
        interval = GATHER + LONGEST_PAUSE
        yield _ready(Place("embedded", valkey.url, databases, {"Valkey": processes}, interval))
    finally:
        valkey.kill()


@contextmanager
def production(folder: Path) -> Iterator[Place]:
    """RabbitMQ and PostgreSQL, each one node."""
    folder.mkdir()
    rabbitmq, broker = _with_processes(lambda: RabbitMQ(folder))
    try:
        postgresql, database = _with_processes(PostgreSQL)
        try:
            names = (*MIGRATIONS, PLAIN)
            databases = {name: postgresql.url(postgresql.create(name)) for name in names}
            servers = {"RabbitMQ": broker, "PostgreSQL": database}
            yield _ready(Place("production", rabbitmq.url, databases, servers, GATHER))
        finally:
            postgresql.remove()
    finally:
        rabbitmq.kill()


PLACES = (production, embedded)


def _ready(place: Place) -> Place:
    """Make tables, exchanges and queues."""
    trail.declare(place.broker_url)
    for name, migrations in MIGRATIONS.items():
        migrate(place.databases[name], migrations)
    return place


def _with_processes(start: Callable[[], T]) -> tuple[T, list[psutil.Process]]:
    """Return a server and the processes that it consists of."""
    own = psutil.Process()
    before = set(own.children(recursive=True))
    server = start()
    return server, [child for child in own.children(recursive=True) if child not in before]
