"""Background work of the TOTP service: its events go out, what was never completed goes away."""

from datetime import timedelta

from celery import Celery

from services.totp.flows import TotpFlows
from services.totp.settings import Settings
from services.totp.store import PURPOSE, AuthenticatorStore
from shared.bus.reach import reachable
from shared.bus.wire import EventSigner
from shared.cipher import Cipher
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check
from shared.relay import Relay
from shared.worker import background

SWEEP = timedelta(minutes=1)


def register(app: Celery, settings: Settings, clock: Clock = utc_now) -> None:
    """Add this service's relay and its sweep to the worker of `app`."""
    url = settings.broker_url.get_secret_value()
    db = Database(
        settings.totp_database_url.get_secret_value(),
        source="totp",
        clock=clock,
        connections=settings.database_connections,
    )
    relay = Relay(db, url, EventSigner(settings.totp_event_key), clock)
    store = AuthenticatorStore(db, Cipher(settings.totp_sealing_keys, PURPOSE))
    flows = TotpFlows(store, clock, settings.policy)
    work = background(app)
    work.holds(db)
    work.needs(Check("totp database", db.ping), Check("broker", reachable(url)))
    work.forever(relay.run, "totp relay")
    work.every(SWEEP, flows.sweep, "totp sweep")
