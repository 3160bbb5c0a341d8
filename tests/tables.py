"""A service's tables in an empty database, without a migration for each test.

The first database of a process is migrated, as it is in production; the others are made like it. A
SQLite file is copied. On PostgreSQL the same statements are run again, which takes a tenth of a
second for a service; so schemas are used by one test after the other.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from shared.migrations import migrate
from tests import servers

T = TypeVar("T")

FEW = 4 * 1024 * 1024  # bytes in a schema beyond which it is not worth while to empty it

SHAPE = """
SELECT relname, relkind::text, relnatts FROM pg_class
WHERE relnamespace = current_schema()::regnamespace ORDER BY relname
"""
SIZE = """
SELECT sum(pg_relation_size(oid)) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace
"""
EMPTY = """
DO $$ DECLARE found record; BEGIN
    SET LOCAL session_replication_role = replica; -- whatever the order
    SET LOCAL lock_timeout = '2s';
    FOR found IN SELECT relname, relkind FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace
        AND relkind IN ('r', 'S') AND relname <> 'alembic_version'
    LOOP
        IF found.relkind = 'r' THEN EXECUTE format('DELETE FROM %I', found.relname);
        ELSE EXECUTE format('ALTER SEQUENCE %I RESTART', found.relname); END IF;
    END LOOP;
END $$
"""
"""Leaves what a migration has made, but for the rows that it has put in."""

_folder = TemporaryDirectory(prefix="countersign-tables-")  # goes with the process


@dataclass(frozen=True)
class _Sent:
    """One statement as a migration has sent it, with the values of each time it is to run."""

    text: str
    values: Sequence[Sequence[Any]]

    @property
    def is_row(self) -> bool:
        """Whether it puts in rows that belong to the tables."""
        return self.text.startswith("INSERT INTO") and "alembic_version" not in self.text


_sent: dict[str, list[_Sent]] = {}


def create_tables(url: str, location: str) -> None:
    """Bring the empty database at `url` to the newest version in the package `location`."""
    parts = make_url(url)
    if parts.drivername == "sqlite":
        Path(parts.database or "").write_bytes(_file(location))
    elif location in _sent:
        _run(_send(url, _sent[location]))
    else:
        with _overheard() as sent:
            migrate(url, location)
        _sent[location] = sent


_free: dict[tuple[str, str], list[str]] = {}
_shapes: dict[str, list[Any]] = {}


@contextmanager
def with_tables(url: str, location: str) -> Iterator[str]:
    """Yield the URL of a database like `url` that has the tables in the package `location`.

    Nothing else is in it, and nobody else uses it meanwhile. On PostgreSQL it is a schema of the
    same database, which another test has later.
    """
    if make_url(url).drivername == "sqlite":
        create_tables(url, location)
        yield url
        return
    database = url.partition("?")[0]
    free = _free.setdefault((database, location), [])
    schema = free.pop() if free else _new(database, location)
    yield schema
    if _run(_emptied(schema, _shapes[location], _sent[location])):
        free.append(schema)


def _new(database: str, location: str) -> str:
    url = servers.postgresql_schema(database)
    create_tables(url, location)
    _shapes.setdefault(location, _run(_shape(url)))
    return url


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` in a loop of its own: the caller's thread may be running one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@cache
def _file(location: str) -> bytes:
    path = Path(_folder.name, location)
    migrate(f"sqlite:///{path}", location)
    return path.read_bytes()


@contextmanager
def _overheard() -> Iterator[list[_Sent]]:
    """Yield what SQLAlchemy sends from now on, but for what it only asks."""
    sent: list[_Sent] = []

    def hear(_c: Any, _cursor: Any, text: str, values: Any, _context: Any, many: bool) -> None:
        if not text.lstrip().startswith("SELECT"):
            sent.append(_Sent(text, values if many else [values or ()]))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def _send(url: str, statements: Sequence[_Sent]) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction():
            for sent in statements:
                for values in sent.values:
                    await connection.execute(sent.text, *values)
    finally:
        await connection.close()


async def _shape(url: str) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return list(await connection.fetch(SHAPE))
    finally:
        await connection.close()


async def _emptied(url: str, shape: Sequence[Any], statements: Sequence[_Sent]) -> bool:
    """Empty a schema; return whether it is as it was at first."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        as_it_was = await connection.fetch(SHAPE) == shape
        if not as_it_was or await connection.fetchval(SIZE) > FEW:
            return False
        await connection.execute(EMPTY)
    except asyncpg.LockNotAvailableError:  # what the test has left behind still holds it
        return False
    finally:
        await connection.close()
    await _send(url, [sent for sent in statements if sent.is_row])
    return True
