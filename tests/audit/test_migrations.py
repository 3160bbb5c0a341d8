"""What the ledger had before there were keys is sealed and proved like all else; none is lost."""

import json
from contextlib import suppress

import pytest

from services.audit.domain.facts import Fact
from services.audit.flows.carrying import Carrying
from services.audit.flows.entering import Ledger
from services.audit.flows.reading import Reading
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from services.audit.worker import entering
from shared.bus.wire import Received
from shared.cipher import Cipher
from shared.clock import from_micros, to_micros, utc_now
from shared.database import Database
from shared.migrations import migrate
from tests import trail
from tests.audit.facts import fact
from tests.audit.tampering import Tamperer
from tests.tables import everything_in, migrated_to

COUNT = 1203
STRIPPED = '{"data":{"context":{"request_id":"r"},"number":7},"id":"event-7"}'


def row(number: int) -> str:
    """Return an entry as it was kept before."""
    made = fact(number, subject="eve" if number == 7 else "ada")
    text = STRIPPED if number == 7 else made.text
    occurred, received = to_micros(made.occurred_at), to_micros(made.occurred_at) + number
    return (
        f"({number}, '{made.id}', '{made.type}', 'demo', {number}, {occurred}, {received}, "
        f"'{made.subject}', '{text}', {int(number == 7)})"
    )


@pytest.fixture
async def old(database_url: str) -> str:
    """A ledger of before, with a person who was forgotten."""
    migrated_to(database_url, "services.audit.migrations", "0002")
    rows = ", ".join(row(number) for number in range(1, COUNT + 1))
    db = Database(database_url, source="audit")
    await Tamperer(database_url, db).run(
        f"INSERT INTO ledger VALUES {rows}",
        "INSERT INTO forgotten VALUES ('eve', 1782900000000000)",
    )
    await db.close()
    return database_url


async def test_every_entry_keeps_its_number_and_its_text(old: str) -> None:
    migrate(old, "services.audit.migrations")
    db = Database(old, source="audit")
    store, people = LedgerStore(db), PeopleStore(db, Cipher(trail.RING, PURPOSE))
    ledger = Ledger(store, people, utc_now)

    await Carrying(store, ledger).finish()

    reading = Reading(store, people)
    page = await reading.after(0, limit=2000, wait=trail.NO_TIME)
    assert [shown.entry.number for shown in page.entries] == list(range(1, COUNT + 1))
    assert [shown.entry.sequence for shown in page.entries] == list(range(1, COUNT + 1))
    others = [shown for shown in page.entries if shown.entry.number != 7]
    assert [s.text for s in others] == [trail.signed(s.entry.number).decode() for s in others]
    assert page.entries[4].entry.received_at == from_micros(to_micros(trail.NOON) + 5)
    stripped = page.entries[6]
    assert (stripped.redacted, json.loads(stripped.text)) == (True, json.loads(STRIPPED))
    assert "192.0.2.1" not in everything_in(old)
    assert (await Tamperer(old, db).verdict()).entries == COUNT
    assert await people.keys(["eve"]) == {"eve": None}
    await db.close()


async def test_what_comes_meanwhile_comes_behind(old: str) -> None:
    """The worker takes events from the bus as soon as it starts."""
    migrate(old, "services.audit.migrations")
    db = Database(old, source="audit")
    store, people = LedgerStore(db), PeopleStore(db, Cipher(trail.RING, PURPOSE))
    ledger = Ledger(store, people, utc_now)
    enter = entering(ledger, Carrying(store, ledger))

    new = [received(fact(COUNT + 1)), received(fact(5))]
    assert await enter(new) == 1

    entries = await store.after(0, 2000)
    assert [entry.sequence for entry in entries] == list(range(1, COUNT + 2))
    await db.close()


async def test_whoever_dies_on_the_way_is_followed_by_the_next(old: str) -> None:
    """D5: what was entered and not deleted is known by its id."""
    migrate(old, "services.audit.migrations")
    db = Database(old, source="audit")
    store, people = LedgerStore(db), PeopleStore(db, Cipher(trail.RING, PURPOSE))

    class Dying(LedgerStore):
        async def delete_unsealed(self, ids: object) -> None:
            raise RuntimeError("killed")

    with suppress(RuntimeError):
        await Carrying(Dying(db), Ledger(store, people, utc_now)).finish()
    assert await store.head() == 500

    await Carrying(store, Ledger(store, people, utc_now)).finish()

    assert await store.head() == COUNT
    assert await store.unsealed() == []
    await db.close()


async def test_events_of_before_the_first_partition_are_carried_too(
    database_url: str,
) -> None:
    """There is room from the oldest entry on, whatever the clock said that it came by."""
    migrated_to(database_url, "services.audit.migrations", "0002")
    db = Database(database_url, source="audit")
    old = row(1).replace(str(to_micros(trail.NOON)), "1420070400000000", 1)
    await Tamperer(database_url, db).run(f"INSERT INTO ledger VALUES {old}")

    migrate(database_url, "services.audit.migrations")
    store, people = LedgerStore(db), PeopleStore(db, Cipher(trail.RING, PURPOSE))
    await Carrying(store, Ledger(store, people, utc_now)).finish()

    (entry,) = await store.after(0, 10)
    assert entry.occurred_at.year == 2015
    await db.close()


def received(fact: Fact) -> Received:
    """Return a fact as it comes off the bus."""
    return Received(
        id=fact.id,
        type=fact.type,
        source=fact.source,
        number=fact.number,
        occurred_at=fact.occurred_at,
        subject=fact.subject,
        text=fact.text,
    )
