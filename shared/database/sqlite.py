"""SQLite: one file, one writer thread that commits in groups, reads beside it.

Reads run inline, in the event loop: in WAL mode a reader neither waits for the writer nor makes it
wait, and a read by index takes less time than handing it to a thread. Writes wait for the disk,
so they have a thread of their own; all that gathered while it waited go into the next commit.
"""

import asyncio
import fcntl
import json
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.database.statement import Row, Statement, Step
from shared.errors import Conflict, Malformed, Unavailable

GROUP = 128  # writes in one commit at most
WRITER_PATIENCE = 5.0  # seconds to wait for another process that writes
READER_PATIENCE = 0.5  # seconds; the event loop stands still meanwhile
POLL = 0.1  # seconds between two looks for something new: an idle process should cost nothing

_LISTS = (list, tuple)

_UNIQUE = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
}

# OverflowError and UnicodeError: a value that SQLite cannot hold is found out before it is sent.
DRIVER_ERRORS = (sqlite3.Error, OSError, OverflowError, UnicodeError)

_making = threading.Lock()  # lest a file is closed here that another thread has opened since


class SQLite:
    """A database file, opened when a statement needs it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: tuple[sqlite3.Connection, Writer] | None = None

    async def open(self) -> None:
        """Open the file for reading and start the writer."""
        self._opened()

    def _opened(self) -> "tuple[sqlite3.Connection, Writer]":
        if self._open is None:
            with _translated():
                reader = connect(self._path, patience=READER_PATIENCE)
                reader.execute("PRAGMA query_only = ON")
            self._open = reader, Writer(self._path, asyncio.get_running_loop())
        return self._open

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._open is not None:
            reader, writer = self._open
            self._open = None
            reader.close()
            writer.hand_over()
            await asyncio.to_thread(writer.stop)

    async def first(self, statement: Statement, params: Mapping[str, object]) -> Row | None:
        """Return the first row of a read."""
        rows = await self.rows(statement, params)
        return rows[0] if rows else None

    async def rows(self, statement: Statement, params: Mapping[str, object]) -> list[Row]:
        """Return all rows of a read."""
        reader, _ = self._opened()
        try:
            with closing(reader.cursor()) as cursor:
                return execute(cursor, statement, params)
        except DRIVER_ERRORS as error:
            raise _translation(error) from error

    async def write(self, steps: tuple[Step, ...]) -> Row | None:
        """Write `steps` together. None, and nothing written, if one was refused."""
        _, writer = self._opened()
        try:
            return await writer.write(steps)
        except DRIVER_ERRORS as error:
            raise _translation(error) from error

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """Hold the lock file `name` beside the database, if nobody else does."""
        with _translated():
            file = os.open(f"{self._path}.{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(file)

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator["Watcher"]:
        """Watch the file for commits of any process; `channel` is not told apart."""
        with _translated():
            connection = connect(self._path, patience=READER_PATIENCE)
        with closing(connection):
            yield Watcher(connection)


class Watcher:
    """Wakes a sleeper when anyone has written to the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._seen = self._version()

    async def wait(self, seconds: float) -> bool:
        """Return True after a commit, even one before this call, or False after `seconds`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (version := self._version()) == self._seen:
            if loop.time() >= until:
                return False
            await asyncio.sleep(POLL)
        self._seen = version
        return True

    def _version(self) -> int:
        with _translated():
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)


@dataclass(frozen=True, slots=True)
class Job:
    """A write that waits for its commit."""

    steps: tuple[Step, ...]
    done: "asyncio.Future[Row | None]"


Outcome = tuple[Job, Row | Exception | None]


class Writer:
    """The one thread that writes, so that nobody waits for the disk but those whose commit it is.

    A future resolves only after its COMMIT has reached the disk.
    """

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._gathered: list[Job] = []
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"writer {path.name}", daemon=True)
        self._thread.start()

    async def write(self, steps: tuple[Step, ...]) -> Row | None:
        """Queue `steps` and wait for their commit.

        What is ready in this turn of the loop is handed over together at its end: it shares a
        commit, and the thread does not fight for the interpreter with those that are still at it.
        """
        job = Job(steps, self._loop.create_future())
        if not self._gathered:
            self._loop.call_soon(self.hand_over)
        self._gathered.append(job)
        return await job.done

    def hand_over(self) -> None:
        """Let the thread have what has been gathered."""
        jobs, self._gathered = self._gathered, []
        for job in jobs:
            self._queue.put(job)

    def stop(self) -> None:
        """Commit what is queued, and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while jobs := self._next():
            outcomes: list[Outcome]
            try:
                connection = connection or connect(self._path, patience=WRITER_PATIENCE)
                outcomes = commit(connection, jobs)
            except Exception as error:  # whatever it is, nobody may be left waiting
                outcomes = [(job, error) for job in jobs]
                if connection is not None:
                    connection.close()
                    connection = None
            with suppress(RuntimeError):  # the loop has gone, and with it all who waited
                self._loop.call_soon_threadsafe(_deliver, outcomes)
        if connection is not None:
            connection.close()

    def _next(self) -> list[Job]:
        """Wait for a job and take those that are there too. Empty when it is time to end."""
        jobs: list[Job] = []
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == GROUP:
                break
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
        else:
            if jobs:
                self._queue.put(None)
        return jobs


def connect(path: Path, *, patience: float) -> sqlite3.Connection:
    """Open `path`, made for its owner alone if it is new, in the mode that survives a power cut."""
    _make(path)
    connection = sqlite3.connect(
        path,
        timeout=patience,
        isolation_level=None,
        cached_statements=256,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    """Make `path`, for its owner alone, unless it is there.

    A file that is there is never opened but by SQLite: to close any descriptor of it would let go
    all locks that this process has on it (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    Then another process that closes the database would take itself for the last one and remove
    the log under us, with every commit that follows.
    """
    with _making, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def commit(connection: sqlite3.Connection, jobs: Sequence[Job]) -> "list[Outcome]":
    """Write all of `jobs` in one transaction, each in a savepoint of its own.

    After an error the connection has to be closed, which undoes what was begun.
    """
    connection.execute("BEGIN IMMEDIATE")
    outcomes = [(job, attempt(connection, job.steps)) for job in jobs]
    connection.execute("COMMIT")
    return outcomes


def attempt(connection: sqlite3.Connection, steps: Sequence[Step]) -> Row | Exception | None:
    """Take `steps`; leave nothing of them if one is refused or fails."""
    connection.execute("SAVEPOINT job")
    outcome: Row | Exception | None
    try:
        outcome = take(connection, steps)
    except Exception as error:
        if not connection.in_transaction:
            raise  # SQLite gave up the whole transaction: a full disk, an I/O error
        outcome = error
    if outcome is None or isinstance(outcome, Exception):
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return outcome


def take(connection: sqlite3.Connection, steps: Sequence[Step]) -> Row | None:
    """Take `steps` one after the other, until a required one changes nothing."""
    returned = Row()
    with closing(connection.cursor()) as cursor:
        for step in steps:
            rows = execute(cursor, step.statement, step.params)
            if not step.required:
                continue
            if not rows and cursor.rowcount < 1:
                return None
            returned = rows[0] if rows else Row()
    return returned


def execute(
    cursor: sqlite3.Cursor, statement: Statement, params: Mapping[str, object]
) -> list[Row]:
    """Run one statement to its end and return its rows."""
    sql = statement.sql("sqlite")
    values = sql.arguments(params)
    cursor.execute(sql.text, [_array(v) if isinstance(v, _LISTS) else v for v in values])
    if cursor.description is None:
        return []  # it changes rows, and returns none
    names = [field[0] for field in cursor.description]
    return [Row(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _array(values: object) -> str:
    """Return a list as SQLite takes it: as a JSON array."""
    return json.dumps(values, ensure_ascii=False)


def _deliver(outcomes: Sequence[Outcome]) -> None:
    for job, outcome in outcomes:
        if job.done.done():
            continue  # whoever waited was cancelled
        if isinstance(outcome, Exception):
            job.done.set_exception(outcome)
        else:
            job.done.set_result(outcome)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        raise _translation(error) from error


def _translation(error: Exception) -> Exception:
    """Return what `error`, raised by the driver, means to us."""
    match error:
        case sqlite3.IntegrityError(sqlite_errorcode=code) if code in _UNIQUE:
            return Conflict("there is one already", code="unique")
        case sqlite3.IntegrityError():
            return Conflict("it does not fit what is stored", code="constraint")
        case sqlite3.DataError() | OverflowError() | UnicodeError():
            return Malformed("a value cannot be stored", code="value")
    return Unavailable("the database is not available")
