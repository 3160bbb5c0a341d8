"""PostgreSQL by asyncpg: every call is one prepared statement in autocommit."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from shared.database.chain import HIT, REFUSED, compose
from shared.database.pool import Pool, say_goodbye
from shared.database.statement import Row, Statement, Step
from shared.errors import Conflict, Malformed, Unavailable

STATEMENT_TIMEOUT = 5.0  # seconds; kept by the server, so that nothing is written after it
COMMAND_TIMEOUT = STATEMENT_TIMEOUT + 1  # seconds; for a server that does not answer at all
CONNECT_TIMEOUT = 5.0  # seconds

# The schema is part of the key: services may share a database and differ by schema.
LOCK = "SELECT pg_try_advisory_lock(hashtextextended(current_schema() || '/' || $1, 0))"

# ValueError: a value that does not fit its column is found out before it is sent.
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
)


class PostgreSQL:
    """One database, or a schema in it. It is connected to when a statement needs it."""

    def __init__(self, url: str, *, source: str, connections: int) -> None:
        self._url = url
        self._connections = connections
        self._settings = {
            "application_name": f"countersign {source}",
            "statement_timeout": f"{STATEMENT_TIMEOUT * 1000:.0f}ms",
            # Each text is for keys that have indexes: planning it anew for its values takes longer
            # than running it, and leads to the same plan.
            "plan_cache_mode": "force_generic_plan",
        }
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Make a first connection."""
        await self._fetch("SELECT 1", [])

    async def close(self) -> None:
        """Close every connection; those in use are waited for, but not for long."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close(COMMAND_TIMEOUT)

    async def first(self, statement: Statement, params: Mapping[str, object]) -> Row | None:
        """Return the first row of a read."""
        rows = await self.rows(statement, params)
        return rows[0] if rows else None

    async def rows(self, statement: Statement, params: Mapping[str, object]) -> list[Row]:
        """Return all rows of a read."""
        sql = statement.sql("postgresql")
        return await self._fetch(sql.text, sql.arguments(params))

    async def write(self, steps: tuple[Step, ...]) -> Row | None:
        """Write `steps` as one statement. None, and nothing written, if one was refused."""
        chain = compose(tuple((step.statement, step.required) for step in steps))
        try:
            rows = await self._fetch(chain.text, chain.arguments(steps))
        except _Refused:
            return None
        if not rows:
            return None
        del rows[0][HIT]
        return rows[0]

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """Hold the advisory lock `name` on a connection of its own, if nobody else does."""
        async with self._own_connection() as connection:
            with _translated():
                held = await connection.fetchval(LOCK, name)
            async with broken_off_with(connection):
                yield held

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator["Listener"]:
        """Listen on `channel`, on a connection of its own."""
        async with self._own_connection() as connection:
            with _translated():
                listener = Listener(await connection.fetchval("SELECT current_schema()"))
                connection.add_termination_listener(listener.lose)
                await connection.add_listener(channel, listener.ring)
            yield listener

    async def _fetch(self, text: str, arguments: list[object]) -> list[Row]:
        if self._pool is None:
            self._pool = Pool(self._connect, self._connections)
        try:
            return [Row(record) for record in await self._pool.fetch(text, arguments)]
        except DRIVER_ERRORS as error:
            raise _translation(error) from error

    async def _connect(self) -> Any:
        return await asyncpg.connect(
            self._url,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=self._settings,
        )

    @asynccontextmanager
    async def _own_connection(self) -> AsyncIterator[Any]:
        with _translated():
            connection = await self._connect()
        try:
            yield connection
        finally:
            await say_goodbye(connection)  # its lock is free after that


class Listener:
    """Wakes a sleeper when the database says that something was written in `schema`."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._rung = asyncio.Event()
        self._lost = False

    def ring(self, connection: object, process: int, channel: str, schema: object) -> None:
        """Wake the sleeper: asyncpg calls this for every notice on the channel."""
        if schema == self._schema:
            self._rung.set()

    def lose(self, connection: object) -> None:
        """Wake the sleeper: asyncpg calls this when the connection is gone."""
        self._lost = True
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Return True at a notice, even one given before this call, or False after `seconds`.

        Raises Unavailable once the connection is gone.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        if self._lost:
            raise Unavailable("the connection to the database was lost")
        self._rung.clear()
        return True


@asynccontextmanager
async def broken_off_with(connection: Any) -> AsyncIterator[None]:
    """Break off what runs inside, with Unavailable, when `connection` is lost."""
    task = asyncio.current_task()
    lost = asyncio.Event()

    def break_off(_: object) -> None:
        lost.set()
        if task is not None:
            task.cancel()

    connection.add_termination_listener(break_off)
    try:
        yield
    except asyncio.CancelledError:
        if not lost.is_set() or task is None or task.uncancel() > 0:
            raise
        raise Unavailable("the connection to the database was lost") from None
    finally:
        connection.remove_termination_listener(break_off)


class _Refused(Exception):
    """A later step of a chain was refused after an earlier one had written."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        raise _translation(error) from error


def _translation(error: Exception) -> Exception:
    """Return what `error`, raised by the driver, means to us."""
    match error:
        case asyncpg.InvalidTextRepresentationError() if REFUSED in str(error):
            return _Refused()
        case asyncpg.UniqueViolationError():
            return Conflict("there is one already", code="unique")
        case asyncpg.IntegrityConstraintViolationError():
            return Conflict("it does not fit what is stored", code="constraint")
        case asyncpg.ClientConfigurationError():
            pass  # a ValueError too
        case asyncpg.DataError() | asyncpg.CharacterNotInRepertoireError() | ValueError():
            return Malformed("a value cannot be stored", code="value")
    return Unavailable("the database is not available")
