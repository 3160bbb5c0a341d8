"""Wiring: settings in, application out. The only room that knows all others."""

from fastapi import Depends, FastAPI

from services.audit import api
from services.audit.flows import Forgetting, Reading
from services.audit.settings import Settings
from services.audit.store import LedgerStore
from shared.auth import require_caller
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check, closing, create_service
from shared.settings import load

READERS = frozenset({"operator"})
FORGETTERS = frozenset({"session"})


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Return the ledger as others call it: to read it, and to have people forgotten.

    Adding to it is the worker's.
    """
    settings = settings or load(Settings)
    db = Database(
        settings.audit_database_url.get_secret_value(),
        source="audit",
        connections=settings.database_connections,
    )
    store = LedgerStore(db)
    reading = Reading(store)
    app = create_service(
        "audit",
        lifespan=closing(db, reading),
        checks=[Check("audit database", db.ping)],
        trust_context=True,
    )
    app.state.reading = reading
    app.state.forgetting = Forgetting(store, clock)
    app.state.stopping = reading.release
    for router, callers in ((api.router, READERS), (api.people, FORGETTERS)):
        guard = require_caller(settings.caller_keys, "audit", callers, clock)
        app.include_router(router, dependencies=[Depends(guard)])
    return app
