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
    emails,
    entrance,
    envelope,
    login_codes,
    other_factors,
    passwords,
    person,
    sessions,
    specification,
    tokens,
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
from services.session.gateway.ledger import LedgerClient
from services.session.pages import everything, inbox
from services.session.pages.mishaps import Mishaps
from services.session.pages.paths import path_of
from services.session.pages.press import Press
from services.session.pages.site import Site
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
    hasher = PasswordHasher(
        queue=settings.password_hash_queue,
        memory=settings.password_hash_memory,
        passes=settings.password_hash_passes,
    )
    factors = _factors(settings, clock, factor_transports or {})
    keeper = _keeper(settings, clock, factor_transports or {})
    ledger = _ledger(settings, clock)

    outside = edge_settings(settings)
    press = Press(_site(settings), outside.csrf_cookie, clock)
    mishaps = _mishaps(settings, press)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(hasher.close)
            for factor in factors.values():
                stack.push_async_callback(factor.close)
            if keeper is not None:
                stack.push_async_callback(keeper.close)
            stack.push_async_callback(ledger.close)
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
        errors=mishaps.shape if mishaps else envelope.shape,
    )
    flows = build_flows(
        db,
        ring=settings.session_sealing_keys,
        factors=factors,
        clock=clock,
        policy=settings.policy,
        hasher=hasher,
        keeper=keeper,
        ledger=ledger,
    )
    operations = edge.mount(app, _resources(settings), flows, outside)
    specification.describe(app, operations, _described(outside))
    if settings.headless_serve_specification:
        specification.serve(app)
    if WEBAUTHN in settings.mfa_supported_types:
        well_known.add(app, _passkeys(settings))
    if settings.tokens is not None:
        well_known.add_keys(app, settings.tokens.keys.jwks)
    if mishaps is not None:
        everything.add(app, flows, outside, press, mishaps)
    _dress(app, settings, press)
    return app


def _mishaps(settings: Settings, press: Press) -> Mishaps | None:
    """Return what tells people what went wrong, if there are pages for them."""
    return None if settings.headless_only else everything.mishaps_for(press)


def _dress(app: FastAPI, settings: Settings, press: Press) -> None:
    """Serve the development inbox, and what it and the pages are dressed in."""
    pages = not settings.headless_only
    if settings.mails_into_inbox:
        inbox.add(app, settings.inbox, press, pages=pages)
    if pages or settings.mails_into_inbox:
        press.assets.add(app)


def _resources(settings: Settings) -> list[edge.Routes]:
    """Return the endpoints that there are."""
    resources = [
        config.routes_for(_configured(settings)),
        entrance.routes_for(settings.entrance),
        auth.routes,
        login_codes.routes,
        account.routes,
        emails.verification_routes(by_code=settings.account_email_verification_by_code_enabled),
        emails.routes,
        person.routes,
        sessions.routes,
        tokens.routes,
    ]
    if settings.resets_passwords:
        by_code = settings.account_password_reset_by_code_enabled
        resources.append(passwords.reset_routes(by_code=by_code))
    optional = {
        account.totp_routes: TOTP in settings.mfa_supported_types,
        account.recovery_codes_routes: RECOVERY_CODES in settings.mfa_supported_types,
        webauthn_keys.routes: WEBAUTHN in settings.mfa_supported_types,
        auth.webauthn_routes: WEBAUTHN in settings.mfa_supported_types,
        auth.passkey_routes: settings.mfa_passkey_login_enabled,
        webauthn_signup.routes: settings.mfa_passkey_signup_enabled,
        webauthn_signup.entrance_for(settings.entrance): settings.mfa_passkey_signup_enabled,
        login_codes.request_routes: settings.account_login_by_code_enabled,
        auth.trust_routes: settings.trusts_browsers,
        trusted_browsers.routes: settings.trusts_browsers,
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
        ways=_ways(settings),
        csrf_header=settings.csrf_header_name.removeprefix("HTTP_").replace("_", "-").lower(),
        bearer_scheme=settings.bearer_scheme,
        trusted_proxy_count=settings.allauth_trusted_proxy_count,
        client_ip_header=settings.allauth_trusted_client_ip_header,
        transport=TransportSecurity(
            seconds=settings.secure_hsts_seconds,
            include_subdomains=settings.secure_hsts_include_subdomains,
            preload=settings.secure_hsts_preload,
        ),
        languages=settings.spoken,
    )


def _site(settings: Settings) -> Site:
    https = settings.public_url.lower().startswith("https://")
    return Site(
        brand=settings.brand,
        offers=settings.offers,
        languages=settings.spoken,
        templates=settings.pages_templates_dir,
        home=settings.login_redirect_url,
        farewell=settings.account_logout_redirect_url,
        inbox=inbox.PATH if settings.mails_into_inbox else None,
        cookie=_session_cookie(settings, https=https),
    )


def _described(outside: edge.EdgeSettings) -> specification.Outside:
    return specification.Outside(
        public_url=outside.public_url,
        session_cookie=outside.session_cookie.name,
        csrf_cookie=outside.csrf_cookie.name,
        csrf_header=outside.csrf_header,
        bearer_scheme=outside.bearer_scheme,
    )


def _ways(settings: Settings) -> tuple[str, ...]:
    """Return the flows by which anybody may log in."""
    ways = {
        "login": True,
        "login_by_code": settings.account_login_by_code_enabled,
        "signup": True,
        "mfa_login_webauthn": settings.mfa_passkey_login_enabled,
        envelope.RESET: settings.account_password_reset_by_code_enabled,
    }
    return tuple(way for way, there in ways.items() if there)


def _session_cookie(settings: Settings, *, https: bool) -> Cookie:
    cookie = _cookie(settings, "session", https=https)
    return replace(cookie, age=None) if settings.account_session_remember is False else cookie


def _trust_cookie(settings: Settings, *, https: bool) -> Cookie | None:
    """Return the cookie of trust; what is not said of it is as with the session cookie."""
    if not settings.trusts_browsers:
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
    if not settings.trusts_browsers:
        return None
    caller = Caller(settings.session_caller_key, clock)
    transport = transports.get(KEEPER)
    return TrustClient(
        connect(settings.recovery_url, caller=caller, audience=KEEPER, transport=transport)
    )


def _ledger(settings: Settings, clock: Clock) -> LedgerClient:
    """Return who knows what has happened to a person: for pages, which somebody waits for."""
    caller = Caller(settings.session_caller_key, clock)
    return LedgerClient(connect(settings.audit_url, caller=caller, audience="audit"))


def _passkeys(settings: Settings) -> well_known.Passkeys:
    """Return what password managers are told: our pages, unless others are named."""
    enroll, manage = settings.passkey_enroll_url, settings.passkey_manage_url
    if not settings.headless_only:
        site = settings.public_url.rstrip("/")
        enroll = enroll or site + path_of("mfa_add_webauthn")
        manage = manage or site + path_of("mfa_list_webauthn")
    return well_known.Passkeys(
        related_origins=settings.webauthn_related_origins, enroll_url=enroll, manage_url=manage
    )


def _configured(settings: Settings) -> config.Configured:
    return config.Configured(
        login_methods=sorted(settings.account_login_methods),
        email_verification_by_code_enabled=settings.account_email_verification_by_code_enabled,
        supported_types=list(settings.offered_types),
        passkey_login_enabled=settings.mfa_passkey_login_enabled,
        login_by_code_enabled=settings.account_login_by_code_enabled,
        password_reset_by_code_enabled=settings.account_password_reset_by_code_enabled,
        track_activity=settings.usersessions_track_activity,
    )
