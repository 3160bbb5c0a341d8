"""Each service's tables, brought up to date by alembic; one migrator at a time.

A service's `migrations` package holds nothing but `versions/*.py`.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.database import sqlite
from shared.errors import Unavailable

PATIENCE = 60  # seconds to wait for another migrator

# Taken first in the transaction, let go by its end.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/migrations', 0))"

# They are made and dropped as time goes by, and are no tables of their own.
PARTITIONS = """
SELECT relname FROM pg_class
WHERE relispartition AND relnamespace = current_schema()::regnamespace
"""

_alembic = threading.Lock()  # its `op` is one for the whole process


def migrate(url: str, location: str) -> None:
    """Bring the database up to the newest version in the package `location`.

    All in one transaction. Repeatable, and safe to call from several processes at once. It blocks,
    and works with or without a running event loop. Raises Unavailable if the database is away.
    """
    _within(url, lambda connection: _upgrade(connection, location))


def newest(location: str) -> str | None:
    """Return the newest revision in the package `location`."""
    return _scripts(location)[1].get_current_head()


def differences(url: str, metadata: sa.MetaData) -> list[Any]:
    """Return what the database at `url` lacks to be as `metadata` says: alembic's diffs."""
    found: list[Any] = []
    _within(url, lambda connection: found.extend(_compare(connection, metadata)))
    return found


def create_outbox(op: Any) -> None:
    """Create the tables of shared.outbox in a migration."""
    op.create_table(
        "outbox",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
        ),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger),
    )
    numbered = sa.text("number IS NOT NULL")
    op.create_index(
        "outbox_number",
        "outbox",
        ["number"],
        unique=True,
        postgresql_where=numbered,
        sqlite_where=numbered,
    )
    source = op.create_table(
        "outbox_source",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(source, [{"id": 1, "last_number": 0}])


def _within(url: str, work: Callable[[Connection], None]) -> None:
    """Do `work` in one transaction that excludes every other migrator."""
    run = _on_postgresql if make_url(url).drivername == "postgresql" else _on_sqlite
    # A thread of its own: the caller's may be running an event loop.
    with ThreadPoolExecutor(1) as thread, _alembic:
        try:
            thread.submit(run, url, work).result()
        except (OSError, asyncpg.PostgresError, sqlite3.Error, sa.exc.OperationalError) as error:
            raise Unavailable(f"the database cannot be migrated: {error}") from error


def _on_sqlite(url: str, work: Callable[[Connection], None]) -> None:
    path = Path(make_url(url).database or "")

    def opened() -> sqlite3.Connection:
        connection = sqlite.connect(path, patience=PATIENCE)
        # A table that is rebuilt is dropped on the way, and must not take others with it.
        connection.execute("PRAGMA foreign_keys = OFF")
        return connection

    engine = sa.create_engine("sqlite://", creator=opened, poolclass=NullPool)
    event.listen(engine, "begin", _begin_immediate)
    with engine.begin() as connection:
        work(connection)


def _on_postgresql(url: str, work: Callable[[Connection], None]) -> None:
    asyncio.run(_on_postgresql_async(url, work))


async def _on_postgresql_async(url: str, work: Callable[[Connection], None]) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, timeout=PATIENCE),
        poolclass=NullPool,
    )
    async with engine.begin() as connection:
        await connection.exec_driver_sql(LOCK)
        await connection.run_sync(work)


def _upgrade(connection: Connection, location: str) -> None:
    config, script = _scripts(location)

    def newer(revision: Any, _: MigrationContext) -> Any:
        # What alembic's own command does; a public way would need an env.py per service.
        return script._upgrade_revs("head", revision)  # noqa: SLF001

    with EnvironmentContext(config, script, fn=newer) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _scripts(location: str) -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(files(location)))
    config.set_main_option("path_separator", "os")
    return config, ScriptDirectory.from_config(config)


def _compare(connection: Connection, metadata: sa.MetaData) -> Any:
    on_postgresql = connection.dialect.name == "postgresql"
    partitions = set(connection.scalars(sa.text(PARTITIONS))) if on_postgresql else set()
    options = {
        "compare_server_default": True,
        "include_name": lambda name, kind, _: kind != "table" or name not in partitions,
    }
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
