"""The factors that the kit is run on, each in this process and on a database of its own."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from services.cli.conformance.device import Device
from services.cli.conformance.subject import Subject
from services.recovery.main import create_app as create_recovery
from services.recovery.settings import Settings as RecoverySettings
from services.totp.main import create_app as create_totp
from services.totp.settings import Settings as TotpSettings
from services.webauthn.main import create_app as create_webauthn
from services.webauthn.settings import Settings as WebAuthnSettings
from shared.auth import PrivateKey
from shared.cipher import KeyRing
from tests.conformance.devices import Authenticator, Passkey, Sheet, Stick
from tests.conformance.yubikey.door import Door
from tests.conformance.yubikey.factor import Factor, create_app
from tests.conformance.yubikey.keeper import Keeper
from tests.tables import create_tables
from tests.webauthn.authenticator import ORIGIN

RING = KeyRing(primary="k1", keys={"k1": bytes(32)})
STEP = timedelta(seconds=30)


class Hands:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 12, 0, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self) -> None:
        """Let a step of time-based codes pass."""
        self.now += STEP

    def seconds(self) -> float:
        """Return what it shows, since 1970."""
        return self.now.timestamp()


def new_key(issuer: str) -> PrivateKey:
    """Return the key of a calling service."""
    return PrivateKey(id=f"{issuer}-1", issuer=issuer, key=Ed25519PrivateKey.generate())


SESSION, AUDIT = new_key("session"), new_key("audit")


def listed(*keys: PrivateKey) -> str:
    """Return the text of `CALLER_KEYS` with their public halves."""
    return json.dumps(
        {
            key.id: {
                "issuer": key.issuer,
                "key": b64encode(key.key.public_key().public_bytes_raw()).decode(),
            }
            for key in keys
        }
    )


CALLERS = listed(SESSION, AUDIT)


def subject_of(
    name: str, app: Any, clock: Hands, device: Callable[[], Device], *, type: str | None = None
) -> Subject:
    """Return what the kit is told of an application."""
    return Subject(
        url=f"http://{name}",
        key=SESSION,
        stranger=AUDIT,
        audience=name,
        type=type or name,
        device=device,
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        clock=clock,
        rounds=2,
    )


def _common(name: str, url: str) -> dict[str, Any]:
    create_tables(url, f"services.{name}.migrations")
    return {
        f"{name}_database_url": url,
        f"{name}_sealing_keys": RING,
        f"{name}_event_key": new_key(name),
        "caller_keys": CALLERS,
        "broker_url": "redis://127.0.0.1:1/0",
    }


@asynccontextmanager
async def _living(app: FastAPI, subject: Subject) -> AsyncIterator[Subject]:
    async with app.router.lifespan_context(app):
        yield subject


def totp(url: str) -> AbstractAsyncContextManager[Subject]:
    """Time-based codes."""
    clock = Hands()
    app = create_totp(TotpSettings(**_common("totp", url)), clock)
    device = lambda: Authenticator(clock.seconds, clock.turn)  # noqa: E731
    return _living(app, subject_of("totp", app, clock, device))


def recovery(url: str) -> AbstractAsyncContextManager[Subject]:
    """Recovery codes."""
    clock = Hands()
    app = create_recovery(RecoverySettings(**_common("recovery", url)), clock)
    return _living(app, subject_of("recovery", app, clock, Sheet, type="recovery_codes"))


def webauthn(url: str) -> AbstractAsyncContextManager[Subject]:
    """Passkeys."""
    clock = Hands()
    settings = WebAuthnSettings(**_common("webauthn", url), public_url=ORIGIN)
    app = create_webauthn(settings, clock)
    return _living(app, subject_of("webauthn", app, clock, Passkey))


OURS: Mapping[str, Callable[[str], AbstractAsyncContextManager[Subject]]] = MappingProxyType(
    {
        "totp": totp,
        "recovery": recovery,
        "webauthn": webauthn,
    }
)
"""Each of our own factors, by what opens it on a database."""


def yubikey_factor(
    path: str = ":memory:",
    clock: Callable[[], float] | None = None,
    *,
    callers: str = CALLERS,
    factor: type[Factor] = Factor,
    keeper: type[Keeper] = Keeper,
    door: type[Door] = Door,
) -> Factor:
    """Return the fourth factor, or one that is made of other parts."""
    now = clock or Hands().seconds
    return factor(keeper(path, bytes(32)), door(callers, "yubikey", now), now)


@asynccontextmanager
async def yubikey(clock: Hands, factor: Factor) -> AsyncIterator[Subject]:
    """The fourth, which is someone else's."""
    try:
        yield subject_of("yubikey", create_app(factor), clock, Stick)
    finally:
        factor.keeper.close()
