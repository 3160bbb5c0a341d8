"""The ledger's background work: taking events off the bus, in batches.

How that is done depends on the broker, and is all that depends on it: `queue` consumes from
RabbitMQ through Celery's connection, `tail` reads the list that a redis transport has for a queue.
Both tell good events from others in `sorting`, and bring them into the ledger with `writing`.
"""

from celery import Celery

from services.audit.flows import Ledger
from services.audit.settings import Settings
from services.audit.store import LedgerStore
from services.audit.worker.queue import Intake, intake_step
from services.audit.worker.sorting import Sorter
from services.audit.worker.tail import Tail
from services.audit.worker.writing import Writer
from shared.bus.reach import reachable
from shared.bus.topology import speaks_amqp
from shared.bus.wire import EventVerifier
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check
from shared.worker import background


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
    sorter = Sorter(EventVerifier(settings.event_keys))
    writer = Writer(Ledger(LedgerStore(db), clock))
    if speaks_amqp(url):
        app.steps["consumer"].add(intake_step(Intake(url, sorter, writer, work)))
    else:
        work.forever(Tail(url, sorter, writer).run, "ledger")
