"""Wiring: settings in, application out. The only room that knows all others."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
from fastapi import FastAPI

from services.session.api import (
    account,
    auth,
    config,
    edge,
    envelope,
    other_factors,
    person,
    sessions,
    trusted_browsers,
    webauthn_keys,
    webauthn_signup,
    well_known,
)
from services.session.api.browser import Cookie
from services.session.api.headers import TransportSecurity
from services.session.api.hosts import default_hosts
from services.session.domain.factors import RECOVERY_CODES, TOTP, WEBAUTHN
from services.session.domain.sessions import Client
from services.session.flows import PasswordHasher, build_flows
from services.session.flows.trust import KEEPER
from services.session.pages import inbox
from services.session.settings import Settings
from shared.auth import Caller
from shared.bus.reach import reachable
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.factor import FactorClient
from shared.http import Check, closing, connect, create_service
from shared.settings import load
from shared.trust import TrustClient


def create_app(
    settings: Settings | None = None,
    clock: Clock = utc_now,
    factor_transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
) -> FastAPI:
    """Return the service; its readiness checks are in `app.state.checks`.

    `factor_transports` stand in for the network, by service, where factors run in this process.
    """
    settings = settings or load(Settings)
    db = Database(
        settings.session_database_url.get_secret_value(),
        source="session",
        clock=clock,
        connections=settings.database_connections,
    )
    hasher = PasswordHasher(queue=settings.password_hash_queue)
    factors = _factors(settings, clock, factor_transports or {})
    keeper = _keeper(settings, clock, factor_transports or {})

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(hasher.close)
            for factor in factors.values():
                stack.push_async_callback(factor.close)
            if keeper is not None:
                stack.push_async_callback(keeper.close)
            await stack.enter_async_context(closing(db)(app))
            yield

    app = create_service(
        "session",
        lifespan=lifespan,
        checks=[
            Check("session database", db.ping),
            Check("broker", reachable(settings.broker_url.get_secret_value()), required=False),
            *(Check(name, factor.ready, required=False) for name, factor in factors.items()),
        ],
        errors=envelope.shape,
    )
    flows = build_flows(
        db,
        ring=settings.session_sealing_keys,
        factors=factors,
        clock=clock,
        policy=settings.policy,
        hasher=hasher,
        keeper=keeper,
    )
    edge.mount(app, _resources(settings), flows, edge_settings(settings))
    if WEBAUTHN in settings.mfa_supported_types:
        well_known.add(app, _passkeys(settings))
    if settings.countersign_development and settings.smtp_url is None:
        inbox.add(app, settings.inbox)
    return app


def _resources(settings: Settings) -> list[edge.Routes]:
    """Return the endpoints that there are."""
    resources = [
        config.routes_for(_configured(settings)),
        auth.routes,
        account.routes,
        person.routes,
        sessions.routes,
    ]
    optional = {
        account.totp_routes: TOTP in settings.mfa_supported_types,
        account.recovery_codes_routes: RECOVERY_CODES in settings.mfa_supported_types,
        webauthn_keys.routes: WEBAUTHN in settings.mfa_supported_types,
        auth.webauthn_routes: WEBAUTHN in settings.mfa_supported_types,
        auth.passkey_routes: settings.mfa_passkey_login_enabled,
        webauthn_signup.routes: settings.mfa_passkey_signup_enabled,
        auth.trust_routes: settings.mfa_trust_enabled,
        trusted_browsers.routes: settings.mfa_trust_enabled,
    }
    resources.append(other_factors.routes_for(settings.mfa_other_factors))
    return resources + [routes for routes, there in optional.items() if there]


def edge_settings(settings: Settings) -> edge.EdgeSettings:
    """Return everything about the outside that is configured."""
    https = settings.public_url.lower().startswith("https://")
    return edge.EdgeSettings(
        public_url=settings.public_url,
        clients=frozenset(Client(name) for name in settings.headless_clients),
        allowed_hosts=settings.allowed_hosts
        or default_hosts(settings.public_url, development=settings.countersign_development),
        trusted_origins=settings.csrf_trusted_origins,
        cors_origins=settings.cors_allowed_origins,
        session_cookie=_session_cookie(settings, https=https),
        csrf_cookie=_cookie(settings, "csrf", https=https),
        trust_cookie=_trust_cookie(settings, https=https),
        ways=(
            *envelope.WAYS,
            *(["mfa_login_webauthn"] if settings.mfa_passkey_login_enabled else []),
        ),
        csrf_header=settings.csrf_header_name.removeprefix("HTTP_").replace("_", "-").lower(),
        trusted_proxy_count=settings.allauth_trusted_proxy_count,
        client_ip_header=settings.allauth_trusted_client_ip_header,
        transport=TransportSecurity(
            seconds=settings.secure_hsts_seconds,
            include_subdomains=settings.secure_hsts_include_subdomains,
            preload=settings.secure_hsts_preload,
        ),
    )


def _session_cookie(settings: Settings, *, https: bool) -> Cookie:
    cookie = _cookie(settings, "session", https=https)
    return replace(cookie, age=None) if settings.account_session_remember is False else cookie


def _trust_cookie(settings: Settings, *, https: bool) -> Cookie | None:
    """Return the cookie of trust; what is not said of it is as with the session cookie."""
    if not settings.mfa_trust_enabled:
        return None
    own = _cookie_settings(settings, "mfa_trust")
    like = _cookie_settings(settings, "session")
    chosen = {name: like[name] if value is None else value for name, value in own.items()}
    return _made(chosen, https=https)


def _cookie(settings: Settings, name: str, *, https: bool) -> Cookie:
    """Return the cookie whose settings begin with `name`."""
    return _made(_cookie_settings(settings, name), https=https)


def _cookie_settings(settings: Settings, name: str) -> dict[str, Any]:
    return {
        field.removeprefix(f"{name}_cookie_"): getattr(settings, field)
        for field in type(settings).model_fields
        if field.startswith(f"{name}_cookie_")
    }


def _made(own: Mapping[str, Any], *, https: bool) -> Cookie:
    secure = https if own["secure"] is None else own["secure"]
    return Cookie(**{**own, "secure": secure})


def _factors(
    settings: Settings, clock: Clock, transports: Mapping[str, httpx.AsyncBaseTransport]
) -> dict[str, FactorClient]:
    caller = Caller(settings.session_caller_key, clock)
    return {
        name: FactorClient(
            connect(url, caller=caller, audience=name, transport=transports.get(name))
        )
        for name, url in settings.factor_urls.items()
    }


def _keeper(
    settings: Settings, clock: Clock, transports: Mapping[str, httpx.AsyncBaseTransport]
) -> TrustClient | None:
    """Return who knows which browsers are trusted, or None if none is to be."""
    if not settings.mfa_trust_enabled:
        return None
    caller = Caller(settings.session_caller_key, clock)
    transport = transports.get(KEEPER)
    return TrustClient(
        connect(settings.recovery_url, caller=caller, audience=KEEPER, transport=transport)
    )


def _passkeys(settings: Settings) -> well_known.Passkeys:
    return well_known.Passkeys(
        related_origins=settings.webauthn_related_origins,
        enroll_url=settings.passkey_enroll_url,
        manage_url=settings.passkey_manage_url,
    )


def _configured(settings: Settings) -> config.Configured:
    return config.Configured(
        login_methods=sorted(settings.account_login_methods),
        supported_types=list(settings.offered_types),
        passkey_login_enabled=settings.mfa_passkey_login_enabled,
        track_activity=settings.usersessions_track_activity,
    )
