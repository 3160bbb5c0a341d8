"""The servers that tests use where they answer, each test in a corner of its own; and a browser.

Where they are is said by `TEST_POSTGRESQL_URL`, `TEST_RABBITMQ_URL` (with `TEST_RABBITMQCTL`, the
command that administers it), `TEST_REDIS_URL`, `TEST_CHROMIUM`, `TEST_NODE` and `TEST_NPM`. A test
whose server does not answer, or whose program is not installed, is skipped; with
`REQUIRE_SERVERS=1` it fails.
"""

import asyncio
import fcntl
import json
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from shutil import which
from tempfile import gettempdir
from typing import IO, Any, NoReturn, TypeVar
from urllib.parse import quote, unquote, urlsplit

import asyncpg  # type: ignore[import-untyped]
import psutil
import pytest
import redis

T = TypeVar("T")

SERVERS = {
    "PostgreSQL": os.environ.get(
        "TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
    ),
    "RabbitMQ": os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    "Redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379"),
}
PROGRAMS = {
    "Chromium": os.environ.get("TEST_CHROMIUM", "chromium"),
    "Node.js": os.environ.get("TEST_NODE", "node"),
    "npm": os.environ.get("TEST_NPM", "npm"),
}
RABBITMQCTL = shlex.split(os.environ.get("TEST_RABBITMQCTL", "rabbitmqctl"))

PREFIX = "countersign_test_"
ONE_AT_A_TIME = "SELECT pg_advisory_lock(hashtextextended('countersign tests', 0))"
MINE = f"{PREFIX}{os.getpid()}"  # each xdist worker is a process


@cache
def answers(server: str) -> bool:
    """Return whether `server` accepts connections."""
    where = urlsplit(SERVERS[server])
    try:
        socket.create_connection((where.hostname or "127.0.0.1", where.port or 0), 1).close()
    except OSError:
        return False
    return True


def need(server: str) -> str:
    """Return the URL of `server`; without it, skip the test, or fail if servers are required."""
    if not answers(server):
        give_up(f"{server} does not answer")
    return SERVERS[server]


def need_program(program: str) -> str:
    """Return the path of `program`; without it, skip the test, or fail if servers are required."""
    path = which(PROGRAMS[program])
    if path is None:
        give_up(f"{program} is not installed")
    return path


def give_up(why: str) -> NoReturn:
    """Skip the test for want of something, or fail if everything is required."""
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(why)
    pytest.skip(why)


def report() -> str:
    """Say in one line which servers, and which browser, the tests ran with."""
    there = {server: answers(server) for server in SERVERS}
    there |= {program: which(command) is not None for program, command in PROGRAMS.items()}
    return ", ".join(f"{name} {'used' if there[name] else 'absent'}" for name in sorted(there))


class Steward:
    """Looks after databases of PostgreSQL, whether or not the caller's thread runs an event loop.

    It keeps a connection to each: to open one takes longer than most of what is done with it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()
        self._connections: dict[str, Any] = {}

    def run(self, url: str, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Return what `work` returns, which is given a connection to the database, or schema."""
        return self._thread.submit(self._runner.run, self._run(url, work)).result()

    def leave(self, database: str) -> None:
        """Close the connection to a database, if there is one."""
        if connection := self._connections.pop(database, None):
            self._thread.submit(self._runner.run, connection.close()).result()

    async def _run(self, url: str, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        database, _, schema = url.partition("?search_path=")
        enter = f"SET search_path TO {schema or 'DEFAULT'}"
        try:
            connection = self._connections[database]
            await connection.execute(enter)
        except (KeyError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
            connection = self._connections[database] = await asyncpg.connect(database, timeout=60)
            await connection.execute(enter)
        return await work(connection)


STEWARD = Steward()


def execute(url: str, *commands: str) -> None:
    """Run SQL on PostgreSQL, one command after the other."""

    async def run(connection: Any) -> None:
        for command in commands:
            await connection.execute(command)

    STEWARD.run(url, run)


@contextmanager
def postgresql_database() -> Iterator[str]:
    """Make a database for this process, and drop those that killed runs have left."""
    url = need("PostgreSQL")
    left_behind = (f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in _left_behind(url))
    execute(url, ONE_AT_A_TIME, *left_behind, f'CREATE DATABASE "{MINE}" TEMPLATE template0')
    # What tests write need not outlive the machine.
    execute(url, f'ALTER DATABASE "{MINE}" SET synchronous_commit = off')
    STEWARD.leave(url)  # and with it the lock
    mine = urlsplit(url)._replace(path=f"/{MINE}").geturl()
    try:
        yield mine
    finally:
        STEWARD.leave(mine)
        execute(url, f'DROP DATABASE "{MINE}" WITH (FORCE)')
        STEWARD.leave(url)


_schemas = count(1)


def postgresql_schema(database: str) -> str:
    """Return the URL of a new, empty schema in `database`; it goes with the database."""
    schema = f"t{next(_schemas)}"
    execute(database, f"CREATE SCHEMA {schema}")
    return f"{database}?search_path={schema}"


def _left_behind(url: str) -> list[str]:
    async def look(connection: Any) -> list[str]:
        rows = await connection.fetch("SELECT datname FROM pg_database")
        return [row["datname"] for row in rows]

    names = STEWARD.run(url, look)
    return [name for name in names if name.startswith(PREFIX) and not _is_alive(name)]


def _is_alive(name: str) -> bool:
    """Return whether the process that `name` is called after still runs."""
    number = name.removeprefix(PREFIX).partition("_")[0]
    return number.isdigit() and psutil.pid_exists(int(number))


class VirtualHosts:
    """Virtual hosts of RabbitMQ, made by the handful because each call of its tool takes a second.

    Each has a dozen files open, and RabbitMQ, as it is usually started, may have a thousand: with
    more it stands still. So those that are done with are removed before others are made.
    """

    HANDFUL = 8

    def __init__(self) -> None:
        self._url = need("RabbitMQ")
        if which(RABBITMQCTL[0]) is None:
            give_up(f"{RABBITMQCTL[0]}, which administers RabbitMQ, is not there")
        self._numbers = count(1)
        self._free: list[str] = []
        self._done: list[str] = []

    def next(self) -> str:
        """Return the URL of a virtual host that nobody has used."""
        if not self._free:
            self._make()
        return urlsplit(self._url)._replace(path=f"/{quote(self._free.pop(), safe='')}").geturl()

    def leave(self, url: str) -> None:
        """Have the virtual host at `url` removed before others are made."""
        self._done.append(urlsplit(url).path.removeprefix("/"))

    def add_users(self, *definitions: dict[str, Any]) -> dict[str, str]:
        """Make users of `countersign bus users`; return what each is called here.

        Other processes make such users too, so that each has names of its own.
        """
        made: dict[str, list[Any]] = {}
        for document in definitions:
            for kind, entries in document.items():
                made.setdefault(kind, []).extend(entries)
        names = {user["name"]: f"{MINE}_{user['name']}" for user in made["users"]}
        for entry in (entry for entries in made.values() for entry in entries):
            key = "name" if "name" in entry else "user"
            entry[key] = names[entry[key]]
        _rabbitmqctl("import_definitions", stdin=json.dumps(made))
        return names

    def remove(self) -> None:
        """Remove those of this process, and those that killed ones have left."""
        names = _rabbitmqctl("list_vhosts", "name", "--quiet").split()
        ours = [name for name in names if name.startswith(PREFIX)]
        # Another process may be removing the same ones that killed processes have left.
        _remove([name for name in ours if name.startswith(f"{MINE}_") or not _is_alive(name)])
        _remove_users()

    def _make(self) -> None:
        _remove(self._done)
        self._done = []
        self._free = [f"{MINE}_{next(self._numbers)}" for _ in range(self.HANDFUL)]
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        user = urlsplit(self._url).username
        definitions = {
            "vhosts": [{"name": name} for name in self._free],
            "permissions": [{"user": user, "vhost": name, **everything} for name in self._free],
        }
        _rabbitmqctl("import_definitions", stdin=json.dumps(definitions))


def as_declared(url: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return the arguments of all `queues` or `exchanges` of a virtual host, as RabbitMQ has them.

    By their names. Values are shown as text.
    """
    host = unquote(urlsplit(url).path.removeprefix("/"))
    shown = _rabbitmqctl(
        f"list_{kind}", "--vhost", host, "name", "arguments", "--formatter", "json", "--quiet"
    )
    return {
        found["name"]: {name: str(value) for name, _, value in found["arguments"]}
        for found in json.loads(shown)
    }


def _remove(hosts: Sequence[str]) -> None:
    """Remove virtual hosts, as far as they are there."""
    if hosts:
        listed = ",".join(f'<<"{name}">>' for name in hosts)
        _rabbitmqctl("eval", f'[catch rabbit_vhost:delete(V, <<"tests">>) || V <- [{listed}]].')


def _remove_users() -> None:
    """Remove the users of this process, and those that killed ones have left."""
    users = re.findall(rf"^{PREFIX}\S+", _rabbitmqctl("list_users", "--quiet"), re.MULTILINE)
    gone = [name for name in users if name.startswith(f"{MINE}_") or not _is_alive(name)]
    if gone:
        listed = ",".join(f'<<"{name}">>' for name in gone)
        delete = 'rabbit_auth_backend_internal:delete_user(U, <<"tests">>)'
        _rabbitmqctl("eval", f"[catch {delete} || U <- [{listed}]].")


def _rabbitmqctl(*arguments: str, stdin: str = "") -> str:
    return subprocess.run(
        [*RABBITMQCTL, *arguments], input=stdin, text=True, capture_output=True, check=True
    ).stdout


@contextmanager
def redis_database() -> Iterator[str]:
    """Take one of Redis's numbered databases that no other process of ours is using."""
    url = need("Redis")
    number, lock = _free_number()
    with lock:
        yield f"{url.rstrip('/')}/{number}"


def _free_number() -> tuple[int, IO[str]]:
    for number in range(1, 16):
        lock = Path(gettempdir(), f"{PREFIX}redis_{number}.lock").open("w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    pytest.fail("every database of Redis is taken")


def emptied(url: str) -> str:
    """Empty the Redis database at `url`, and return the URL."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url
