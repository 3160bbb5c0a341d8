"""The same apps in one process, and how they are put together.

With one service named, this is that service alone, as in production; with session and the factors
named, session reaches the factors without a socket. Nothing below knows the difference.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from services.suite import FACTORS
from shared.clock import Clock, utc_now
from shared.errors import ConfigurationError
from shared.http import InProcess
from shared.settings import ServiceSettings, load


def load_settings(services: Iterable[str], by: str = "") -> dict[str, ServiceSettings]:
    """Return the settings of each. Raises ConfigurationError with the problems of them all.

    `by` is the kind of process, as of `load`.
    """
    loaded: dict[str, ServiceSettings] = {}
    problems: dict[str, None] = {}  # what two services share is one problem
    for service in services:
        try:
            loaded[service] = load(settings_class(service), by)
        except ConfigurationError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigurationError(list(problems))
    return loaded


def settings_class(service: str) -> type[ServiceSettings]:
    """Return the class that says which settings `service` has."""
    found: type[ServiceSettings] = import_module(f"services.{service}.settings").Settings
    return found


def database_url(service: str, settings: ServiceSettings) -> str:
    """Return where `service` keeps its data, password included."""
    url: SecretStr = getattr(settings, f"{service}_database_url")
    return url.get_secret_value()


def create_apps(
    settings: Mapping[str, ServiceSettings], clock: Clock = utc_now
) -> dict[str, FastAPI]:
    """Return the app of each service in `settings`, those that session calls joined to it."""
    apps: dict[str, FastAPI] = {
        service: import_module(f"services.{service}.main").create_app(own, clock)
        for service, own in settings.items()
        if service != "session"
    }
    if "session" in settings:
        apps["session"] = import_module("services.session.main").create_app(
            settings["session"], clock, factor_transports=transports_to(apps)
        )
    return apps


def transports_to(apps: Mapping[str, FastAPI]) -> dict[str, httpx.AsyncBaseTransport]:
    """Return, by its service, a transport that calls each factor among `apps` in the process."""
    return {name: InProcess(apps[name]) for name in FACTORS if name in apps}


class Lasting:
    """An app that begins after others and ends before them: it calls them within the process.

    Nobody else would begin them, and they must last until its last request has been answered.
    """

    def __init__(self, app: FastAPI, others: Sequence[FastAPI]) -> None:
        self._app = app
        self._life = Starlette(lifespan=lambda _: living([*others, app]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target: ASGIApp = self._life if scope["type"] == "lifespan" else self._app
        await target(scope, receive, send)


@asynccontextmanager
async def living(apps: Sequence[FastAPI]) -> AsyncIterator[None]:
    """Begin `apps` in order, and end them in reverse order."""
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield
