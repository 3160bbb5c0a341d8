"""A PostgreSQL cluster of its own for each side: so all that it does is that side's doing."""

import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from bench.ports import free_port

OPTIONS = {
    "fsync": "on",  # what is measured is what would be run
    "listen_addresses": "127.0.0.1",
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "512MB",
    # A checkpoint in one round and none in the next would say nothing about either side.
    "checkpoint_timeout": "1h",
    "max_wal_size": "8GB",
    "max_connections": "200",
}
HARNESS = "bench"
"""What the harness calls itself, so that its own statements do not count."""

STATEMENTS = """
    SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
    WHERE toplevel AND query !~* '^(begin|commit|rollback|set|show|savepoint|release|deallocate)'
"""
COMMITS = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE query ~* '^commit'"
WRITERS = "SELECT coalesce(sum(wal_records), 0)::bigint FROM pg_stat_statements"


@dataclass(frozen=True)
class Cluster:
    """A running cluster. `postmaster` is the id of the process that all others descend from."""

    port: int
    postmaster: int
    connection: Any

    def url(self, database: str) -> str:
        """Return where `database` is, for Countersign."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def create(self, databases: Sequence[str]) -> None:
        """Make empty databases."""
        for database in databases:
            await self.connection.execute(f'CREATE DATABASE "{database}"')

    async def execute(self, database: str, *commands: str) -> None:
        """Run SQL in one of the databases."""
        connection = await asyncpg.connect(self.url(database), timeout=10, command_timeout=600)
        try:
            for command in commands:
                await connection.execute(command)
        finally:
            await connection.close()

    async def forget_statements(self) -> None:
        """Begin to count statements anew."""
        await self.connection.execute("SELECT pg_stat_statements_reset()")

    async def statements(self) -> int:
        """Return how many statements there were since, less those that only frame others."""
        return int(await self.connection.fetchval(STATEMENTS)) - 1  # the reset itself

    async def backends(self) -> dict[int, int]:
        """Return the processes that serve clients, and the port that each one's client has."""
        rows = await self.connection.fetch(
            "SELECT pid, client_port FROM pg_stat_activity "
            "WHERE client_port IS NOT NULL AND application_name <> $1",
            HARNESS,
        )
        return {row["pid"]: row["client_port"] for row in rows}


@contextmanager
def running(folder: Path) -> Iterator[tuple[int, int]]:
    """Make a cluster in `folder` and run it; yield its port and its postmaster's process id."""
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to be run by root
    folder.mkdir(parents=True)
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data, port = folder / "db", free_port()
    initdb = (program("initdb"), "--auth=trust", "--username=postgres", f"--pgdata={data}")
    subprocess.run(initdb, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    options = {**OPTIONS, "port": str(port), "unix_socket_directories": str(folder)}
    told = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [program("postgres"), "-D", str(data), *told],
            user=user,
            cwd=folder,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        yield port, server.pid
    finally:
        server.send_signal(subprocess.signal.SIGINT)  # type: ignore[attr-defined]
        server.wait(30)


def program(name: str) -> str:
    """Return the path of a program of PostgreSQL: Debian keeps them out of the PATH."""
    found = which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    if found is None:
        raise FileNotFoundError(f"{name}, of PostgreSQL, is not installed")
    return found
