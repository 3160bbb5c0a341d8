"""From a service's transaction to the ledger, with every part killed on the way."""

from collections.abc import Awaitable, Callable

from services.audit.store import LedgerStore
from shared.bus import topology
from shared.database import Database
from shared.migrations import migrate
from shared.outbox import Outbox
from tests.trail import eventually, happen, processes


async def test_events_in_are_events_in_the_ledger_whoever_is_killed(
    stack: tuple[str, str], sqlite_url: str
) -> None:
    """D5: relay and ledger killed with -9 by turns; none is lost, none is there twice."""
    ledger_url, broker_url = stack
    migrate(ledger_url, "services.audit.migrations")
    ledger_db = Database(ledger_url, source="audit")
    store = LedgerStore(ledger_db)
    outbox_url = sqlite_url.replace("test.db", "outbox.db")
    migrate(outbox_url, "tests.trail.migrations")
    topology.declare(broker_url)
    db = Database(outbox_url, source="demo")
    relay = {"BROKER_URL": broker_url, "OUTBOX_URL": outbox_url}
    ledger = {"BROKER_URL": broker_url, "AUDIT_DATABASE_URL": ledger_url}

    def entered(count: int) -> Callable[[], Awaitable[bool]]:
        async def condition() -> bool:
            return await store.head() >= count

        return condition

    async def sent() -> bool:
        # What has arrived is in the outbox for a moment, until the relay knows that it has.
        return (await Outbox(db).backlog()).count == 0

    total = 1400
    with processes.running("ledger", **ledger):
        await happen(db, 700)
        with processes.running("relay", **relay):
            await eventually(entered(1))
    with processes.running("relay", **relay):
        await happen(db, 700, first=701)
        before = await store.head()
        with processes.running("ledger", **ledger):
            await eventually(entered(before + 1))
        with processes.running("ledger", **ledger):
            await eventually(entered(total))
            await eventually(sent)

    entries = await store.after(0, 100_000)
    assert sorted(entry.fact.number for entry in entries) == list(range(1, total + 1))
    assert len({entry.fact.id for entry in entries}) == total
    await db.close()
    await ledger_db.close()
