"""D5: no event is lost on its way out, and a gap in the numbers would show it."""

import asyncio

import pytest

from shared.database import Database
from shared.outbox import Outbox
from tests.shared.conftest import NOW
from tests.shared.sample import Paid


@pytest.fixture
def outbox(db: Database) -> Outbox:
    """The sample's outbox."""
    return Outbox(db)


async def state(db: Database, *users: str) -> None:
    """Write an event about each of `users`."""
    for user in users:
        await db.record(Paid(user_id=user))


async def test_events_are_numbered_without_gaps_in_the_order_they_were_written(
    db: Database, outbox: Outbox
) -> None:
    await state(db, "a", "b", "c")
    assert await outbox.number_batch(2) == 2
    assert await outbox.number_batch() == 1
    await state(db, "d")
    assert await outbox.number_batch() == 1
    assert await outbox.number_batch() == 0

    pending = await outbox.pending()

    assert [(row.number, row.subject) for row in pending] == list(enumerate("abcd", start=1))


async def test_a_number_is_never_given_twice(db: Database, outbox: Outbox) -> None:
    await state(db, "a", "b")
    await outbox.number_batch()
    await outbox.delete([row.seq for row in await outbox.pending()])
    await state(db, "c")
    await outbox.number_batch()

    assert [row.number for row in await outbox.pending()] == [3]


async def test_what_is_pending_stays_so_until_it_is_deleted(db: Database, outbox: Outbox) -> None:
    await state(db, "a", "b", "c")
    assert await outbox.pending() == []
    await outbox.number_batch()

    first = await outbox.pending(2)
    again = await outbox.pending(2)
    assert [row.subject for row in await outbox.pending(2, behind=first[-1].number)] == ["c"]
    await outbox.delete([row.seq for row in first])
    await outbox.delete([row.seq for row in first])
    await outbox.delete([])
    rest = await outbox.pending(2)

    assert first == again
    assert [row.subject for row in first + rest] == ["a", "b", "c"]


async def test_the_backlog_counts_what_is_numbered_and_what_is_not(
    db: Database, outbox: Outbox
) -> None:
    empty = await outbox.backlog()
    await state(db, "a", "b", "c")
    await outbox.number_batch(1)
    full = await outbox.backlog()

    assert (empty.count, empty.oldest_at) == (0, None)
    assert (full.count, full.oldest_at) == (3, NOW)


async def test_an_event_is_noticed_soon(db: Database, outbox: Outbox, migrated_url: str) -> None:
    other = Database(migrated_url, source="other")
    waiting = asyncio.create_task(outbox.wait())
    await asyncio.sleep(0)
    assert not waiting.done()

    await state(other, "a")
    await asyncio.wait_for(waiting, 5)

    await outbox.wait()  # and as long as it is there
    await outbox.number_batch()
    await outbox.wait()
    await other.close()


async def test_two_relays_at_once_leave_no_gap_and_number_nothing_twice(
    db: Database, migrated_url: str
) -> None:
    """A relay that has lost its lock unawares does no harm."""
    other = Database(migrated_url, source="other")
    relays = [Outbox(db), Outbox(other)]
    total = 60
    writing = asyncio.create_task(state(db, *(str(number) for number in range(total))))

    async def number(outbox: Outbox) -> None:
        while not writing.done() or await outbox.number_batch(7):
            await outbox.number_batch(7)
            await asyncio.sleep(0)  # reads from SQLite do not let others run

    await asyncio.gather(writing, *(number(outbox) for outbox in relays))
    while await relays[0].number_batch():
        pass

    numbers = [row.number for row in await relays[0].pending(total)]
    assert numbers == list(range(1, total + 1))
    await other.close()
