"""Background work of the WebAuthn service: its events go out, what nobody answered goes away."""

from datetime import timedelta

from celery import Celery

from services.webauthn.domain.policy import Rules
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.settings import Settings
from services.webauthn.store import CredentialStore
from shared.bus.reach import reachable
from shared.bus.wire import EventSigner
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
        settings.webauthn_database_url.get_secret_value(),
        source="webauthn",
        clock=clock,
        connections=settings.database_connections,
    )
    relay = Relay(db, url, EventSigner(settings.webauthn_event_key), clock)
    flows = WebAuthnFlows(CredentialStore(db), clock, Rules(settings.relying_party))
    work = background(app)
    work.holds(db)
    work.needs(Check("webauthn database", db.ping), Check("broker", reachable(url)))
    work.forever(relay.run, "webauthn relay")
    work.every(SWEEP, flows.sweep, "webauthn sweep")
