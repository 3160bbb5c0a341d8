"""On PostgreSQL: who adds to the ledger cannot change it, and there is room for certain months."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from services.audit.domain.retention import STATEMENT
from services.audit.flows import build_resealing
from services.audit.flows.carrying import Carrying
from services.audit.flows.checkpointing import Checkpointing, Rhythm
from services.audit.flows.entering import Ledger
from services.audit.flows.forgetting import Forgetting
from services.audit.flows.retaining import Retaining
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from services.audit.worker import MEASURES, entering
from shared.cipher import Cipher, KeyRing
from shared.clock import utc_now
from shared.database import Database
from shared.errors import Conflict
from shared.intake.writing import Writer
from shared.outbox import Outbox
from tests import servers, trail
from tests.audit.facts import fact
from tests.audit.signing import CHECKPOINT_KEY, ORIGIN
from tests.audit.test_migrations import received

GRANTS = Path(__file__).parents[2] / "deploy" / "postgresql" / "ledger-writer.sql"
ROLE = f"{servers.MINE}_writer"


@pytest.fixture
def database_url(postgresql_url: str) -> str:
    """PostgreSQL alone."""
    return postgresql_url


@pytest.fixture
def writer_url(ledger_url: str) -> Iterator[str]:
    """The ledger as the role sees it that its API and worker are meant to have."""
    grants = GRANTS.read_text().replace("ledger_writer", ROLE)
    servers.execute(ledger_url, f"CREATE ROLE {ROLE}", grants)
    yield f"{ledger_url}&role={ROLE}"
    servers.execute(ledger_url, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


@pytest.fixture
async def writer(writer_url: str) -> AsyncIterator[Database]:
    """A database as that role has it."""
    db = Database(writer_url, source="audit")
    yield db
    await db.close()


async def attempt(url: str, command: str) -> str:
    """Run a command and return what comes of it."""
    connection = await asyncpg.connect(url, timeout=60)
    try:
        return str(await connection.execute(command))
    except asyncpg.InsufficientPrivilegeError as error:
        return str(error)
    finally:
        await connection.close()


async def test_who_writes_the_ledger_can_do_all_that_its_services_do(writer: Database) -> None:
    store, people = LedgerStore(writer), PeopleStore(writer, Cipher(trail.RING, PURPOSE))
    ledger = Ledger(store, people, utc_now)
    await Carrying(store, ledger).finish()
    old = trail.NOON.replace(month=1)
    await ledger.enter([fact(1, occurred_at=old), fact(2, occurred_at=old.replace(month=3))])
    text = trail.signed(
        3, type=STATEMENT, data={"event_type": "mfa.demo.happened", "before": old.isoformat()}
    )
    await ledger.enter([fact(3, type=STATEMENT, source="audit", text=text.decode())])
    checkpointing = Checkpointing(
        store,
        CheckpointStore(writer),
        utc_now,
        origin=ORIGIN,
        key=CHECKPOINT_KEY,
        rhythm=Rhythm(1, timedelta(minutes=1)),
    )
    await checkpointing.make_due()
    await checkpointing.deliver()
    ring = KeyRing("audit-2", {**trail.RING.keys, "audit-2": b"2" * 32})
    assert (await build_resealing(writer, ring).reseal()).resealed == {trail.RING.primary: 1}
    await Forgetting(people, utc_now).forget("ada", by="session")
    await Retaining(store, utc_now, {"mfa.demo.*": timedelta(days=1)}).sweep()
    assert await Outbox(writer).number_batch() == 4
    await Outbox(writer).delete([row.seq for row in await Outbox(writer).pending()])
    await writer.ping()

    assert await store.head() == 3


@pytest.mark.parametrize("table", ["entries", "entries_2026_01", "leaves", "checkpoints"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
async def test_who_writes_the_ledger_cannot_change_it(
    ledger: Ledger, writer_url: str, table: str, verb: str
) -> None:
    """Section 3, audit: an append-only role."""
    await ledger.enter([fact(1)])
    column = {"leaves": "chain", "checkpoints": "root"}.get(table, "event_hash")
    command = {
        "UPDATE": f"UPDATE {table} SET {column} = ''",
        "DELETE": f"DELETE FROM {table}",
        "TRUNCATE": f"TRUNCATE {table}",
    }[verb]

    assert re.match("permission denied for table", await attempt(writer_url, command))


@pytest.mark.parametrize(
    "command",
    [
        "DROP TABLE entries",
        "DROP TABLE entries_2026_01",
        "ALTER TABLE leaves ADD COLUMN x int",
        "DROP TRIGGER ledger_notify ON leaves",
        "DELETE FROM people",
        "INSERT INTO entries_2026_01 SELECT * FROM entries",
    ],
)
async def test_who_writes_the_ledger_owns_nothing_of_it(writer_url: str, command: str) -> None:
    """Section 3, audit: nor can it take a table, or a person's tombstone, away."""
    assert re.match("must be owner|permission denied", await attempt(writer_url, command))


async def test_what_is_older_than_the_oldest_partition_is_a_dead_letter(
    ledger: Ledger, store: LedgerStore
) -> None:
    """D5: and the others of its batch are entered."""
    old = fact(2, occurred_at=trail.NOON.replace(year=2025, month=12))
    writer = Writer(entering(ledger, Carrying(store, ledger)), MEASURES)
    batch = [received(each) for each in (fact(1), old, fact(3))]

    assert await writer.write(batch) == [batch[1]]
    assert [entry.sequence for entry in await store.after(0, 10)] == [1, 3]


async def test_a_partition_that_an_operator_has_taken_away_moves_the_bound(
    ledger: Ledger, store: LedgerStore, ledger_url: str
) -> None:
    await ledger.enter([fact(1, occurred_at=trail.NOON.replace(month=2))])
    await asyncio.to_thread(servers.execute, ledger_url, "DROP TABLE entries_2026_01")
    january = fact(2, occurred_at=trail.NOON.replace(month=1))

    with pytest.raises(Conflict) as refusal:  # whoever has known of it is told by PostgreSQL
        await ledger.enter([january])
    assert refusal.value.code == "constraint"

    ledger._store._since = None
    with pytest.raises(Conflict) as refusal:
        await ledger.enter([january])
    assert refusal.value.code == "too_old"


async def test_writers_that_make_room_at_once_do_not_fall_over_each_other(
    ledger_url: str,
) -> None:
    databases = [Database(ledger_url, source="audit") for _ in range(4)]
    months = [trail.NOON.replace(month=month) for month in range(2, 9)]

    await asyncio.gather(*(LedgerStore(db).make_room(months) for db in databases))

    for db in databases:
        await db.close()
