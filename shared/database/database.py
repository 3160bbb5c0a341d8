"""A service's own database: reads, and changes written together with the events they tell of."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from prometheus_client import Counter, Histogram
from sqlalchemy import column, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shared.clock import Clock, utc_now
from shared.database.events import recording
from shared.database.postgresql import PostgreSQL
from shared.database.sqlite import SQLite
from shared.database.statement import Change, DialectName, Row, Statement, Step
from shared.errors import ConfigurationError, Unavailable
from shared.event import Event

STATEMENTS = Counter(
    "countersign_database_statements", "Statements sent to the database.", ["source", "kind"]
)
COMMITS = Counter(
    "countersign_database_commits",
    "Changes that were written. On SQLite several may share a transaction.",
    ["source"],
)
SECONDS = Histogram(
    "countersign_database_seconds",
    "Time until the database answered.",
    ["source", "kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5),
)

CONNECTIONS = 8

PING = Statement(select(column("version_num")).select_from(table("alembic_version")))

log = logging.getLogger(__name__)


class Bell(Protocol):
    """Wakes whoever waits for something to be written."""

    async def wait(self, seconds: float) -> bool:
        """Return True when it has rung since the last call, False after `seconds`."""


class Backend(Protocol):
    """What PostgreSQL and SQLite have in common."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def first(self, statement: Statement, params: Mapping[str, object]) -> Row | None: ...
    async def rows(self, statement: Statement, params: Mapping[str, object]) -> list[Row]: ...
    async def write(self, steps: tuple[Step, ...]) -> Row | None: ...
    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]: ...
    def listen(self, channel: str) -> AbstractAsyncContextManager[Bell]: ...


class Database:
    """The database of one service, `source`.

    Every method raises Unavailable if the database is away, slow, full or locked; Conflict if a
    unique key (code "unique") or another constraint is violated; Malformed for a value that the
    database cannot hold. A Database belongs to one event loop. On PostgreSQL it has at most
    `connections` for statements, and one more for each lock held and each bell listened to.
    """

    def __init__(
        self,
        url: str,
        *,
        source: str,
        clock: Clock = utc_now,
        connections: int = CONNECTIONS,
    ) -> None:
        self.source = source
        self.dialect, self._backend = _backend(url, source, connections)
        self._clock = clock
        self._reads = _Meter(source, "read")
        self._writes = _Meter(source, "write")
        self._commits = COMMITS.labels(source)
        self._away = False

    async def connect(self) -> None:
        """Get ready. A database that is away does not matter: every call tries again."""
        try:
            await self._backend.open()
        except Unavailable:
            return

    async def close(self) -> None:
        """Finish the writes that are queued and let go of every connection."""
        await self._backend.close()

    async def find(self, statement: Statement, /, **params: object) -> Row | None:
        """Return the first row, or None: one statement, without a transaction."""
        with self._watched(self._reads):
            return await self._backend.first(statement, params)

    async def all(self, statement: Statement, /, **params: object) -> list[Row]:
        """Return all rows: one statement, without a transaction."""
        with self._watched(self._reads):
            return await self._backend.rows(statement, params)

    async def apply(self, change: Change | Step, *events: Event) -> Row | None:
        """Write `change` and `events` together, or nothing at all.

        The steps form a chain. If a required step changes no row, the change is refused: nothing
        is written and None returned. Otherwise the first row that the last required step returns,
        which has no column if that step returns none.

        All steps see the database as it was before the first on PostgreSQL, as the steps before
        left it on SQLite: so no two of them may touch the same row. Put the contended condition
        first: on PostgreSQL, a refusal there costs nothing, later ones cost an error in its log.
        """
        steps = change.steps if isinstance(change, Change) else (change,)
        return await self._write(steps, events)

    async def record(self, *events: Event) -> None:
        """Write `events` alone, together."""
        await self._write((), events)

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers, and its tables have been made."""
        await self._backend.first(PING, {})

    async def revision(self) -> str | None:
        """Return the revision of the migrations that its tables are of."""
        row = await self._backend.first(PING, {})
        return None if row is None else str(row.version_num)

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Hold the lock `name` on this database: True, or False if another process has it.

        What runs under a lock that is lost, with its connection, is broken off with Unavailable,
        but perhaps not before another process has got it: doing it twice must do no harm.
        """
        return self._backend.exclusive(name)

    def listen(self, channel: str) -> AbstractAsyncContextManager[Bell]:
        """Yield a bell that rings when something was written, by any process.

        On PostgreSQL, what is written must `pg_notify(channel, schema)`, which is for tables that
        are written seldom; on SQLite, every commit rings.
        """
        return self._backend.listen(channel)

    async def _write(self, steps: tuple[Step, ...], events: tuple[Event, ...]) -> Row | None:
        if events:
            steps += (recording(events, self._clock()),)
        if not steps:
            return Row()
        with self._watched(self._writes):
            row = await self._backend.write(steps)
        if row is not None:
            self._commits.inc()
        return row

    @contextmanager
    def _watched(self, meter: "_Meter") -> Iterator[None]:
        """Count and time a statement, and log when the database goes away and comes back.

        Once each: an outage makes every request fail, and must not bury all else in the log.
        """
        started = time.perf_counter()
        try:
            yield
        except Unavailable as error:
            if not self._away:
                self._away = True
                cause = error.__cause__ or error
                log.warning("database %s away: %s: %s", self.source, type(cause).__name__, cause)
            raise
        else:
            if self._away:
                self._away = False
                log.warning("database %s back", self.source)
        finally:
            meter.add(time.perf_counter() - started)


class _Meter:
    """Counts statements of one kind, and how long they took."""

    def __init__(self, source: str, kind: str) -> None:
        self._statements = STATEMENTS.labels(source, kind)
        self._seconds = SECONDS.labels(source, kind)

    def add(self, seconds: float) -> None:
        self._statements.inc()
        self._seconds.observe(seconds)


def _backend(url: str, source: str, connections: int) -> tuple[DialectName, Backend]:
    """Return the backend for `url`. No message repeats the URL: it may carry a password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError([f"the database URL of {source} cannot be read"]) from None
    match parsed.drivername:
        case "postgresql":
            return "postgresql", PostgreSQL(url, source=source, connections=connections)
        case "sqlite" if parsed.database:
            return "sqlite", SQLite(Path(parsed.database))
    raise ConfigurationError(
        [f"the database URL of {source} must begin with postgresql:// or sqlite:///"]
    )
