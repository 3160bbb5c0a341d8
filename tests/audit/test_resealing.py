"""D2: the keys of people are sealed by a new key while the ledger is written and read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import bindparam, select, update

from services.audit.domain.reading import EVERYTHING
from services.audit.flows import build_resealing
from services.audit.flows.checkpointing import Checkpointing
from services.audit.flows.entering import Ledger
from services.audit.flows.forgetting import Forgetting
from services.audit.flows.reading import Reading
from services.audit.flows.verifying import Verifying
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from services.audit.store.tables import people
from shared.cipher import Cipher, KeyRing, key_of
from shared.clock import utc_now
from shared.database import Database, Statement, step
from tests import trail
from tests.audit.facts import fact
from tests.audit.signing import VERIFIER
from tests.resealing import NEW, OLD, TURNED, Interrupted, on_record, told

PEOPLE = Statement(select(people.c.subject, people.c.sealed_key).order_by(people.c.subject))
SPOIL = Statement(
    update(people).where(people.c.subject == bindparam("a")).values(sealed_key=bindparam("sealed"))
)


def store_of(db: Database, ring: KeyRing) -> PeopleStore:
    """Return the keys of people as they are with this ring."""
    return PeopleStore(db, Cipher(ring, PURPOSE))


def ledger_of(db: Database, ring: KeyRing) -> Ledger:
    """Return the flow that writes the ledger, with this ring."""
    return Ledger(LedgerStore(db), store_of(db, ring), utc_now)


@asynccontextmanager
async def reading_by(db: Database, ring: KeyRing) -> AsyncIterator[Reading]:
    """Yield the flow that shows the ledger, with this ring."""
    reading = Reading(LedgerStore(db), store_of(db, ring))
    yield reading
    await reading.close()


async def shown(db: Database, ring: KeyRing) -> list[tuple[str, bool]]:
    """Return each event as readers see it, and whether it is redacted."""
    async with reading_by(db, ring) as reading:
        page = await reading.after(0, limit=1000, wait=trail.NO_TIME, wanted=EVERYTHING)
        return [(each.text, each.redacted) for each in page.entries]


async def keys_in_use(db: Database) -> set[str]:
    """Return which keys seal those of people."""
    return {key_of(row.sealed_key) for row in await db.all(PEOPLE) if row.sealed_key is not None}


async def test_the_old_key_can_go(
    db: Database, checkpoints: CheckpointStore, checkpointing: Checkpointing
) -> None:
    """History is read, goes on and is proved, of people and of nobody, by the new key alone."""
    ledger = ledger_of(db, OLD)
    await ledger.enter([fact(1), fact(2, subject="bob"), fact(3, subject=None)])
    await Forgetting(store_of(db, OLD), utc_now).forget("eve", by="session")
    await checkpointing.make_due()
    before = await shown(db, OLD)

    tally = await build_resealing(db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({"k1": 3}, {})
    assert await keys_in_use(db) == {"k2"}
    assert [row.subject for row in await db.all(PEOPLE) if row.sealed_key is None] == ["eve"]
    assert await shown(db, NEW) == before
    assert not any(redacted for _, redacted in before)
    await ledger_of(db, NEW).enter([fact(4), fact(5, subject=None)])
    assert len(await shown(db, NEW)) == 5
    await checkpointing.make_due()
    assert (await Verifying(LedgerStore(db), checkpoints).verify([VERIFIER])).faults == ()
    assert await told(db) == on_record(3)


async def test_a_second_run_does_nothing(db: Database) -> None:
    await ledger_of(db, OLD).enter([fact(1), fact(2, subject=None)])
    await build_resealing(db, TURNED).reseal()
    before = await db.all(PEOPLE)

    tally = await build_resealing(db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({}, {})
    assert await db.all(PEOPLE) == before
    assert await told(db) == on_record(2)


async def test_what_no_key_opens_is_told_and_left(db: Database) -> None:
    await ledger_of(db, OLD).enter([fact(1), fact(2, subject="bob")])
    rows = {row.subject: row.sealed_key for row in await db.all(PEOPLE)}
    await db.apply(step(SPOIL, a="bob", sealed=rows["ada"]))

    tally = await build_resealing(db, TURNED).reseal()

    assert tally.resealed == {"k1": 1}
    ((reason, count),) = tally.left.items()
    assert (reason.table, reason.code, reason.key, count) == ("people", "cannot_open", "k1", 1)
    assert tally.examples[reason] == ["bob"]
    assert await told(db) == on_record(1, left=1)


async def test_who_is_forgotten_meanwhile_stays_so(db: Database) -> None:
    """The key that was read before does not come back."""
    await ledger_of(db, OLD).enter([fact(1), fact(2, subject="bob")])
    forgetting = Forgetting(store_of(db, OLD), utc_now)

    meanwhile = Interrupted(db, lambda: forgetting.forget("ada", by="session"))
    tally = await build_resealing(meanwhile, TURNED).reseal()

    assert tally.resealed == {"k1": 1}
    (_, adas), (_, bobs) = await shown(db, NEW)
    assert (adas, bobs) == (True, False)


async def test_the_ledger_is_written_and_read_meanwhile(db: Database) -> None:
    await ledger_of(db, OLD).enter([fact(n, subject=f"user{n}") for n in range(1, 200)])

    async def write() -> None:
        ledger = ledger_of(db, TURNED)
        for n in range(200, 260):
            await ledger.enter([fact(n, subject=f"user{n - 150}")])

    await asyncio.gather(write(), build_resealing(db, TURNED).reseal())

    entries = await shown(db, NEW)
    assert len(entries) == 259
    assert not any(redacted for _, redacted in entries)
