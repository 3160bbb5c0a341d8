"""The two sides: how each is started, what it consists of, and what it has used."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psutil

from bench import cluster, processes
from bench.client import Client, Wires
from bench.cluster import HARNESS, Cluster
from bench.people import Person
from bench.ports import free_port
from services.cli.environment import DEFAULTS
from services.suite import SERVICES
from tests.webauthn.authenticator import Device

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0  # seconds to wait for a side to start
READY = re.compile(r"ready in ([0-9.]+) s")

ANSWERING = "answering"
"""What answers requests, and PostgreSQL as far as it works for that."""
AFTERWARDS = "afterwards"
"""What carries events to the ledger and keeps them there, and what cleans up."""

RATES = {
    "login": "1000000/m/ip",
    "login_failed": "1000000/m/ip",
    "signup": "1000000/m/ip",
    "reauthenticate": "1000000/m/user",
}
"""Rates are counted, as they are in earnest, but high enough to be in nobody's way."""


class Side(ABC):
    """One of the two, running. `port` is where it answers."""

    name: str

    def __init__(self, database: Cluster | None, port: int, process: int) -> None:
        self.database = database
        self.port = port
        self._wires = Wires(port)
        self.process = process

    def person(self, name: str) -> Person:
        """Return somebody who has no account yet."""
        device = Device(origin=f"http://localhost:{self.port}")
        return Person(email=f"{name}@example.org", client=Client(self._wires), device=device)

    async def used(self) -> dict[str, float]:
        """Return the seconds of CPU that have been used so far, by the parts of this side."""
        found = processes.descend(self.process)
        spent: dict[str, float] = defaultdict(float)
        for process in found:
            spent[self.part(process)] += processes.cpu(process)
        if self.database is not None:
            for part, seconds in (await self._used_by_database(found)).items():
                spent[part] += seconds
        return dict(spent)

    async def _used_by_database(self, found: Sequence[psutil.Process]) -> dict[str, float]:
        database = self.database
        assert database is not None
        clients = {port: process for process in found for port in processes.ports_of(process)}
        backends = await database.backends()
        spent: dict[str, float] = defaultdict(float)
        for process in processes.descend(database.postmaster):
            if process.pid == database.connection.get_server_pid():
                continue  # our own
            client = clients.get(backends.get(process.pid, 0))
            part = self.part(client) if client else ANSWERING
            spent[f"postgresql for {part}" if client else "postgresql itself"] += processes.cpu(
                process
            )
        return dict(spent)

    def memory(self) -> dict[str, float]:
        """Return the MiB of each process, without PostgreSQL's, by what it does."""
        found: dict[str, float] = defaultdict(float)
        for process in processes.descend(self.process):
            found[self.label(process)] += processes.memory(process)
        return dict(found)

    @abstractmethod
    def label(self, process: psutil.Process) -> str:
        """Return what a process of this side does."""

    @abstractmethod
    def part(self, process: psutil.Process) -> str:
        """Return `ANSWERING` or `AFTERWARDS`."""

    @abstractmethod
    async def verify_addresses(self) -> None:
        """Have every address count as verified: mail is not what is measured."""


class Countersign(Side):
    """The suite, split into a process for each service and each worker, or embedded."""

    name = "countersign"

    def label(self, process: psutil.Process) -> str:
        words = _command(process)
        if "services.cli" in words:
            return " ".join(words[words.index("services.cli") + 1 :][:2])
        return Path(words[0]).name if words else "gone"

    def part(self, process: psutil.Process) -> str:
        label = self.label(process)
        return ANSWERING if label.startswith("serve") and "audit" not in label else AFTERWARDS

    async def verify_addresses(self) -> None:
        """Mark them in session's database."""
        assert self.database is not None
        await self.database.execute(
            "session", "UPDATE emails SET verified_at = 1 WHERE verified_at IS NULL"
        )


class Peer(Side):
    """django-allauth behind gunicorn."""

    name = "allauth"

    def label(self, process: psutil.Process) -> str:
        return "gunicorn"

    def part(self, process: psutil.Process) -> str:
        return ANSWERING

    async def verify_addresses(self) -> None:
        """Mark them in its database."""
        assert self.database is not None
        await self.database.execute("peer", "UPDATE account_emailaddress SET verified = true")


@asynccontextmanager
async def postgresql(folder: Path) -> AsyncIterator[Cluster]:
    """Run a cluster, and yield it with a connection to ask it questions by."""
    with cluster.running(folder) as (port, postmaster):
        connection = await _connected(port)
        try:
            await connection.execute("CREATE EXTENSION pg_stat_statements")
            yield Cluster(port, postmaster, connection)
        finally:
            await connection.close()


async def _connected(port: int) -> Any:
    late = time.monotonic() + PATIENCE
    while True:
        try:
            return await asyncpg.connect(
                f"postgresql://postgres@127.0.0.1:{port}/postgres",
                server_settings={"application_name": HARNESS},
            )
        except (OSError, asyncpg.CannotConnectNowError):
            if time.monotonic() > late:
                raise
            await asyncio.sleep(0.05)


def countersign_settings(folder: Path, hashing: str) -> dict[str, str]:
    """Return the environment of a suite on this machine, on ports of its own."""
    ports = {name: str(free_port()) for name in DEFAULTS if name.endswith("PORT")}
    cheap = {"PASSWORD_HASH_MEMORY": "8", "PASSWORD_HASH_PASSES": "1"}
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        **ports,
        "VAR_DIR": str(folder / "var"),
        "COUNTERSIGN_DEVELOPMENT": "true",
        "LOG_LEVEL": "WARNING",
        "HEADLESS_ONLY": "true",
        "ACCOUNT_LOGIN_METHODS": "email",
        "ACCOUNT_SIGNUP_FIELDS": "email*,password1*",
        "ACCOUNT_EMAIL_VERIFICATION": "mandatory",
        "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED": "true",
        "ACCOUNT_EMAIL_NOTIFICATIONS": "false",  # as at the peer
        "ACCOUNT_RATE_LIMITS": json.dumps(RATES),
        "MFA_RATE_LIMITS": '{"webauthn_login": "1000000/m/ip", "webauthn_options": "1000000/m/ip"}',
        "MFA_SUPPORTED_TYPES": "recovery_codes,totp,webauthn",
        "MFA_PASSKEY_LOGIN_ENABLED": "true",
        "MFA_TOTP_PERIOD": "5s",
        "MFA_TOTP_TOLERANCE": "1",
        **(cheap if hashing == "cheap" else {}),
    }


@asynccontextmanager
async def countersign(
    folder: Path, *, hashing: str = "cheap", split: bool = True
) -> AsyncIterator[tuple[Countersign, float]]:
    """Run the suite; yield it, and the seconds until it was ready.

    Split, it is on PostgreSQL; embedded, on SQLite, as `make run` has it.
    """
    settings = countersign_settings(folder, hashing)
    if not split:
        async with _suite(folder, settings, None, "up") as started:
            yield started
        return
    async with postgresql(folder / "postgresql") as database:
        await database.create(SERVICES)
        urls = {f"{name.upper()}_DATABASE_URL": database.url(name) for name in SERVICES}
        async with _suite(folder, settings | urls, database, "up", "--split") as started:
            yield started


@asynccontextmanager
async def _suite(
    folder: Path, settings: Mapping[str, str], database: Cluster | None, *command: str
) -> AsyncIterator[tuple[Countersign, float]]:
    words = (sys.executable, "-m", "services.cli", *command)
    async with started(words, settings, folder / "countersign.log") as (process, log):
        seconds = await _until_ready(process, log)
        yield Countersign(database, int(settings["PORT"]), process.pid), seconds


async def _until_ready(process: subprocess.Popen[bytes], log: Path) -> float:
    late = time.monotonic() + PATIENCE
    while not (found := READY.search(log.read_text())):
        if process.poll() is not None or time.monotonic() > late:
            raise RuntimeError(f"the suite did not start: {log.read_text()}")
        await asyncio.sleep(0.1)
    return float(found[1])


@asynccontextmanager
async def peer(folder: Path, *, hashing: str = "cheap") -> AsyncIterator[tuple[Peer, float]]:
    """Run the peer; yield it, and the seconds until it answered."""
    async with postgresql(folder / "postgresql") as database:
        await database.create(["peer"])
        where = {"NAME": "peer", "USER": "postgres", "HOST": "127.0.0.1", "PORT": database.port}
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "BENCH_DATABASE": json.dumps(where),
            "BENCH_HASH": hashing,
            "DJANGO_SETTINGS_MODULE": "bench.peer.settings",
        }
        migrate = (sys.executable, "-m", "django", "migrate", "--verbosity=0")
        await asyncio.to_thread(subprocess.run, migrate, env=settings, cwd=ROOT, check=True)
        port = free_port()
        words = gunicorn(sys.executable, "bench.peer.wsgi", port)
        began = time.monotonic()
        async with started(words, settings, folder / "peer.log") as (process, log):
            wires = Wires(port)
            await until_answered(Client(wires), "config", process, log)
            wires.close()
            yield Peer(database, port, process.pid), time.monotonic() - began


def gunicorn(python: str, application: str, port: int) -> tuple[str, ...]:
    """Return the command that serves a peer: what takes the least CPU for a request.

    That is one process and thread, with connections that are kept.
    """
    return (
        *(python, "-m", "gunicorn", application, f"--bind=127.0.0.1:{port}"),
        *("--workers=1", "--worker-class=gthread", "--threads=1", "--keep-alive=75"),
        *("--log-level=warning", "--no-control-socket"),
    )


async def until_answered(
    client: Client, path: str, process: subprocess.Popen[bytes], log: Path
) -> None:
    """Return when a peer answers. Raises RuntimeError with its `log` if it does not."""
    late = time.monotonic() + PATIENCE
    while True:
        try:
            await client.expect(200, "GET", path)
        except OSError:
            if process.poll() is not None or time.monotonic() > late:
                raise RuntimeError(f"the peer did not start: {log.read_text()}") from None
            await asyncio.sleep(0.05)
        else:
            return


@asynccontextmanager
async def started(
    words: Sequence[str], settings: Mapping[str, str], path: Path
) -> AsyncIterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a program; yield it, and the file at `path` that has what it says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as log:
        process = subprocess.Popen(words, env=settings, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process, path
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)


def _command(process: psutil.Process) -> list[str]:
    try:
        words: list[str] = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
    return words
