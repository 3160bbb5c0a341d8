"""Background work of the recovery service: its events go out, what is over goes away."""

from datetime import timedelta

from celery import Celery

from services.recovery.flows import CodeFlows, TrustFlows
from services.recovery.settings import Settings
from services.recovery.store import BrowserStore, CodeStore
from shared.bus.reach import reachable
from shared.bus.wire import EventSigner
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check
from shared.relay import Relay
from shared.worker import background

SWEEP = timedelta(minutes=1)


def register(app: Celery, settings: Settings, clock: Clock = utc_now) -> None:
    """Add this service's relay and its sweeps to the worker of `app`."""
    url = settings.broker_url.get_secret_value()
    db = Database(
        settings.recovery_database_url.get_secret_value(),
        source="recovery",
        clock=clock,
        connections=settings.database_connections,
    )
    relay = Relay(db, url, EventSigner(settings.recovery_event_key), clock)
    ring = settings.recovery_sealing_keys
    codes = CodeFlows(CodeStore(db, ring), clock, settings.codes)
    trust = TrustFlows(BrowserStore(db, ring), clock, settings.trust)
    work = background(app)
    work.holds(db)
    work.needs(Check("recovery database", db.ping), Check("broker", reachable(url)))
    work.forever(relay.run, "recovery relay")
    work.every(SWEEP, trust.sweep, "recovery sweep of browsers")
    work.every(SWEEP, codes.erase_viewed, "recovery sweep of codes")
