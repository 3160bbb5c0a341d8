"""Several may write and many may wait; nobody misses an entry."""

import asyncio
import time
from dataclasses import fields
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.audit.domain import Fact
from services.audit.flows import Ledger, Reading
from services.audit.store import LedgerStore
from services.audit.worker import MEASURES, entering
from shared.bus.wire import Received
from shared.clock import utc_now
from shared.database import Database
from shared.intake.writing import Writer
from tests.audit.facts import fact


async def test_a_repeated_batch_adds_nothing(ledger: Ledger, store: LedgerStore) -> None:
    """D5: the consumer is idempotent by event id."""
    assert await ledger.enter([fact(1), fact(2)]) == 2
    assert await ledger.enter([fact(1), fact(2), fact(3)]) == 1
    assert await ledger.enter([fact(1), fact(2), fact(3)]) == 0

    assert [entry.fact.number for entry in await store.after(0, 10)] == [1, 2, 3]


async def test_racing_writers_leave_no_gap_and_no_double(
    ledger: Ledger, store: LedgerStore, ledger_url: str
) -> None:
    """D5: two workers may take the same events."""
    db = Database(ledger_url, source="audit")
    other = Ledger(LedgerStore(db), utc_now)

    async def write(writer: Ledger, first: int) -> None:
        for start in range(first, first + 60, 10):
            await writer.enter([fact(n) for n in range(start, start + 10)])

    await asyncio.gather(write(ledger, 1), write(other, 31))
    await db.close()

    entries = await store.after(0, 1000)
    assert [entry.number for entry in entries] == list(range(1, 91))
    assert {entry.fact.number for entry in entries} == set(range(1, 91))


def received(fact: Fact) -> Received:
    """Return a fact as it comes off the bus."""
    return Received(**{f.name: getattr(fact, f.name) for f in fields(Received)})


@pytest.mark.parametrize("flaw", [{"text": None}, {"source": None}])
async def test_a_fact_that_cannot_be_stored_is_alone_in_that(
    ledger: Ledger, store: LedgerStore, flaw: dict[str, object]
) -> None:
    """D5: the others of its batch are written, in order; whoever asked is told."""
    good, bad, other = (received(fact(n, **(flaw if n == 2 else {}))) for n in (1, 2, 3))

    with capture_logs() as lines:
        assert await Writer(entering(ledger), MEASURES).write([good, bad, other]) == [bad]

    assert [entry.fact.number for entry in await store.after(0, 10)] == [1, 3]
    assert [line["id"] for line in lines if line["event"] == "event_not_storable"] == ["event-2"]


async def test_who_waits_is_told_when_there_is_something(
    ledger: Ledger, store: LedgerStore
) -> None:
    reading = Reading(store)
    readers = [
        asyncio.create_task(reading.after(number, limit=10, wait=timedelta(seconds=20)))
        for number in (0, 0, 1)
    ]
    await asyncio.sleep(0.3)
    assert not any(reader.done() for reader in readers)

    started = time.monotonic()
    await ledger.enter([fact(1)])
    first, second = await readers[0], await readers[1]
    await ledger.enter([fact(2)])
    third = await readers[2]

    assert time.monotonic() - started < 5
    assert [[entry.number for entry in page.entries] for page in (first, second, third)] == [
        [1],
        [1],
        [2],
    ]
    assert (first.last, third.last) == (1, 2)
    await reading.close()


async def test_nothing_is_missed_while_entries_pour_in(ledger: Ledger, store: LedgerStore) -> None:
    reading = Reading(store)
    seen: list[int] = []

    async def follow() -> None:
        last = 0
        while last < 60:
            page = await reading.after(last, limit=7, wait=timedelta(seconds=20))
            seen.extend(entry.number for entry in page.entries)
            last = page.last

    readers = [asyncio.create_task(follow()) for _ in range(2)]
    for number in range(1, 61):
        await ledger.enter([fact(number)])
    await asyncio.gather(*readers)
    await reading.close()

    assert sorted(seen) == sorted(2 * list(range(1, 61)))


async def test_waiting_costs_next_to_nothing(store: LedgerStore) -> None:
    """However many wait, one looks; and no more often than once a second."""

    def statements() -> float:
        return (
            REGISTRY.get_sample_value(
                "countersign_database_statements_total", {"source": "audit", "kind": "read"}
            )
            or 0.0
        )

    reading = Reading(store)
    before = statements()
    pages = await asyncio.gather(
        *(reading.after(0, limit=1, wait=timedelta(seconds=2)) for _ in range(50))
    )
    await reading.close()

    assert all(page.last == 0 and not page.entries for page in pages)
    assert statements() - before <= 50 + 4


async def test_closing_lets_everyone_go(store: LedgerStore) -> None:
    reading = Reading(store)
    reader = asyncio.create_task(reading.after(0, limit=1, wait=timedelta(seconds=20)))
    await asyncio.sleep(0.1)

    started = time.monotonic()
    await reading.close()

    assert (await reader).entries == []
    assert time.monotonic() - started < 2
