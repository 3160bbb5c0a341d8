"""Wiring: settings in, application out. The only room that knows all others."""

import logging
from importlib.resources import files

from fastapi import Depends, FastAPI

from services.webauthn import api
from services.webauthn.domain.metadata import Metadata, read_blob
from services.webauthn.domain.naming import known_names
from services.webauthn.domain.policy import Rules
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.settings import Settings
from services.webauthn.store import CredentialStore
from shared.auth import require_caller
from shared.bus.reach import reachable
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.errors import ConfigurationError
from shared.http import Check, closing, create_service
from shared.settings import load

FIDO_ROOT = files("services.webauthn") / "roots" / "globalsign-r3.pem"

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Return the service; its readiness checks are in `app.state.checks`.

    Raises ConfigurationError for metadata that cannot be trusted.
    """
    settings = settings or load(Settings)
    metadata = read_metadata(settings, clock)
    db = Database(
        settings.webauthn_database_url.get_secret_value(),
        source="webauthn",
        clock=clock,
        connections=settings.database_connections,
    )
    app = create_service(
        "webauthn",
        lifespan=closing(db),
        checks=[
            Check("webauthn database", db.ping),
            Check("broker", reachable(settings.broker_url.get_secret_value()), required=False),
        ],
        trust_context=True,
    )
    app.state.flows = WebAuthnFlows(
        store=CredentialStore(db),
        clock=clock,
        rules=Rules(
            party=settings.relying_party,
            verification=settings.verification,
            policy=settings.policy,
            names=known_names() | metadata.names(),
            metadata=metadata,
        ),
    )
    guard = Depends(require_caller(settings.caller_keys, audience="webauthn", clock=clock))
    app.include_router(api.router, dependencies=[guard])
    return app


def read_metadata(settings: Settings, clock: Clock) -> Metadata:
    """Return FIDO's metadata from the file that the settings name. Raises ConfigurationError."""
    path, root = settings.webauthn_metadata_path, settings.webauthn_metadata_root_path
    if path is None:
        return Metadata()
    try:
        trusted = FIDO_ROOT.read_bytes() if root is None else root.read_bytes()
        metadata = read_blob(path.read_bytes(), trusted, clock())
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        problem = f"WEBAUTHN_METADATA_PATH, or its root, cannot be read: {reason}."
        raise ConfigurationError([problem]) from None
    except ValueError as error:
        raise ConfigurationError([f"WEBAUTHN_METADATA_PATH: {error}."]) from None
    if metadata.is_stale(clock()):
        # Of what FIDO has revoked since, nothing is known; but a file that is late is no reason
        # to let nobody in.
        log.warning("FIDO metadata is out of date since %s", metadata.next_update)
    return metadata
