"""Wiring: settings in, application out. The only room that knows all others."""

from fastapi import FastAPI

from services.totp import api
from services.totp.flows import TotpFlows
from services.totp.settings import Settings
from services.totp.store import PURPOSE, AuthenticatorStore
from shared.auth import require_caller
from shared.bus.reach import reachable
from shared.cipher import Cipher
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.http import Check, closing, create_service, include
from shared.settings import load


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Return the service; its readiness checks are in `app.state.checks`."""
    settings = settings or load(Settings)
    db = Database(
        settings.totp_database_url.get_secret_value(),
        source="totp",
        clock=clock,
        connections=settings.database_connections,
    )
    app = create_service(
        "totp",
        lifespan=closing(db),
        checks=[
            Check("totp database", db.ping),
            Check("broker", reachable(settings.broker_url.get_secret_value()), required=False),
        ],
        trust_context=True,
    )
    app.state.flows = TotpFlows(
        store=AuthenticatorStore(db, Cipher(settings.totp_sealing_keys, PURPOSE)),
        clock=clock,
        policy=settings.policy,
        tolerance=settings.mfa_totp_tolerance,
        issuer=settings.mfa_totp_issuer,
        bypass_code=settings.mfa_totp_insecure_bypass_code.get_secret_value(),
    )
    app.state.guard = require_caller(settings.caller_keys, audience="totp", clock=clock)
    include(app, api.router)
    return app
