"""Events leave the outbox in order, numbered without gaps, and not before the broker has them."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import groupby
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from shared import context, relay
from shared.bus import topology
from shared.bus.wire import SIGNED_AT_ONCE, EventSigner, EventVerifier, Received
from shared.database import Database
from shared.errors import Unavailable
from shared.migrations import migrate
from shared.outbox import Outbox
from shared.relay import Relay
from tests import trail
from tests.trail import Happened, eventually, happen, processes
from tests.trail.proxy import Proxy
from tests.trail.valkey import Valkey

VERIFIER = EventVerifier(trail.PUBLIC_KEYS)


@pytest.fixture
def outbox_url(database_url: str) -> str:
    """A database that has an outbox."""
    migrate(database_url, "tests.trail.migrations")
    return database_url


@pytest.fixture
async def db(outbox_url: str) -> AsyncIterator[Database]:
    """The database of the service `demo`."""
    database = Database(outbox_url, source="demo")
    await database.connect()
    yield database
    await database.close()


@asynccontextmanager
async def relaying(db: Database, broker_url: str) -> AsyncIterator[None]:
    """Run a relay meanwhile."""
    task = asyncio.create_task(Relay(db, broker_url, EventSigner(trail.KEY)).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def is_empty(db: Database) -> Callable[[], Any]:
    """Return a condition: nothing waits in the outbox."""

    async def condition() -> bool:
        return (await Outbox(db).backlog()).count == 0

    return condition


def arrived(broker_url: str) -> list[Received]:
    """Take what has come for the ledger; each event has to be good."""
    return [
        VERIFIER.verify(body.encode() if isinstance(body := message.body, str) else bytes(body))
        for message in trail.take(broker_url, topology.STORE)
    ]


async def test_events_arrive_in_order_and_numbered_without_gaps(
    db: Database, broker_url: str
) -> None:
    """D5: what was committed reaches the broker."""
    trail.declare(broker_url)
    await happen(db, 30)

    async with relaying(db, broker_url):
        await eventually(is_empty(db))
        await happen(db, 30, first=31)
        await eventually(is_empty(db))

    events = arrived(broker_url)
    assert [event.number for event in events] == list(range(1, 61))
    assert [json.loads(event.text)["data"]["number"] for event in events] == list(range(1, 61))
    assert {(event.subject, event.type) for event in events} == {("ada", "mfa.demo.happened")}


async def test_an_event_says_on_whose_behalf_it_happened(db: Database, broker_url: str) -> None:
    """D3: with address, agent, session and request."""
    trail.declare(broker_url)
    context.enter(
        context.Context(request_id="0af7651916cd43dd8448eb211c80319c", address="192.0.2.7")
    )
    await happen(db, 1)

    async with relaying(db, broker_url):
        await eventually(is_empty(db))

    (event,) = arrived(broker_url)
    assert json.loads(event.text)["data"]["context"] == {
        "request_id": "0af7651916cd43dd8448eb211c80319c",
        "address": "192.0.2.7",
    }


async def test_facts_without_a_canonical_form_hold_nobody_up(db: Database, valkey_url: str) -> None:
    trail.declare(valkey_url)
    await db.record(Happened(user_id="ada", number=1, extra=0.5))
    await happen(db, 1, first=2)

    async with relaying(db, valkey_url):
        await eventually(is_empty(db))

    odd, even = arrived(valkey_url)
    assert json.loads(json.loads(odd.text)["data"]["text"]) == {"number": 1, "extra": 0.5}
    assert json.loads(even.text)["data"] == {"number": 2}


async def test_of_several_batches_each_event_is_sent_once_and_in_order(
    db: Database, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though one is made ready while the one before is stored. Each is signed as a whole."""
    monkeypatch.setattr(relay, "BATCH", 50)
    trail.declare(broker_url)
    await happen(db, 130)

    async with relaying(db, broker_url):
        await eventually(is_empty(db))

    events = arrived(broker_url)
    assert [event.number for event in events] == list(range(1, 131))
    signatures = [json.loads(event.text)["signature"] for event in events]
    sizes = [len(list(same)) for _, same in groupby(signatures)]
    assert sizes == [SIGNED_AT_ONCE, 50 - SIGNED_AT_ONCE] * 2 + [30]


async def test_what_is_stored_is_forgotten_although_what_follows_cannot_be_made_ready(
    db: Database, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D5: or each attempt would send it once more."""
    monkeypatch.setattr(relay, "BATCH", 50)
    monkeypatch.setattr(relay, "STANDBY", 0.05)
    trail.declare(broker_url)
    await happen(db, 130)
    attempts = 0
    form = Relay._form

    def failing(self: Relay, row: Any) -> Any:
        nonlocal attempts
        if row.number > 50 and attempts < 3:
            attempts += 1
            raise Unavailable("The database is away.")
        return form(self, row)

    monkeypatch.setattr(Relay, "_form", failing)

    async with relaying(db, broker_url):
        await eventually(is_empty(db))

    assert attempts == 3
    assert [event.number for event in arrived(broker_url)] == list(range(1, 131))


async def test_of_a_broker_that_another_relay_has_reached_it_is_told_that_it_is_back(
    db: Database, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LONGEST_PAUSE", 0.2)
    trail.declare(valkey_url)
    cable = Proxy(valkey_url)
    cable.cut()
    with capture_logs() as logs:

        def told(event: str) -> Callable[[], Any]:
            async def condition() -> bool:
                return any(line["event"] == event for line in logs)

            return condition

        async with relaying(db, cable.url):
            await happen(db, 1)
            await eventually(told("broker_away"))
            outbox = Outbox(db)
            await outbox.delete([row.seq for row in await outbox.pending()])
            await eventually(told("broker_back"))


async def test_while_the_broker_is_away_events_wait_and_then_they_leave(
    db: Database, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D5: losing the broker loses no event and blocks nobody."""
    monkeypatch.setattr(relay, "LONGEST_PAUSE", 0.5)
    monkeypatch.setattr(relay, "MEASURE", 0.05)
    trail.declare(broker_url)
    cable = Proxy(broker_url)
    await happen(db, 10)

    async with relaying(db, cable.url):
        await eventually(is_empty(db))
        cable.cut()
        await happen(db, 20, first=11)

        async def alarmed() -> bool:
            return gauge("countersign_outbox_backlog") == 20 and bool(gauge(OLDEST))

        async def calm() -> bool:
            return gauge("countersign_outbox_backlog") == 0 == gauge(OLDEST)

        await eventually(alarmed)
        assert len(arrived(broker_url)) == 10
        cable.restore()
        await eventually(is_empty(db))
        await eventually(calm)  # although nothing more is sent
    assert gauge("countersign_outbox_backlog") is None  # another relay may be the active one now

    cable.cut()
    numbers = [event.number for event in arrived(broker_url)]
    assert sorted(set(numbers)) == list(range(11, 31))


async def test_what_keeps_events_back_is_told_whenever_it_changes(
    db: Database, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that has come back without its queues is no more "away", and says what it wants."""
    monkeypatch.setattr(relay, "LONGEST_PAUSE", 0.2)
    trail.declare(broker_url)
    trail.undeclare(broker_url, topology.NOTICES)
    cable = Proxy(broker_url)
    cable.cut()
    await happen(db, 3)

    with capture_logs() as logs:

        def reasons() -> list[str]:
            return [str(entry["reason"]) for entry in logs if entry["event"] == "broker_away"]

        async def told() -> bool:
            return bool(reasons())

        async def told_of_the_queue() -> bool:
            return any(topology.NOTICES in reason for reason in reasons())

        async with relaying(db, cable.url):
            await eventually(told)
            assert not await told_of_the_queue()
            cable.restore()
            await eventually(told_of_the_queue)
            await asyncio.sleep(1)
            assert arrived(broker_url) == []
            trail.declare(broker_url)
            await eventually(is_empty(db))

    assert len([reason for reason in reasons() if topology.NOTICES in reason]) == 1
    assert [entry["event"] for entry in logs].count("broker_back") == 1
    assert [event.number for event in arrived(broker_url)] == [1, 2, 3]


OLDEST = "countersign_outbox_oldest_seconds"


def gauge(name: str) -> float | None:
    """Return what a gauge of the demo's relay shows."""
    return REGISTRY.get_sample_value(name, {"source": "demo"})


async def test_a_killed_valkey_keeps_what_it_has_confirmed(
    db: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D5: an event leaves the outbox only when it is on the broker's disk."""
    monkeypatch.setattr(relay, "LONGEST_PAUSE", 0.5)
    trail.declare(valkey.url)
    async with relaying(db, valkey.url):
        await happen(db, 40)
        valkey.kill()
        await happen(db, 40, first=41)
        await asyncio.to_thread(valkey.start)
        await eventually(is_empty(db))

    assert {event.number for event in arrived(valkey.url)} == set(range(1, 81))


async def test_of_two_relays_one_works_and_the_other_takes_over(
    db: Database, outbox_url: str, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "STANDBY", 0.2)
    trail.declare(broker_url)
    second = Database(outbox_url, source="demo")
    async with relaying(second, broker_url):
        async with relaying(db, broker_url):
            await happen(db, 60)
            await eventually(is_empty(db))
        await happen(db, 60, first=61)
        await eventually(is_empty(db))
    await second.close()

    assert [event.number for event in arrived(broker_url)] == list(range(1, 121))


async def test_a_relay_killed_in_the_middle_loses_nothing(
    stack: tuple[str, str],
) -> None:
    """D5: killed with -9 while it sends, it leaves at worst what is sent twice."""
    outbox_url, broker_url = stack
    migrate(outbox_url, "tests.trail.migrations")
    db = Database(outbox_url, source="demo")
    trail.declare(broker_url)
    total = 0

    async def more() -> int:
        nonlocal total
        await happen(db, 700, first=total + 1)
        total += 700
        return (await Outbox(db).backlog()).count

    for _ in range(2):
        waiting = await more()
        with processes.running("relay", BROKER_URL=broker_url, OUTBOX_URL=outbox_url) as worker:

            async def stands_in_the_second_batch(
                worker: subprocess.Popen[bytes] = worker,
            ) -> bool:
                nonlocal waiting
                processes.stand_still(worker)
                count = (await Outbox(db).backlog()).count
                if 0 < count < waiting:
                    return True
                worker.send_signal(signal.SIGCONT)
                if count == 0:  # it was quicker than we have looked
                    waiting = await more()
                return False

            await eventually(stands_in_the_second_batch)
    with processes.running("relay", BROKER_URL=broker_url, OUTBOX_URL=outbox_url):
        await eventually(is_empty(db))

    events = arrived(broker_url)
    assert {event.number for event in events} == set(range(1, total + 1))
    assert len({(event.id, event.number) for event in events}) == total
    await db.close()
