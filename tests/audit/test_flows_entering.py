"""Several may write: each fact is entered once, in one order, and a batch is not torn."""

import asyncio
from dataclasses import fields

import pytest
from structlog.testing import capture_logs

from services.audit.domain.facts import Fact
from services.audit.flows.carrying import Carrying
from services.audit.flows.entering import Ledger
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from services.audit.worker import MEASURES, entering
from shared.bus.wire import Received
from shared.cipher import Cipher
from shared.clock import utc_now
from shared.database import Database
from shared.intake.writing import Writer
from tests import trail
from tests.audit.facts import fact


async def test_a_repeated_batch_adds_nothing(ledger: Ledger, store: LedgerStore) -> None:
    """D5: the consumer is idempotent by event id."""
    assert await ledger.enter([fact(1), fact(2)]) == 2
    assert await ledger.enter([fact(1), fact(2), fact(3)]) == 1
    assert await ledger.enter([fact(1), fact(2), fact(3)]) == 0

    assert [entry.sequence for entry in await store.after(0, 10)] == [1, 2, 3]


async def test_racing_writers_leave_no_gap_and_no_double(
    ledger: Ledger, store: LedgerStore, ledger_url: str
) -> None:
    """D5: two workers may take the same events."""
    db = Database(ledger_url, source="audit")
    other = Ledger(LedgerStore(db), PeopleStore(db, Cipher(trail.RING, PURPOSE)), utc_now)

    async def write(writer: Ledger, first: int) -> None:
        for start in range(first, first + 60, 10):
            await writer.enter([fact(n) for n in range(start, start + 10)])

    await asyncio.gather(write(ledger, 1), write(other, 31))
    await db.close()

    entries = await store.after(0, 1000)
    assert [entry.number for entry in entries] == list(range(1, 91))
    assert {entry.sequence for entry in entries} == set(range(1, 91))


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
        writer = Writer(entering(ledger, Carrying(store, ledger)), MEASURES)
        assert await writer.write([good, bad, other]) == [bad]

    assert [entry.sequence for entry in await store.after(0, 10)] == [1, 3]
    assert [line["id"] for line in lines if line["event"] == "event_not_storable"] == ["event-2"]
