"""A service's tables in an empty database, without a migration for each test.

The first database of a process is migrated, as it is in production; the others are made like it. A
SQLite file is copied. On PostgreSQL the same statements are run again, which takes a tenth of a
second for a service; so schemas are used by one test after the other.
"""

import atexit
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url

from shared import migrations
from shared.migrations import migrate
from tests import servers

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
    FOR found IN SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace
        AND relkind = 'r' AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
    LOOP
        EXECUTE format('DELETE FROM %I', found.relname);
    END LOOP;
    PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence JOIN pg_class ON oid = seqrelid
        WHERE relnamespace = current_schema()::regnamespace;
END $$
"""
"""Leaves what a migration has made, but for the rows that it has put in."""

_folder = TemporaryDirectory(prefix="countersign-tables-")
atexit.register(_folder.cleanup)  # which would go by itself, but not without a warning


@dataclass(frozen=True)
class _Sent:
    """One statement as a migration has sent it, with the values of each time it is to run."""

    text: str
    values: Sequence[Sequence[Any]]

    def is_row(self, tables: Collection[str]) -> bool:
        """Whether it puts in rows that belong to one of `tables`, and no others' rows."""
        first = self.text.split(maxsplit=3)[:3]
        return (
            first[:2] == ["INSERT", "INTO"]
            and first[2] in tables
            and first[2] != "alembic_version"
            and " VALUES " in self.text
        )


_sent: dict[str, list[_Sent]] = {}


def create_tables(url: str, location: str) -> None:
    """Bring the empty database at `url` to the newest version in the package `location`."""
    parts = make_url(url)
    if parts.drivername == "sqlite":
        Path(parts.database or "").write_bytes(_file(location))
    elif location in _sent:
        servers.STEWARD.run(url, lambda connection: _send(connection, _sent[location]))
    else:
        with _overheard() as sent:
            migrate(url, location)
        _sent[location] = sent


def migrated_to(url: str, location: str, revision: str) -> None:
    """Bring the empty database at `url` to an older version, as it was then."""

    def upgrade(connection: Connection) -> None:
        config, script = migrations._scripts(location)
        with EnvironmentContext(
            config, script, fn=lambda before, _: script._upgrade_revs(revision, before)
        ) as environment:
            environment.configure(connection=connection)
            environment.run_migrations()

    migrations._within(url, upgrade)


def everything_in(url: str) -> str:
    """Return all that the tables of a database hold, as text: for what must not be there."""
    if make_url(url).drivername == "sqlite":
        with closing(sqlite3.connect(make_url(url).database or "")) as connection:
            return "\n".join(connection.iterdump())
    return servers.STEWARD.run(url, _dumped)


async def _dumped(connection: Any) -> str:
    names = [row["relname"] for row in await connection.fetch(SHAPE) if row[1] == "r"]
    rows = [await connection.fetch(f'TABLE "{name}"') for name in names]
    return "\n".join(str(value) for found in rows for row in found for value in row.values())


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
    if servers.STEWARD.run(schema, lambda connection: _emptied(connection, location)):
        free.append(schema)


def _new(database: str, location: str) -> str:
    url = servers.postgresql_schema(database)
    create_tables(url, location)
    _shapes.setdefault(location, servers.STEWARD.run(url, _shape))
    return url


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


async def _send(connection: Any, statements: Sequence[_Sent]) -> None:
    async with connection.transaction():
        for sent in statements:
            for values in sent.values:
                await connection.execute(sent.text, *values)


async def _shape(connection: Any) -> list[Any]:
    return list(await connection.fetch(SHAPE))


async def _emptied(connection: Any, location: str) -> bool:
    """Empty a schema; return whether it is as it was at first."""
    as_it_was = await _shape(connection) == _shapes[location]
    if not as_it_was or await connection.fetchval(SIZE) > FEW:
        return False
    try:
        await connection.execute(EMPTY)
    except asyncpg.LockNotAvailableError:  # what the test has left behind still holds it
        return False
    tables = {row["relname"] for row in _shapes[location]}
    await _send(connection, [sent for sent in _sent[location] if sent.is_row(tables)])
    return True
