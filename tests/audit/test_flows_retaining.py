"""Events are kept as long as was set, by type; that they are dropped is on record first."""

import json
from datetime import timedelta

import pytest

from services.audit.domain.retention import STATEMENT
from services.audit.flows.checkpointing import Checkpointing
from services.audit.flows.entering import Ledger
from services.audit.flows.reading import Reading
from services.audit.flows.retaining import Retaining
from services.audit.store.ledger import LedgerStore
from shared.clock import utc_now
from shared.database import Database
from shared.outbox import Outbox
from tests import trail
from tests.audit.facts import fact
from tests.audit.tampering import Tamperer
from tests.hands import Hands
from tests.tables import everything_in

DAY = timedelta(days=1)
POLICY = {"mfa.demo.happened": 2 * DAY, "mfa.demo.*": 90 * DAY}


@pytest.fixture
def hands() -> Hands:
    """Ten days after all that is in the ledger."""
    hands = Hands()
    hands.now = trail.NOON + 10 * DAY
    return hands


@pytest.fixture
def retaining(store: LedgerStore, hands: Hands) -> Retaining:
    return Retaining(store, hands, POLICY)


async def stated(ledger: Ledger, db: Database) -> int:
    """Carry the statements that wait to the ledger, as relay and bus do; say how many."""
    outbox = Outbox(db)
    await outbox.number_batch()
    rows = await outbox.pending()
    facts = [
        fact(
            row.number,
            id=row.id,
            type=row.type,
            source="audit",
            subject=None,
            occurred_at=trail.NOON + 10 * DAY,
            text=f'{{"data":{row.data},"id":"{row.id}"}}',
        )
        for row in rows
    ]
    await outbox.delete([row.seq for row in rows])
    return await ledger.enter(facts) if facts else 0


@pytest.fixture
async def filled(ledger: Ledger) -> None:
    await ledger.enter(
        [
            fact(1),
            fact(2, type="mfa.demo.failed"),
            fact(3),
            fact(4, occurred_at=trail.NOON + 9 * DAY),
        ]
    )


async def kept(store: LedgerStore) -> list[int]:
    return [entry.number for entry in await store.after(0, 2000) if entry.event is not None]


@pytest.mark.usefixtures("filled")
async def test_nothing_is_dropped_that_is_not_on_record(
    store: LedgerStore, retaining: Retaining, ledger: Ledger, db: Database
) -> None:
    await retaining.sweep()
    await retaining.sweep()
    assert await kept(store) == [1, 2, 3, 4]

    assert await stated(ledger, db) == 1
    await retaining.sweep()

    assert await kept(store) == [2, 4, 5]
    assert await stated(ledger, db) == 0


@pytest.mark.usefixtures("filled")
async def test_what_was_dropped_is_gone_and_its_entry_is_still_proved(  # noqa: PLR0917
    retaining: Retaining,
    ledger: Ledger,
    db: Database,
    ledger_url: str,
    reading: Reading,
    checkpointing: Checkpointing,
) -> None:
    await checkpointing.make_due()
    await retaining.sweep()
    await stated(ledger, db)
    await retaining.sweep()

    verdict = await Tamperer(ledger_url, db).verdict()
    assert (verdict.entries, verdict.dropped, verdict.checkpoints, verdict.faults) == (5, 2, 1, ())
    page = await reading.after(0, limit=1, wait=trail.NO_TIME)
    (shown,) = page.entries
    assert (shown.dropped, shown.entry.subject) == (True, None)
    assert '"id":"event-1"' in shown.text
    assert "number" not in shown.text


@pytest.mark.usefixtures("filled")
async def test_of_what_was_dropped_nothing_is_in_the_tables(
    retaining: Retaining, ledger: Ledger, db: Database, ledger_url: str
) -> None:
    signatures = [json.loads(trail.signed(number))["signature"] for number in (1, 4)]
    assert signatures[0] in everything_in(ledger_url)

    await retaining.sweep()
    await stated(ledger, db)
    await retaining.sweep()

    assert [found in everything_in(ledger_url) for found in signatures] == [False, True]


@pytest.mark.usefixtures("filled")
async def test_what_is_missing_beyond_that_was_taken(
    retaining: Retaining, ledger: Ledger, db: Database, ledger_url: str
) -> None:
    """Section 3, audit: whoever takes an event away cannot say that it was its time."""
    await retaining.sweep()
    await stated(ledger, db)
    await retaining.sweep()

    tamperer = Tamperer(ledger_url, db)
    await tamperer.run("UPDATE entries SET event = NULL WHERE entry = 4")

    assert await tamperer.found() == [("removed", 4, 4)]


async def test_more_than_fit_into_one_statement_are_dropped(
    store: LedgerStore, retaining: Retaining, ledger: Ledger, db: Database
) -> None:
    await ledger.enter([fact(number) for number in range(1, 1101)])
    await retaining.sweep()
    await stated(ledger, db)

    await retaining.sweep()

    assert await kept(store) == [1101]


@pytest.mark.usefixtures("filled")
async def test_where_nothing_was_set_everything_is_kept(
    store: LedgerStore, hands: Hands, db: Database, ledger: Ledger
) -> None:
    await Retaining(store, hands, {}).sweep()

    assert await stated(ledger, db) == 0
    assert await kept(store) == [1, 2, 3, 4]


@pytest.mark.usefixtures("filled")
async def test_what_comes_again_after_it_was_dropped_is_known(
    store: LedgerStore, retaining: Retaining, ledger: Ledger, db: Database
) -> None:
    """D5: dead letters are replayed late."""
    await retaining.sweep()
    await stated(ledger, db)
    await retaining.sweep()

    assert await ledger.enter([fact(1)]) == 0


async def test_statements_of_others_are_none(store: LedgerStore, ledger: Ledger) -> None:
    """No source but the ledger itself says what is dropped."""
    text = '{"data":{"event_type":"mfa.demo.happened","before":"2026-12-01T00:00:00Z"}}'
    await ledger.enter([fact(1), fact(2, type=STATEMENT, text=text)])

    await Retaining(store, utc_now, POLICY).sweep()

    assert await kept(store) == [1, 2]
