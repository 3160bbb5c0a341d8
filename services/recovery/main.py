"""Wiring: settings in, application out. The only room that knows all others."""

from fastapi import FastAPI

from services.recovery.api import routers
from services.recovery.flows import CodeFlows, TrustFlows
from services.recovery.settings import Settings
from services.recovery.store import BrowserStore, CodeStore
from shared.auth import require_caller
from shared.bus.reach import reachable
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check, closing, create_service, include
from shared.settings import load


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Return the service; its readiness checks are in `app.state.checks`."""
    settings = settings or load(Settings)
    db = Database(
        settings.recovery_database_url.get_secret_value(),
        source="recovery",
        clock=clock,
        connections=settings.database_connections,
    )
    app = create_service(
        "recovery",
        lifespan=closing(db),
        checks=[
            Check("recovery database", db.ping),
            Check("broker", reachable(settings.broker_url.get_secret_value()), required=False),
        ],
        trust_context=True,
    )
    ring = settings.recovery_sealing_keys
    app.state.codes = CodeFlows(CodeStore(db, ring), clock, settings.codes)
    app.state.trust = TrustFlows(BrowserStore(db, ring), clock, settings.trust)
    app.state.guard = require_caller(settings.caller_keys, audience="recovery", clock=clock)
    include(app, *routers)
    return app
