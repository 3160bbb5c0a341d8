"""From a service's transaction to the ledger, with every part killed on the way."""

import json
from collections.abc import Awaitable, Callable

import pytest

from services.audit.domain.retention import STATEMENT
from services.audit.store.ledger import LedgerStore
from shared.bus.publisher import Outgoing, Publisher
from shared.database import Database
from shared.migrations import migrate
from shared.outbox import Outbox
from tests import trail
from tests.audit.tampering import Tamperer
from tests.trail import eventually, happen, processes


@pytest.mark.long
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
    trail.declare(broker_url)
    db = Database(outbox_url, source="demo")
    relay = {"BROKER_URL": broker_url, "OUTBOX_URL": outbox_url}
    ledger = {"BROKER_URL": broker_url, "AUDIT_DATABASE_URL": ledger_url}

    async def sent() -> bool:
        # What has arrived is in the outbox for a moment, until the relay knows that it has.
        return (await Outbox(db).backlog()).count == 0

    total = 1400
    with processes.running("ledger", **ledger):
        await happen(db, 700)
        with processes.running("relay", **relay):
            await eventually(entered(store, 1))
    with processes.running("relay", **relay):
        await happen(db, 700, first=701)
        before = await store.head()
        with processes.running("ledger", **ledger):
            await eventually(entered(store, before + 1))
        with processes.running("ledger", **ledger):
            await eventually(entered(store, total))
            await eventually(sent)

    entries = await store.after(0, 100_000)
    assert sorted(entry.sequence for entry in entries) == list(range(1, total + 1))
    assert len({entry.id for entry in entries}) == total
    await db.close()
    await ledger_db.close()


@pytest.mark.long
async def test_a_worker_states_what_is_due_and_then_drops_it(stack: tuple[str, str]) -> None:
    """Section 3, audit: over the bus, like every event; what is left verifies."""
    ledger_url, broker_url = stack
    migrate(ledger_url, "services.audit.migrations")
    db = Database(ledger_url, source="audit")
    store = LedgerStore(db)
    trail.declare(broker_url)
    (public,) = json.loads(trail.PUBLIC_KEYS_TEXT).values()
    both = json.loads(trail.PUBLIC_KEYS_TEXT) | {"audit-1": {**public, "issuer": "audit"}}
    environment = {
        "BROKER_URL": broker_url,
        "AUDIT_DATABASE_URL": ledger_url,
        "AUDIT_RETENTION": '{"mfa.demo.*": "1d"}',
        "EVENT_KEYS": json.dumps(both),
    }

    async def stated() -> bool:
        return [entry.type for entry in await store.after(0, 10)][3:] == [STATEMENT]

    async def dropped() -> bool:
        return [entry.event is None for entry in await store.after(0, 10)] == [True] * 3 + [False]

    with Publisher(broker_url) as publisher:
        publisher.publish(
            [Outgoing(f"event-{n}", "mfa.demo.happened", trail.signed(n)) for n in (1, 2, 3)]
        )
    with processes.running("ledger", **environment | {"AUDIT_RETENTION": "{}"}):
        await eventually(entered(store, 3))
    with processes.running("ledger", **environment):  # which looks when it starts
        await eventually(stated)
    with processes.running("ledger", **environment):
        await eventually(dropped)

    verdict = await Tamperer(ledger_url, db).verdict()
    assert (verdict.entries, verdict.dropped, verdict.faults) == (4, 3, ())
    await db.close()


def entered(store: LedgerStore, count: int) -> Callable[[], Awaitable[bool]]:
    """Return a condition: the ledger has so many entries, or more."""

    async def condition() -> bool:
        return await store.head() >= count

    return condition
