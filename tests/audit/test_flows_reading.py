"""Many may wait, and nobody misses an entry."""

import asyncio
import time
from datetime import timedelta

from prometheus_client import REGISTRY

from services.audit.flows.entering import Ledger
from services.audit.flows.reading import LOOK_AGAIN, Reading
from tests.audit.facts import fact

WAIT = 20  # seconds that a question waits for its answer, if none comes


async def test_who_waits_is_told_when_there_is_something(ledger: Ledger, reading: Reading) -> None:
    readers = [
        asyncio.create_task(reading.after(number, limit=10, wait=timedelta(seconds=WAIT)))
        for number in (0, 0, 1)
    ]
    await asyncio.sleep(0.3)
    assert not any(reader.done() for reader in readers)

    started = time.monotonic()
    await ledger.enter([fact(1)])
    first, second = await readers[0], await readers[1]
    await ledger.enter([fact(2)])
    third = await readers[2]

    assert time.monotonic() - started < WAIT / 2
    assert [[shown.entry.number for shown in page.entries] for page in (first, second, third)] == [
        [1],
        [1],
        [2],
    ]
    assert (first.last, third.last) == (1, 2)
    await reading.close()


async def test_nothing_is_missed_while_entries_pour_in(ledger: Ledger, reading: Reading) -> None:
    seen: list[int] = []

    async def follow() -> None:
        last = 0
        while last < 60:
            page = await reading.after(last, limit=7, wait=timedelta(seconds=WAIT))
            seen.extend(shown.entry.number for shown in page.entries)
            last = page.last

    readers = [asyncio.create_task(follow()) for _ in range(2)]
    for number in range(1, 61):
        await ledger.enter([fact(number)])
    await asyncio.gather(*readers)
    await reading.close()

    assert sorted(seen) == sorted(2 * list(range(1, 61)))


async def test_waiting_costs_next_to_nothing(reading: Reading) -> None:
    """However many wait, one looks; and no more often than once a second."""

    def statements() -> float:
        return (
            REGISTRY.get_sample_value(
                "countersign_database_statements_total", {"source": "audit", "kind": "read"}
            )
            or 0.0
        )

    before, started = statements(), time.monotonic()
    pages = await asyncio.gather(
        *(reading.after(0, limit=1, wait=timedelta(seconds=2)) for _ in range(50))
    )
    await reading.close()

    assert all(page.last == 0 and not page.entries for page in pages)
    looks = statements() - before - 50
    assert looks <= (time.monotonic() - started) / LOOK_AGAIN + 2


async def test_closing_lets_everyone_go(reading: Reading) -> None:
    reader = asyncio.create_task(reading.after(0, limit=1, wait=timedelta(seconds=WAIT)))
    await asyncio.sleep(0.1)

    started = time.monotonic()
    await reading.close()

    assert (await reader).entries == []
    assert time.monotonic() - started < WAIT / 2
