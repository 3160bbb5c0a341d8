"""Wiring: settings in, application out. The only room that knows all others."""

from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI, Request

from services.audit.api import events, people, proofs
from services.audit.domain.scopes import Scope, who_may
from services.audit.flows.forgetting import Forgetting
from services.audit.flows.proving import Proving
from services.audit.flows.reading import Reading
from services.audit.settings import Settings
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from shared.auth import require_caller
from shared.cipher import Cipher
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check, closing, create_service
from shared.settings import load

ROUTERS = (
    (events.router, Scope.FEED),
    (proofs.router, Scope.PROOFS),
    (people.history, Scope.HISTORY),
    (people.forgetting, Scope.FORGET),
)


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Return the ledger as others call it: to read it, and to have people forgotten.

    Adding to it is the worker's.
    """
    settings = settings or load(Settings)
    db = Database(
        settings.audit_database_url.get_secret_value(),
        source="audit",
        clock=clock,
        connections=settings.database_connections,
    )
    store = LedgerStore(db)
    keys = PeopleStore(db, Cipher(settings.audit_sealing_keys, PURPOSE))
    reading = Reading(store, keys)
    app = create_service(
        "audit",
        lifespan=closing(db, reading),
        checks=[Check("audit database", db.ping)],
        trust_context=True,
    )
    app.state.reading = reading
    app.state.proving = Proving(store, CheckpointStore(db))
    app.state.forgetting = Forgetting(keys, clock)
    app.state.stopping = reading.release
    for router, scope in ROUTERS:
        app.include_router(router, dependencies=[Depends(_guard(settings, scope, clock))])
    return app


def _guard(settings: Settings, scope: Scope, clock: Clock) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that admits who has `scope`, and leaves their name with the request."""
    issuers = who_may(settings.audit_scopes, scope)
    require = require_caller(settings.caller_keys, "audit", issuers, clock)

    async def admit(request: Request) -> None:
        request.state.caller = await require(request)

    return admit
