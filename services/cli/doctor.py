"""`countersign doctor`: what is wrong with a configuration, in plain words."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click
from pydantic import SecretStr

from services.cli.environment import OPERATOR, OTHERS, adopt, read, recall
from services.cli.events import ReaderSettings
from services.cli.failing import telling
from services.embedded import create_apps, database_url, load_settings
from services.session.domain.reports import REPORTED
from services.suite import ALL, SERVICES
from shared.auth import PrivateKey, PublicKey, PublicKeys
from shared.bus import topology
from shared.database import Database
from shared.errors import ConfigurationError, CountersignError
from shared.migrations import newest
from shared.settings import ServiceSettings, load

PATIENCE = 5.0  # seconds that one part has to answer
A_YEAR = 31536000  # seconds
LISTINGS = {"caller_keys": "caller_key", "event_keys": "event_key"}
"""Each setting with public keys, and how the settings end that have the private halves."""


@click.command()
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Examine what `up` would be told with this file.",
)
@click.argument("services", nargs=-1, type=click.Choice(SERVICES))
@telling
def doctor(services: tuple[str, ...], env_file: Path | None) -> None:
    """Say in plain words what is wrong with the configuration of SERVICES (default: all).

    Exits with 1 if anything is.
    """
    problems = asyncio.run(_examine(services or SERVICES, env_file))
    for problem in problems:
        click.echo(f"- {problem}")
    if problems:
        raise SystemExit(1)
    click.echo("Nothing is wrong: settings, keys, databases, broker, mail and public URL fit.")


async def _examine(services: Sequence[str], env_file: Path | None) -> list[str]:
    try:
        suite = read(env_file) if env_file else recall()
        adopt(suite)
        settings = load_settings(services, by="worker")
        create_apps(settings)  # refuses what only shows when the parts are put together
    except ConfigurationError as error:
        return list(error.problems)
    signers = settings
    if {"OPERATOR_CALLER_KEY", "OPERATOR_CALLER_KEY_FILE"} & os.environ.keys():
        signers = settings | {OPERATOR: load(ReaderSettings)}
    found = [*unsafe_files(os.environ), *unfit_keys(signers), *odd_public_url(settings)]
    found += hidden_clients(settings)
    found += shut_out_pages(settings)
    found += unheard_promises(settings)
    found += unbounded_guesses(settings)
    found += unbounded_keys(settings)
    found += [problem async for problem in absent_parts(settings)]
    return found


def unsafe_files(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each file with a secret that others on this machine can read."""
    for name, value in sorted(variables.items()):
        secret = name.endswith(("_KEY_FILE", "_KEYS_FILE", "_URL_FILE"))
        if secret and Path(value).exists() and Path(value).stat().st_mode & OTHERS:
            yield f"{name}: {value} is open to other users of this machine."


def unfit_keys(settings: Mapping[str, ServiceSettings]) -> Iterator[str]:
    """Yield a sentence for each key whose signatures would be refused by who has to believe them.

    Whose private key is not at hand, as elsewhere than with its owner, must at least have one.
    """
    private = {
        name: key
        for own in settings.values()
        for name in type(own).model_fields
        if isinstance(key := getattr(own, name), PrivateKey)
    }
    lists = {
        (listing, issuer): known
        for service, own in settings.items()
        for listing in LISTINGS
        for issuer in believed_by(service, listing)
        if isinstance(known := getattr(own, listing, None), PublicKeys)
    }
    for (listing, issuer), known in lists.items():
        name = f"{issuer}_{LISTINGS[listing]}"
        key = private.get(name)
        if key is not None and known.get(key.id) != PublicKey(key.issuer, key.key.public_key()):
            yield (
                f"{listing.upper()} does not list the public half of {name.upper()}; "
                "what that signs will be refused."
            )
        elif key is None and _signs(issuer, settings) and not _has(known, issuer):
            yield f"{listing.upper()} has no key of {issuer}; what that signs will be refused."


def _has(keys: PublicKeys, issuer: str) -> bool:
    return any(key.issuer == issuer for key in keys.values())


def _signs(issuer: str, settings: Mapping[str, ServiceSettings]) -> bool:
    """Whether `issuer` is known to be a part of this suite: not every suite has every factor."""
    return issuer == "session" or issuer in getattr(settings.get("session"), "factor_urls", ())


def believed_by(service: str, listing: str) -> tuple[str, ...]:
    """Return whose keys of a `listing` the service has a use for."""
    if listing == "caller_keys":
        return ("session", OPERATOR) if service == "audit" else ("session",)
    return {
        "audit": tuple(other.name for other in ALL if "event" in other.keys),
        "session": tuple(sorted(kind.split(".")[1] for kind in REPORTED)),
    }.get(service, ())


def odd_public_url(settings: Mapping[str, ServiceSettings]) -> Iterator[str]:
    """Yield a sentence for each reason why people could not safely use the public address."""
    session = settings.get("session")
    if session is None:
        return
    parts = urlsplit(str(getattr(session, "public_url", "")))
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        yield "PUBLIC_URL must end with its host and port: links and origins are made from it."
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        yield "PUBLIC_URL is not https: passwords and cookies would travel in the clear."


def hidden_clients(settings: Mapping[str, ServiceSettings]) -> Iterator[str]:
    """Yield a sentence if all people would be counted under the address of one proxy."""
    session = settings.get("session")
    if session is None or not str(getattr(session, "public_url", "")).startswith("https:"):
        return
    # This service speaks no TLS itself, so something in front of it does.
    told = ("allauth_trusted_proxy_count", "allauth_trusted_client_ip_header")
    if not any(getattr(session, name, None) for name in told):
        yield (
            "PUBLIC_URL is https, but neither ALLAUTH_TRUSTED_PROXY_COUNT nor "
            "ALLAUTH_TRUSTED_CLIENT_IP_HEADER is set: everybody would share the proxy's limits."
        )


def shut_out_pages(settings: Mapping[str, ServiceSettings]) -> Iterator[str]:
    """Yield a sentence for each origin whose pages are meant to write, but cannot.

    A page elsewhere has to read the CSRF cookie, and its browser has to send both cookies.
    """
    session = settings.get("session")
    listed = set(getattr(session, "cors_allowed_origins", ()))
    domain = str(getattr(session, "csrf_cookie_domain", "") or "").lstrip(".")
    ours = urlsplit(str(getattr(session, "public_url", "")))
    for origin in sorted(listed & set(getattr(session, "csrf_trusted_origins", ()))):
        theirs = urlsplit(origin)
        shared = domain and all(_is_within(url.hostname or "", domain) for url in (ours, theirs))
        if theirs.hostname != ours.hostname and not shared:
            yield (
                f"CORS_ALLOWED_ORIGINS has {origin}, whose pages cannot read the CSRF cookie of "
                "PUBLIC_URL's host: set CSRF_COOKIE_DOMAIN to a domain of both, or let them use "
                "the app client."
            )
        elif theirs.scheme != ours.scheme and not _travels(session):
            yield (
                f"CORS_ALLOWED_ORIGINS has {origin}, to which no cookie of PUBLIC_URL's goes "
                "along: it has another scheme, and SESSION_COOKIE_SAMESITE and "
                "CSRF_COOKIE_SAMESITE are not both none."
            )


def unheard_promises(settings: Mapping[str, ServiceSettings]) -> Iterator[str]:
    """Yield a sentence for each setting of HSTS that browsers would not heed."""
    session = settings.get("session")
    seconds = getattr(session, "secure_hsts_seconds", 0)
    below = getattr(session, "secure_hsts_include_subdomains", False)
    preload = getattr(session, "secure_hsts_preload", False)
    if seconds and not str(getattr(session, "public_url", "")).startswith("https:"):
        yield "SECURE_HSTS_SECONDS has no effect: PUBLIC_URL is not https."
    if not seconds and (below or preload):
        yield "SECURE_HSTS_INCLUDE_SUBDOMAINS and _PRELOAD need SECURE_HSTS_SECONDS."
    elif preload and not (below and seconds >= A_YEAR):
        yield (
            "SECURE_HSTS_PRELOAD needs SECURE_HSTS_INCLUDE_SUBDOMAINS and a year of "
            "SECURE_HSTS_SECONDS, or no browser's maker lists this host."
        )


def unbounded_guesses(settings: Mapping[str, ServiceSettings]) -> Iterator[str]:
    """Yield a sentence if passwords can be tried as often as anybody likes."""
    rates: Mapping[str, object] = getattr(settings.get("session"), "account_rate_limits", {})
    if rates and not any(rates.values()):
        yield "ACCOUNT_RATE_LIMITS switches every limit off: passwords can be guessed at any rate."
    elif rates and not rates.get("login_failed"):
        yield "ACCOUNT_RATE_LIMITS has no login_failed: passwords can be guessed from everywhere."


def unbounded_keys(settings: Mapping[str, ServiceSettings]) -> Iterator[str]:
    """Yield a sentence for each limit on logins by passkey that is switched off."""
    session = settings.get("session")
    if not getattr(session, "mfa_passkey_login_enabled", False):
        return
    rates: Mapping[str, object] = getattr(session, "mfa_rate_limits", {})
    if not rates.get("webauthn_login"):
        yield "MFA_RATE_LIMITS has no webauthn_login: proofs can be tried at any rate."
    if not rates.get("webauthn_options"):
        yield "MFA_RATE_LIMITS has no webauthn_options: anybody can open sessions without end."


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _travels(session: ServiceSettings | None) -> bool:
    names = ("session_cookie_samesite", "csrf_cookie_samesite")
    return all(getattr(session, name, None) == "none" for name in names)


async def absent_parts(settings: Mapping[str, ServiceSettings]) -> AsyncIterator[str]:
    """Yield a sentence for each database, broker or mail server that does not take us."""
    for service, own in settings.items():
        name, url = f"{service.upper()}_DATABASE_URL", database_url(service, own)
        if missing := _missing_file(url):
            yield f"{name}: `countersign migrate` has yet to make {missing}."
        elif trouble := await _trouble(_ask_database(url, service)):
            yield f"{name}: the database does not answer ({trouble})."
        elif await _is_outdated(url, service):
            yield f"{name}: the tables are not of this version; run `countersign migrate`."
    for url in sorted({_secret(own, "broker_url") for own in settings.values()} - {""}):
        if problem := await _broker_problem(url):
            yield problem
    smtp = _secret(settings.get("session"), "smtp_url")
    if smtp and (trouble := await _trouble(_ask_mail_server(smtp))):
        yield f"SMTP_URL: the mail server does not answer ({trouble})."


def _missing_file(url: str) -> str | None:
    """Return the SQLite file that is not there; to ask for it would make it."""
    path = url.removeprefix("sqlite:///")
    return path if path != url and not Path(path).exists() else None


async def _ask_database(url: str, service: str) -> None:
    database = Database(url, source=service)
    try:
        await database.ping()
    finally:
        await database.close()


async def _is_outdated(url: str, service: str) -> bool:
    database = Database(url, source=service)
    try:
        return await database.revision() != newest(f"services.{service}.migrations")
    finally:
        await database.close()


async def _broker_problem(url: str) -> str | None:
    if trouble := await _trouble(asyncio.to_thread(_ask_broker, url)):
        return f"BROKER_URL: the broker does not answer ({trouble})."
    if trouble := await _trouble(asyncio.to_thread(_ask_queues, url)):
        return f"BROKER_URL: no event would leave its service ({trouble})."
    return None


def _ask_broker(url: str) -> None:
    with topology.connection(url) as broker:
        broker.connect()


def _ask_queues(url: str) -> None:
    with topology.connection(url) as broker:
        topology.require_queues(url, broker.channel())


async def _ask_mail_server(url: str) -> None:
    # Only session's image has what talks to a mail server.
    await import_module("services.session.gateway.postbox").postbox_for(url, Path()).ping()


async def _trouble(attempt: Awaitable[None]) -> str | None:
    """Return what went wrong in words that hold no secret, or None."""
    try:
        await asyncio.wait_for(attempt, PATIENCE)
    except CountersignError as error:
        return error.detail or error.code
    except Exception as error:
        # The message of an unknown error may repeat the address, and with it a password.
        return type(error).__name__
    return None


def _secret(settings: ServiceSettings | None, name: str) -> str:
    value = getattr(settings, name, None)
    return value.get_secret_value() if isinstance(value, SecretStr) else ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
