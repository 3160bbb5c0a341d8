"""The servers that tests use where they answer, each test in a corner of its own; and a browser.

Where they are is said by `TEST_POSTGRESQL_URL`, `TEST_RABBITMQ_URL` (with `TEST_RABBITMQCTL`, the
command that administers it), `TEST_REDIS_URL` and `TEST_CHROMIUM`. A test whose server does not
answer, or whose program is not installed, is skipped; with `REQUIRE_SERVERS=1` it fails.
"""

import asyncio
import fcntl
import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from shutil import which
from tempfile import gettempdir
from typing import IO, NoReturn
from urllib.parse import quote, urlsplit

import asyncpg  # type: ignore[import-untyped]
import psutil
import pytest
import redis

SERVERS = {
    "PostgreSQL": os.environ.get(
        "TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
    ),
    "RabbitMQ": os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    "Redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379"),
}
PROGRAMS = {"Chromium": os.environ.get("TEST_CHROMIUM", "chromium")}
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
        _give_up(f"{server} does not answer")
    return SERVERS[server]


def need_program(program: str) -> str:
    """Return the path of `program`; without it, skip the test, or fail if servers are required."""
    path = which(PROGRAMS[program])
    if path is None:
        _give_up(f"{program} is not installed")
    return path


def _give_up(why: str) -> NoReturn:
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(why)
    pytest.skip(why)


def report() -> str:
    """Say in one line which servers, and which browser, the tests ran with."""
    there = {server: answers(server) for server in SERVERS}
    there |= {program: which(command) is not None for program, command in PROGRAMS.items()}
    return ", ".join(f"{name} {'used' if there[name] else 'absent'}" for name in sorted(there))


def execute(url: str, *commands: str) -> None:
    """Run SQL on PostgreSQL, one command after the other, whether or not an event loop runs."""

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            for command in commands:
                await connection.execute(command)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()


@contextmanager
def postgresql_database() -> Iterator[str]:
    """Make a database for this process, and drop those that killed runs have left."""
    url = need("PostgreSQL")
    left_behind = (f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in _left_behind(url))
    execute(url, ONE_AT_A_TIME, *left_behind, f'CREATE DATABASE "{MINE}" TEMPLATE template0')
    try:
        yield urlsplit(url)._replace(path=f"/{MINE}").geturl()
    finally:
        execute(url, f'DROP DATABASE "{MINE}" WITH (FORCE)')


_schemas = count(1)


def postgresql_schema(database: str) -> str:
    """Return the URL of a new, empty schema in `database`; it goes with the database."""
    schema = f"t{next(_schemas)}"
    execute(database, f"CREATE SCHEMA {schema}")
    return f"{database}?search_path={schema}"


def _left_behind(url: str) -> list[str]:
    names: list[str] = []

    async def look() -> None:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            rows = await connection.fetch("SELECT datname FROM pg_database")
            names.extend(row["datname"] for row in rows)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, look()).result()
    return [name for name in names if name.startswith(PREFIX) and not _is_alive(name)]


def _is_alive(name: str) -> bool:
    """Return whether the process that `name` is called after still runs."""
    number = name.removeprefix(PREFIX).partition("_")[0]
    return number.isdigit() and psutil.pid_exists(int(number))


class VirtualHosts:
    """Virtual hosts of RabbitMQ, made by the dozen because each call of its tool takes a second."""

    DOZEN = 12

    def __init__(self) -> None:
        self._url = need("RabbitMQ")
        if which(RABBITMQCTL[0]) is None:
            _give_up(f"{RABBITMQCTL[0]}, which administers RabbitMQ, is not there")
        self._numbers = count(1)
        self._free: list[str] = []

    def next(self) -> str:
        """Return the URL of a virtual host that nobody has used."""
        if not self._free:
            self._make()
        return urlsplit(self._url)._replace(path=f"/{quote(self._free.pop(), safe='')}").geturl()

    def remove(self) -> None:
        """Remove those of this process, and those that killed ones have left."""
        names = _rabbitmqctl("list_vhosts", "name", "--quiet").split()
        ours = [name for name in names if name.startswith(PREFIX)]
        done = [name for name in ours if name.startswith(f"{MINE}_") or not _is_alive(name)]
        listed = ",".join(f'<<"{name}">>' for name in done)
        # Another process may be removing the same ones that killed processes have left.
        _rabbitmqctl("eval", f'[catch rabbit_vhost:delete(V, <<"tests">>) || V <- [{listed}]].')

    def _make(self) -> None:
        self._free = [f"{MINE}_{next(self._numbers)}" for _ in range(self.DOZEN)]
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        user = urlsplit(self._url).username
        definitions = {
            "vhosts": [{"name": name} for name in self._free],
            "permissions": [{"user": user, "vhost": name, **everything} for name in self._free],
        }
        _rabbitmqctl("import_definitions", stdin=json.dumps(definitions))


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
