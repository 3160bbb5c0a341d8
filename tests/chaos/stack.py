"""Everything between a service's database and the ledger, with each part apart to be killed."""

import asyncio
import json
import subprocess
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from services.audit.domain.checkpoint import Verifier
from services.audit.domain.signatures import Signatures
from services.audit.domain.verification import Verdict
from services.audit.flows.verifying import Verifying
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from shared.auth import PrivateKey
from shared.bus import topology
from shared.cipher import Cipher
from shared.database import Database
from shared.errors import CountersignError
from shared.migrations import migrate
from shared.outbox import Outbox
from tests import trail
from tests.suites import free_ports
from tests.trail import Happened, processes

TOTP = PrivateKey("totp-1", "totp", Ed25519PrivateKey.from_private_bytes(b"t" * 32))
"""A service of ours, which says only what the catalogue has."""
EVENT_KEYS = json.dumps(
    {
        **json.loads(trail.PUBLIC_KEYS_TEXT),
        "totp-1": {
            "issuer": "totp",
            "key": b64encode(TOTP.key.public_key().public_bytes_raw()).decode(),
        },
    }
)

VERIFIER = Verifier("countersign/audit", trail.KEY.key.public_key())
"""By whom the worker's checkpoints are believed: their key is of the same seed."""

PATIENCE = 240.0  # seconds until what was sent has to be in the ledger


class Server(Protocol):
    """A server that may be killed."""

    def start(self) -> None: ...
    def kill(self) -> None: ...


class Worker:
    """A worker of ours that may be killed, like a server."""

    def __init__(self, role: str, environment: dict[str, str]) -> None:
        self.port = free_ports()["PORT"]
        self._role, self._environment = role, {**environment, "OPERATIONS_PORT": self.port}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = processes.start(self._role, self._environment)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def measure(self, name: str) -> float:
        """Return what one of its gauges shows, 0 while it does not answer."""
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient() as http:
                text = (await http.get(f"http://127.0.0.1:{self.port}/metrics")).text
            for line in text.splitlines():
                if line.startswith(name):
                    return float(line.rpartition(" ")[2])
        return 0.0


@dataclass
class Load:
    """Writes events without a pause, and knows which of them were acknowledged."""

    db: Database
    tried: int = 0
    sure: set[int] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    _task: "asyncio.Task[None] | None" = None

    def start(self, pause: float = 0.02) -> None:
        """Begin; `pause` seconds between two writes of ten events."""
        self._task = asyncio.create_task(self._run(pause))

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def reaches(self, count: int) -> None:
        """Wait until so many events have been acknowledged."""

        async def reached() -> bool:
            return len(self.sure) >= count

        await until(reached, f"{count} events")

    def pace(self, since: int) -> float:
        """Return how long a write has taken in the middle, in seconds, from the `since`th on."""
        return median(self.seconds[since:])

    async def _run(self, pause: float) -> None:
        while True:
            numbers = range(self.tried + 1, self.tried + 11)
            self.tried += len(numbers)
            started = time.perf_counter()
            with suppress(CountersignError):
                await self.db.record(*(Happened(user_id="ada", number=n) for n in numbers))
                self.sure |= set(numbers)
                self.seconds.append(time.perf_counter() - started)
            await asyncio.sleep(pause)


@dataclass
class Stack:
    """A database with an outbox, a relay, a broker, the ledger's worker and its database."""

    broker_url: str
    outbox_url: str
    ledger_url: str
    parts: dict[str, Server]
    name: str = ""

    def __post_init__(self) -> None:
        trail.declare(self.broker_url)
        migrate(self.outbox_url, "tests.trail.migrations")
        migrate(self.ledger_url, "services.audit.migrations")
        self.relay = Worker("relay", {"BROKER_URL": self.broker_url, "OUTBOX_URL": self.outbox_url})
        told = {
            "BROKER_URL": self.broker_url,
            "AUDIT_DATABASE_URL": self.ledger_url,
            "EVENT_KEYS": EVENT_KEYS,
        }
        self.ledger = Worker("ledger", told)
        self.parts |= {"relay": self.relay, "ledger": self.ledger}
        self.outbox = Database(self.outbox_url, source="demo")
        self.audit = Database(self.ledger_url, source="audit")
        self.load = Load(self.outbox)

    async def start(self) -> None:
        """Start both workers, and wait until events flow."""
        self.relay.start()
        self.ledger.start()
        self.load.start()
        await until(self.flows, "the first event in the ledger")

    async def kill(self, *names: str, away: float = 0.0) -> None:
        """Kill parts at once, and start them anew after so many seconds."""
        for name in names:
            await asyncio.to_thread(self.parts[name].kill)
        await asyncio.sleep(away)
        for name in names:
            await asyncio.to_thread(self.parts[name].start)

    async def settle(self) -> float:
        """End the load, wait until all of it is in the ledger, and return how long that took.

        What has not come after PATIENCE is lost.
        """
        await self.load.stop()
        started = time.monotonic()
        await comes_true(self._is_through)
        return time.monotonic() - started

    async def entries(self) -> list[tuple[int, int]]:
        """Return, of each entry of the ledger, the source's number and the number that was told."""
        store = LedgerStore(self.audit)
        entries = await store.after(0, 1_000_000)
        return [
            (entry.sequence, json.loads(entry.event or "{}")["data"]["number"]) for entry in entries
        ]

    async def verdict(self) -> Verdict:
        """Return what `countersign audit verify` says, with all keys at hand."""
        people = PeopleStore(self.audit, Cipher(trail.RING, PURPOSE))
        verifying = Verifying(LedgerStore(self.audit), CheckpointStore(self.audit), people)
        return await verifying.verify([VERIFIER], (), Signatures(trail.PUBLIC_KEYS))

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for something."""
        await until(condition, what)

    async def close(self) -> None:
        """End everything that is ours."""
        await self.load.stop()
        await self.outbox.close()
        await self.audit.close()
        for worker in (self.relay, self.ledger):
            await asyncio.to_thread(worker.kill)

    async def flows(self) -> bool:
        """Tell whether anything has come to the ledger."""
        with suppress(CountersignError):
            return await LedgerStore(self.audit).head() > 0
        return False

    async def _is_through(self) -> bool:
        with suppress(CountersignError):
            if (await Outbox(self.outbox).backlog()).count:
                return False
            return await self._is_taken() and self.load.sure <= {
                number for _, number in await self.entries()
            }
        return False

    async def _is_taken(self) -> bool:
        """Tell whether the ledger's queue has nothing, waiting or handed out and not acknowledged.

        RabbitMQ counts only what waits, so what the ledger holds is looked at over a while; on a
        busy machine that may be too short, but for what is known to have to come.
        """
        for _ in range(3):
            try:
                if await asyncio.to_thread(trail.waiting, self.broker_url, topology.STORE):
                    return False
            except (OSError, OperationalError, RedisError):
                return False
            before = await LedgerStore(self.audit).head()
            await asyncio.sleep(0.5)
            if await LedgerStore(self.audit).head() != before:
                return False
        return True


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return as soon as a condition comes true; fail if it does not."""
    assert await comes_true(condition), f"{what} did not come in time"


async def comes_true(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Return as soon as a condition comes true; False if it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
