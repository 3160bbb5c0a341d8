"""What is measured of one place, each in figures per second, seconds or shares."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from statistics import harmonic_mean

from bench import processes
from bench.audit import events, raw
from bench.audit.places import PLAIN, Place
from bench.results import percentile
from services.audit.store.ledger import LedgerStore
from services.totp.events import TotpAccepted
from services.totp.store import ADD, CANDIDATES, SPEND_STEP
from shared import context
from shared.bus import topology
from shared.database import Database, step
from shared.intake.writing import BATCH
from shared.outbox import Outbox
from tests import trail
from tests.trail import processes as workers

AT_ONCE = 16  # handlers
LOOK = 0.02  # seconds between two looks at how far it is
PATIENCE = 300.0  # seconds
PACE = 200  # events per second, of which it is measured how long they take
SETTLED = 8.0  # seconds after which a process that was started has done all that it does at first


@dataclass(frozen=True)
class Size:
    """How much is measured in a round: events, those of the plain way, handlers, and seconds."""

    events: int
    single: int
    handlers: int
    latency: float
    idle: float


async def one_round(place: Place, size: Size, number: int) -> dict[str, float]:
    """Measure everything that is compared, once. Each pair directly one after the other."""
    context.enter(events.CONTEXT)
    found: dict[str, float] = {}
    first = number * (size.events + size.single)
    ready = events.bodies(range(first, first + size.events))
    found["publish raw"] = await asyncio.to_thread(raw.publish, place.broker_url, ready)
    found.update(await asyncio.to_thread(_taken, place.broker_url, size))
    found["relay"] = await relay(place, size.events)
    found["ledger"] = await ledger(place)
    found["single"] = await single(place, size.single, first + size.events)
    found["handler alone"], found["handler"] = await handlers(place, size.handlers)
    return found


def _taken(url: str, size: Size) -> dict[str, float]:
    """Empty the ledger's queue of the events of a round, as plainly as can be."""
    if topology.speaks_amqp(url):
        return {"consume raw": raw.consume(url, size.events)}
    # kombu goes to the disk three times for each message: a fifth of them says enough.
    return {
        "consume raw": raw.consume(url, size.single),
        "read raw": raw.read(url, size.events - size.single),
    }


async def relay(place: Place, count: int) -> float:
    """Return how many events per second the relay sends from a full outbox."""
    async with _database(place, "outbox", "demo") as db:
        for start in range(0, count, 50):
            await db.record(*(events.fact(n) for n in range(start, start + 50)))
        outbox = Outbox(db)

        async def left() -> int:
            return (await outbox.backlog()).count

        with _worker(place, "relay"):
            return await _pace(left, count)


async def ledger(place: Place) -> float:
    """Return how many events per second the ledger enters from a full queue."""
    async with _database(place, "ledger", "audit") as db:
        store = LedgerStore(db)
        before = await store.head()
        count = await asyncio.to_thread(trail.waiting, place.broker_url, topology.STORE)

        async def left() -> int:
            return count - (await store.head() - before)

        with _worker(place, "ledger"):
            pace = await _pace(left, count)
            await _until(lambda: _is_empty(place))
            return pace


async def single(place: Place, count: int, first: int) -> float:
    """Return how many events per second a task and an INSERT for each of them come to."""
    ready = events.bodies(range(first, first + count))
    await asyncio.to_thread(raw.publish, place.broker_url, ready)
    told = {
        "BROKER_URL": place.broker_url,
        "DATABASE_URL": place.databases[PLAIN],
        "COUNT": str(count),
        "BATCH": str(BATCH // 5),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.audit.single"),
        env=workers.settings(told),
        stdout=subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return float(out)


async def handlers(place: Place, count: int) -> tuple[float, float]:
    """Return how many writes per second there are without an event and with one.

    They are those of a code that is verified: the authenticator is read, and its time step spent.
    """
    async with _database(place, "totp", "totp") as db:
        users = [f"{time.time_ns()}-{place_}" for place_ in range(AT_ONCE)]
        for user in users:
            await db.apply(step(ADD, **_authenticator(user)))
        await _verified(db, users, 1, AT_ONCE * 5, told=True)  # opens connections
        rates: dict[bool, list[float]] = {False: [], True: []}
        # A B B A: whatever grows or wanes meanwhile does so for both.
        for part, told in enumerate((False, True, True, False), start=1):
            rates[told].append(await _verified(db, users, part * 100_000, count // 2, told=told))
        return harmonic_mean(rates[False]), harmonic_mean(rates[True])


async def _verified(db: Database, users: list[str], first: int, count: int, *, told: bool) -> float:
    async def verify(user: str) -> None:
        accepted = (TotpAccepted(user_id=user, authenticator_id=user),) if told else ()
        for moment in range(first, first + count // len(users)):
            assert await db.find(CANDIDATES, user_id=user, ids=[user]) is not None
            change = step(SPEND_STEP, id=user, step=moment, now=moment)
            assert await db.apply(change, *accepted) is not None

    started = time.perf_counter()
    await asyncio.gather(*(verify(user) for user in users))
    return count / (time.perf_counter() - started)


async def latencies(place: Place, seconds: float) -> dict[str, float]:
    """Return how long events take from their commit until a reader of the ledger sees them."""
    context.enter(events.CONTEXT)
    committed: dict[int, float] = {}
    seen: dict[int, float] = {}
    count = int(PACE * seconds)
    async with (
        _database(place, "outbox", "demo") as db,
        _database(place, "ledger", "audit") as audit,
    ):
        store = LedgerStore(audit)

        async def happen(number: int) -> None:
            await db.record(events.fact(number))
            committed[number] = time.perf_counter()

        async def look() -> None:
            last = await store.head()
            while len(seen) < count + PACE:
                for entry in await store.after(last, 1000):
                    last = entry.number
                    number = json.loads(entry.event or "{}")["data"]["number"]
                    seen.setdefault(number, time.perf_counter())
                await asyncio.sleep(0.005)

        with _worker(place, "relay"), _worker(place, "ledger"):
            looking = asyncio.create_task(look())
            for number in range(PACE):  # which warm up, and show that both run
                await happen(number)
            await _until(lambda: _has(seen, PACE))
            async with asyncio.TaskGroup() as group:
                started = time.perf_counter()
                for number in range(PACE, PACE + count):
                    due = started + (number - PACE) / PACE
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    group.create_task(happen(number))
            await asyncio.wait_for(looking, PATIENCE)
    took = [seen[number] - committed[number] for number in range(PACE, PACE + count)]
    return {"p50": percentile(took, 50), "p99": percentile(took, 99)}


async def idle(place: Place, seconds: float) -> dict[str, float]:
    """Return the share of a processor that each process, or server, uses while nothing happens."""
    with _worker(place, "relay") as relaying, _worker(place, "ledger") as entering:
        await asyncio.sleep(SETTLED)
        groups = {
            "relay": processes.descend(relaying.pid),
            "ledger": processes.descend(entering.pid),
            **place.servers,
        }
        before = {name: sum(map(processes.cpu, group)) for name, group in groups.items()}
        await asyncio.sleep(seconds)
        return {
            name: (sum(map(processes.cpu, group)) - before[name]) / seconds
            for name, group in groups.items()
        }


async def counted(place: Place) -> tuple[int, int]:
    """Return how many entries the ledger has, and how many different events they are of."""
    async with _database(place, "ledger", "audit") as db:
        store = LedgerStore(db)
        ids: list[str] = []
        last = 0
        while entries := await store.after(last, 5000):
            ids += [entry.id for entry in entries]
            last = entries[-1].number
        return len(ids), len(set(ids))


async def _pace(left: Callable[[], Awaitable[int]], count: int) -> float:
    """Return how many there are per second behind the first batch, until none is left."""
    first, began = count, 0.0
    deadline = time.monotonic() + PATIENCE
    while True:
        now = await left()
        moment = time.perf_counter()
        if now < count and not began:
            first, began = now, moment
        if now <= 0:
            return first / (moment - began)
        assert time.monotonic() < deadline, f"{now} are left"
        await asyncio.sleep(LOOK)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        await asyncio.sleep(LOOK)


async def _has(seen: dict[int, float], count: int) -> bool:
    return len(seen) >= count


async def _is_empty(place: Place) -> bool:
    """Tell whether nothing waits for the ledger, which by now has acknowledged it all."""
    return not await asyncio.to_thread(trail.waiting, place.broker_url, topology.STORE)


@contextmanager
def _worker(place: Place, role: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker of the trail; it ends by itself when it is told to."""
    told = {
        "BROKER_URL": place.broker_url,
        "OUTBOX_URL": place.databases["outbox"],
        "AUDIT_DATABASE_URL": place.databases["ledger"],
    }
    with workers.running(role, **told) as process:
        yield process
        workers.terminate(process, 30.0)


@asynccontextmanager
async def _database(place: Place, name: str, source: str) -> AsyncIterator[Database]:
    db = Database(place.databases[name], source=source)
    await db.connect()
    try:
        yield db
    finally:
        await db.close()


def _authenticator(user: str) -> dict[str, object]:
    return {
        "id": user,
        "user_id": user,
        "name": None,
        "sealed_secret": b"secret",
        "algorithm": "SHA1",
        "digits": 6,
        "period": 30,
        "last_step": 0,
        "created_at": 0,
        "last_used_at": None,
        "enrolled_session": user,
        "enrolled_step": 0,
    }
