"""The ledger's background work: taking events off the bus, in batches."""

from collections.abc import Sequence

from celery import Celery

from services.audit.domain import Fact
from services.audit.flows import Ledger
from services.audit.settings import Settings
from services.audit.store import LedgerStore
from shared.bus.reach import reachable
from shared.bus.topology import store_queue
from shared.bus.wire import EventVerifier, Received
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check
from shared.intake import Enter, Measures, take_in
from shared.worker import background

MEASURES = Measures("ledger")


def register(app: Celery, settings: Settings, clock: Clock = utc_now) -> None:
    """Add the ledger's consumer to the worker of `app`."""
    url = settings.broker_url.get_secret_value()
    db = Database(
        settings.audit_database_url.get_secret_value(),
        source="audit",
        clock=clock,
        connections=settings.database_connections,
    )
    work = background(app)
    work.holds(db)
    work.needs(Check("audit database", db.ping), Check("broker", reachable(url)))
    take_in(
        app,
        url,
        store_queue(url),
        verifier=EventVerifier(settings.event_keys),
        enter=entering(Ledger(LedgerStore(db), clock)),
        measures=MEASURES,
    )


def entering(ledger: Ledger) -> Enter:
    """Return what enters events off the bus into `ledger`."""

    async def enter(events: Sequence[Received]) -> int:
        return await ledger.enter([_fact(event) for event in events])

    return enter


def _fact(event: Received) -> Fact:
    return Fact(
        id=event.id,
        type=event.type,
        source=event.source,
        number=event.number,
        occurred_at=event.occurred_at,
        subject=event.subject,
        text=event.text,
    )
