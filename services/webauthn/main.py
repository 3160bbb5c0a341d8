"""Wiring: settings in, application out. The only room that knows all others."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, time
from importlib.resources import files

from fastapi import FastAPI
from prometheus_client import Gauge

from services.webauthn import api
from services.webauthn.domain.metadata import Metadata, read_blob
from services.webauthn.domain.naming import known_names
from services.webauthn.domain.policy import Conveyance, Rules
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.settings import Settings
from services.webauthn.store import CredentialStore
from shared.auth import require_caller
from shared.bus.reach import reachable
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.errors import ConfigurationError, Unavailable
from shared.http import Check, closing, create_service, include
from shared.settings import load

FIDO_ROOT = files("services.webauthn") / "roots" / "globalsign-r3.pem"

# With a label, so that without metadata nothing is shown, rather than 1970.
metadata_until = Gauge(
    "countersign_fido_metadata_until_timestamp_seconds",
    "The day on which FIDO replaces the metadata that are in use, in seconds since 1970.",
    ["source"],
)

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Return the service; its readiness checks are in `app.state.checks`.

    Raises ConfigurationError for metadata that cannot be trusted.
    """
    settings = settings or load(Settings)
    party = settings.relying_party
    if not party.origins:
        log.warning(
            "PUBLIC_URL is unfit for keys, which are not in MFA_SUPPORTED_TYPES: none is let in"
        )
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
            *_watched(metadata, clock),
        ],
        trust_context=True,
    )
    app.state.flows = WebAuthnFlows(
        store=CredentialStore(db),
        clock=clock,
        rules=Rules(
            party=party,
            verification=settings.verification,
            policy=settings.policy,
            names=known_names() | metadata.names(),
            metadata=metadata,
        ),
    )
    app.state.guard = require_caller(settings.caller_keys, audience="webauthn", clock=clock)
    include(app, api.router)
    return app


def read_metadata(settings: Settings, clock: Clock) -> Metadata:
    """Return FIDO's metadata from the file that the settings name. Raises ConfigurationError."""
    path, root = settings.webauthn_metadata_path, settings.webauthn_metadata_root_path
    if path is None:
        return Metadata()
    try:
        trusted = FIDO_ROOT.read_bytes() if root is None else root.read_bytes()
        metadata = read_blob(
            path.read_bytes(), trusted, clock(), settings.webauthn_tolerated_statuses
        )
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        problem = f"WEBAUTHN_METADATA_PATH, or its root, cannot be read: {reason}."
        raise ConfigurationError([problem]) from None
    except ValueError as error:
        raise ConfigurationError([f"WEBAUTHN_METADATA_PATH: {error}."]) from None
    # Of what FIDO has revoked since, nothing is known.
    is_needed = settings.policy.conveyance is not Conveyance.NONE
    if is_needed and metadata.is_overdue(clock(), settings.webauthn_metadata_grace):
        problem = f"WEBAUTHN_METADATA_PATH: is out of date since {metadata.next_update}."
        raise ConfigurationError([problem])
    if metadata.is_stale(clock()):
        log.warning("FIDO metadata is out of date since %s", metadata.next_update)
    return metadata


def _watched(metadata: Metadata, clock: Clock) -> Iterable[Check]:
    """Show when the metadata run out, and yield a check of that.

    Logins go on: an old list of what is revoked is no reason to let nobody in.
    """
    if metadata.next_update is None:
        return
    midnight = datetime.combine(metadata.next_update, time.min, UTC)
    metadata_until.labels("webauthn").set(midnight.timestamp())

    async def probe() -> None:
        if metadata.is_stale(clock()):
            raise Unavailable(f"They are out of date since {metadata.next_update}.")

    yield Check("FIDO metadata", probe, required=False)
