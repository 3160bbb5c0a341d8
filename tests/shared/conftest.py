"""A database with the sample's tables, on SQLite and on PostgreSQL."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from subprocess import PIPE, Popen

import pytest

from shared.database import Database
from tests.shared.proxy import Proxy
from tests.shared.sample import LOCATION
from tests.tables import create_tables, with_tables

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)

Start = Callable[[str, str], Popen[str]]
"""Starts a process of the sample, given a database URL and its task."""


@pytest.fixture
def migrated_url(database_url: str) -> Iterator[str]:
    """A database with the sample's tables."""
    with with_tables(database_url, LOCATION) as url:
        yield url


@pytest.fixture
async def db(migrated_url: str) -> AsyncIterator[Database]:
    """The sample's database."""
    db = Database(migrated_url, source="sample", clock=lambda: NOW)
    await db.connect()
    yield db
    await db.close()


@pytest.fixture
async def proxy(postgresql_url: str) -> AsyncIterator[Proxy]:
    """A way to PostgreSQL that can be cut."""
    create_tables(postgresql_url, LOCATION)
    proxy = Proxy(postgresql_url)
    await proxy.open()
    yield proxy
    await proxy.cut()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes of the sample; they are killed in the end."""
    processes: list[Popen[str]] = []

    def started(url: str, task: str) -> Popen[str]:
        command = [sys.executable, "-m", "tests.shared.sample.process", url, task]
        processes.append(Popen(command, stdout=PIPE, text=True))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
