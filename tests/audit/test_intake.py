"""What comes off the bus is in the ledger once, or among the dead letters, and never nowhere."""

import asyncio
import json
import re
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import redis
from sqlalchemy.engine import make_url

from services.audit.store.ledger import LedgerStore
from shared.bus import topology
from shared.bus.publisher import Outgoing, Publisher
from shared.bus.wire import EventSigner
from shared.database import Database
from shared.migrations import migrate
from tests import trail
from tests.trail import eventually, processes
from tests.trail.proxy import Proxy
from tests.trail.valkey import Valkey


def send(broker_url: str, numbers: range) -> None:
    """Publish events as a relay does."""
    with Publisher(broker_url) as publisher:
        publisher.publish(
            [Outgoing(f"event-{n}", "mfa.demo.happened", trail.signed(n)) for n in numbers]
        )


def has(store: LedgerStore, count: int) -> Callable[[], Awaitable[bool]]:
    """Return a condition: the ledger has `count` entries."""

    async def condition() -> bool:
        return await store.head() == count

    return condition


def settled(store: LedgerStore, broker_url: str, count: int) -> Callable[[], Awaitable[bool]]:
    """Return a condition: the ledger has `count` entries, and its queue has none of them.

    What is entered is still in the queue for a moment, so that the end of a worker in between may
    leave both.
    """

    async def condition() -> bool:
        if await store.head() != count:
            return False
        return await asyncio.to_thread(trail.waiting, broker_url, topology.STORE) == 0

    return condition


def handed_out(broker_url: str) -> Callable[[], Awaitable[bool]]:
    """Return a condition: a worker has all that was in the ledger's queue of RabbitMQ.

    On Valkey messages stay in the queue until they are written.
    """

    async def condition() -> bool:
        waiting = await asyncio.to_thread(trail.waiting, broker_url, topology.STORE)
        return waiting == 0 or not broker_url.startswith("amqp")

    return condition


async def numbers(store: LedgerStore) -> list[int]:
    """Return the sources' numbers in the order of the ledger."""
    return [entry.sequence for entry in await store.after(0, 100_000)]


@pytest.fixture
def database_url(stack: tuple[str, str]) -> str:
    """The database of the stack."""
    return stack[0]


@pytest.fixture
def broker_url(stack: tuple[str, str]) -> str:
    """The broker of the stack."""
    return stack[1]


@pytest.fixture
def environment(broker_url: str, ledger_url: str, unused_tcp_port: int) -> dict[str, str]:
    """What the ledger's worker needs."""
    trail.declare(broker_url)
    return {
        "BROKER_URL": broker_url,
        "AUDIT_DATABASE_URL": ledger_url,
        "OPERATIONS_PORT": str(unused_tcp_port),
    }


async def metrics(environment: dict[str, str]) -> str:
    """Return the worker's metrics, or nothing while it starts."""
    try:
        async with httpx.AsyncClient(timeout=trail.PATIENCE) as http:
            port = environment["OPERATIONS_PORT"]
            return (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    except httpx.TransportError:
        return ""


def holds_some(environment: dict[str, str]) -> Callable[[], Awaitable[bool]]:
    """Return a condition: the worker has events that it cannot write."""

    async def condition() -> bool:
        found = re.search(
            r"^countersign_ledger_held (\d+)", await metrics(environment), re.MULTILINE
        )
        return found is not None and int(found[1]) > 0

    return condition


async def test_events_reach_the_ledger_in_order_and_are_acknowledged(
    store: LedgerStore, environment: dict[str, str], broker_url: str
) -> None:
    """D5: from the bus to the ledger."""
    send(broker_url, range(1, 1301))

    with processes.running("ledger", **environment) as worker:
        await eventually(settled(store, broker_url, 1300))
        assert processes.terminate(worker) == 0

    assert await numbers(store) == list(range(1, 1301))
    assert trail.take(broker_url, topology.STORE) == []
    assert trail.take(broker_url, topology.DEAD) == []


async def test_an_event_that_comes_twice_is_entered_once(
    store: LedgerStore, environment: dict[str, str], broker_url: str
) -> None:
    """D5: idempotent by event id, within a batch and across batches."""
    send(broker_url, range(1, 11))
    send(broker_url, range(1, 11))

    with processes.running("ledger", **environment):
        await eventually(has(store, 10))
        send(broker_url, range(5, 16))
        await eventually(has(store, 15))

    assert await numbers(store) == list(range(1, 16))


FORGERIES = {
    "unreadable": b"not JSON",
    "unsigned": json.dumps(trail.event(90)).encode(),
    "altered": trail.signed(91).replace(b'"ada"', b'"eve"'),
    "foreign": EventSigner(trail.KEY).sign({**trail.event(92), "type": "mfa.totp.accepted"}),
    "unknown_key": trail.signed(93).replace(b"demo-1", b"demo-2"),
}


async def test_forgeries_go_to_the_dead_letters_and_are_counted(
    store: LedgerStore, environment: dict[str, str], broker_url: str
) -> None:
    """Section 3, bus: unsigned, unknown or altered goes to the dead letters and raises an alarm."""
    send(broker_url, range(1, 4))
    for body in FORGERIES.values():
        trail.put(broker_url, body)
    trail.put(broker_url, b"\x80\x04N.", content_type="application/x-python-serialize")
    send(broker_url, range(4, 7))

    with processes.running("ledger", **environment) as worker:
        await eventually(settled(store, broker_url, 6))
        seen: list[bytes] = []

        async def all_dead() -> bool:
            seen.extend(bytes_of(m) for m in trail.take(broker_url, topology.DEAD))
            return len(seen) >= len(FORGERIES) + 1

        await eventually(all_dead)
        counted = await metrics(environment)
        assert processes.terminate(worker) == 0

    assert sorted(seen) == sorted([*FORGERIES.values(), b"\x80\x04N."])
    for flaw in FORGERIES:
        count = 2 if flaw == "unreadable" else 1
        assert f'countersign_ledger_refused_total{{flaw="{flaw}"}} {count}.0' in counted
    assert await numbers(store) == [1, 2, 3, 4, 5, 6]
    assert trail.take(broker_url, topology.STORE) == []


async def test_what_breaks_our_own_code_holds_nobody_up(
    store: LedgerStore, environment: dict[str, str], broker_url: str
) -> None:
    """D5: an event that cannot be judged, or not be stored, is a dead letter like any other."""
    send(broker_url, range(1, 7))

    with processes.running("clumsy", **environment) as worker:
        await eventually(settled(store, broker_url, 4))
        seen: list[bytes] = []

        async def all_dead() -> bool:
            seen.extend(bytes_of(m) for m in trail.take(broker_url, topology.DEAD))
            return len(seen) >= 2

        await eventually(all_dead)
        counted = await metrics(environment)
        assert processes.terminate(worker) == 0

    assert sorted(seen) == [trail.signed(2), trail.signed(3)]
    assert await numbers(store) == [1, 4, 5, 6]
    assert trail.take(broker_url, topology.STORE) == []
    for flaw in ("unexpected", "unstorable"):
        assert f'countersign_ledger_refused_total{{flaw="{flaw}"}} 1.0' in counted


def bytes_of(message: object) -> bytes:
    """Return a message's body."""
    body = getattr(message, "body", b"")
    return body.encode() if isinstance(body, str) else bytes(body)


async def test_the_dead_letters_on_valkey_say_why(valkey_url: str, sqlite_url: str) -> None:
    """What is no message at all is kept among them too."""
    trail.declare(valkey_url)
    migrate(sqlite_url, "services.audit.migrations")
    trail.put(valkey_url, FORGERIES["altered"])
    with redis.Redis.from_url(valkey_url) as client:
        client.lpush(topology.STORE, b"\xff garbage", b'{"body":7}', b"[]")
    letters: list[tuple[bytes, str]] = []

    async def all_dead() -> bool:
        messages = trail.take(valkey_url, topology.DEAD)
        letters.extend((bytes_of(m), m.headers["x-refused"]) for m in messages)
        return len(letters) == 4

    with processes.running("ledger", BROKER_URL=valkey_url, AUDIT_DATABASE_URL=sqlite_url):
        await eventually(all_dead)

    assert letters == [
        (FORGERIES["altered"], "altered"),
        (b"\xff garbage", "unreadable"),
        (b'{"body":7}', "unreadable"),
        (b"[]", "unreadable"),
    ]


@pytest.mark.long
async def test_two_workers_on_one_list_lose_nothing(valkey_url: str, sqlite_url: str) -> None:
    """D5: each removes only what it has read."""
    trail.declare(valkey_url)
    migrate(sqlite_url, "services.audit.migrations")
    db = Database(sqlite_url, source="audit")
    store = LedgerStore(db)
    environment = {"BROKER_URL": valkey_url, "AUDIT_DATABASE_URL": sqlite_url}
    with processes.running("ledger", **environment), processes.running("ledger", **environment):
        for first in range(1, 1001, 100):
            await asyncio.to_thread(send, valkey_url, range(first, first + 100))
        await eventually(settled(store, valkey_url, 1000))

    assert sorted(await numbers(store)) == list(range(1, 1001))
    assert trail.take(valkey_url, topology.STORE) == []
    await db.close()


@pytest.fixture
async def far_store(postgresql_url: str) -> AsyncIterator[LedgerStore]:
    """A ledger in PostgreSQL, reached directly."""
    migrate(postgresql_url, "services.audit.migrations")
    db = Database(postgresql_url, source="audit")
    yield LedgerStore(db)
    await db.close()


@pytest.fixture
def cable(postgresql_url: str) -> Proxy:
    """What the worker reaches that ledger by."""
    return Proxy(postgresql_url)


@pytest.fixture
def far_environment(broker_url: str, cable: Proxy, unused_tcp_port: int) -> dict[str, str]:
    """What a worker needs that is at the end of the cable."""
    trail.declare(broker_url)
    return {
        "BROKER_URL": broker_url,
        "AUDIT_DATABASE_URL": cable.url,
        "OPERATIONS_PORT": str(unused_tcp_port),
    }


@pytest.mark.long
async def test_while_its_database_is_away_the_ledger_holds_what_it_has(
    far_store: LedgerStore, cable: Proxy, far_environment: dict[str, str], broker_url: str
) -> None:
    """D5: nothing is lost, nothing refused, and the alarm is on."""
    send(broker_url, range(1, 101))
    with processes.running("ledger", **far_environment) as worker:
        await eventually(has(far_store, 100))
        cable.cut()
        await asyncio.to_thread(send, broker_url, range(101, 1801))
        await eventually(holds_some(far_environment))
        assert await far_store.head() == 100
        cable.restore()
        await eventually(has(far_store, 1800))
        assert processes.terminate(worker) == 0

    assert sorted(await numbers(far_store)) == list(range(1, 1801))
    assert trail.take(broker_url, topology.DEAD) == []


@pytest.mark.long
async def test_less_than_a_batch_that_is_left_over_waits_for_nothing(
    far_store: LedgerStore, cable: Proxy, far_environment: dict[str, str], broker_url: str
) -> None:
    """D5: the last events before the bus falls silent are in the ledger too, and not held."""
    with processes.running("ledger", **far_environment):
        send(broker_url, range(1, 2))
        await eventually(has(far_store, 1))
        cable.cut()
        send(broker_url, range(2, 3))
        await eventually(holds_some(far_environment))
        await asyncio.to_thread(send, broker_url, range(3, 953))  # a batch, and most of another
        await eventually(handed_out(broker_url))
        await asyncio.sleep(0.5)  # until it has looked at them all
        cable.restore()
        await eventually(settled(far_store, broker_url, 952))

    assert sorted(await numbers(far_store)) == list(range(1, 953))


@pytest.mark.long
async def test_while_another_program_locks_its_file_the_ledger_holds_what_it_has(
    sqlite_url: str, valkey_url: str
) -> None:
    """D5: the same for SQLite."""
    trail.declare(valkey_url)
    migrate(sqlite_url, "services.audit.migrations")
    db = Database(sqlite_url, source="audit")
    store = LedgerStore(db)
    other = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with processes.running("ledger", BROKER_URL=valkey_url, AUDIT_DATABASE_URL=sqlite_url):
        await asyncio.to_thread(send, valkey_url, range(1, 21))
        await asyncio.sleep(7)  # longer than the ledger's patience with a locked file
        assert await store.head() == 0
        other.execute("COMMIT")
        other.close()
        await eventually(has(store, 20))
    await db.close()


@pytest.mark.long
async def test_a_worker_that_ends_while_its_database_is_away_leaves_its_batch_to_the_next(
    far_store: LedgerStore,
    cable: Proxy,
    far_environment: dict[str, str],
    broker_url: str,
    postgresql_url: str,
) -> None:
    """D5: what was not entered was not acknowledged."""
    cable.cut()
    send(broker_url, range(1, 51))
    with processes.running("ledger", **far_environment) as worker:
        await eventually(holds_some(far_environment))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    with processes.running("ledger", BROKER_URL=broker_url, AUDIT_DATABASE_URL=postgresql_url):
        await eventually(has(far_store, 50))

    assert sorted(await numbers(far_store)) == list(range(1, 51))


@pytest.mark.long
async def test_a_killed_worker_leaves_what_it_had_to_the_next(
    store: LedgerStore, environment: dict[str, str], broker_url: str
) -> None:
    """D5: killed with -9 in the middle, twice over."""
    total = 2000
    send(broker_url, range(1, total + 1))
    for kill in range(2):
        with processes.running("ledger", **environment):

            async def under_way(kill: int = kill) -> bool:
                return await store.head() > kill * total / 5

            await eventually(under_way)
    with processes.running("ledger", **environment):
        await eventually(has(store, total))

    assert sorted(await numbers(store)) == list(range(1, total + 1))
    assert trail.take(broker_url, topology.DEAD) == []


@pytest.mark.long
async def test_a_broker_that_comes_back_is_listened_to_again(
    store: LedgerStore, environment: dict[str, str], broker_url: str
) -> None:
    """D5: the worker outlives its broker's absence."""
    cable = Proxy(broker_url)
    environment["BROKER_URL"] = cable.url
    with processes.running("ledger", **environment) as worker:
        send(broker_url, range(1, 11))
        await eventually(has(store, 10))
        cable.cut()
        send(broker_url, range(11, 21))
        await asyncio.sleep(1)
        cable.restore()
        await eventually(has(store, 20))
        assert processes.terminate(worker) == 0


@pytest.mark.long
async def test_a_killed_valkey_loses_nothing_between_relay_and_ledger(
    valkey: Valkey, sqlite_url: str
) -> None:
    """D5: what it has confirmed is on its disk, taken by a consumer or not."""
    trail.declare(valkey.url)
    migrate(sqlite_url, "services.audit.migrations")
    db = Database(sqlite_url, source="audit")
    store = LedgerStore(db)
    with processes.running("ledger", BROKER_URL=valkey.url, AUDIT_DATABASE_URL=sqlite_url):
        send(valkey.url, range(1, 501))

        async def under_way() -> bool:
            return await store.head() > 50

        await eventually(under_way)
        valkey.kill()
        await asyncio.to_thread(valkey.start)
        await eventually(has(store, 500))

    assert sorted(await numbers(store)) == list(range(1, 501))
    await db.close()
