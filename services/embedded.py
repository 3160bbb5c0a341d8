"""The same apps in one process: which there are, and how they are put together.

With one service named, this is that service alone, as in production; with session and the factors
named, session reaches the factors without a socket. Nothing below knows the difference.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib import import_module

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from services.cli.environment import FACTORS, Suite
from services.cli.plan import ops_port_name, port_name
from shared.clock import Clock, utc_now
from shared.errors import ConfigurationError
from shared.http import Check, InProcess, create_operations
from shared.server import Listener
from shared.settings import ServiceSettings, load


def load_settings(services: Iterable[str]) -> dict[str, ServiceSettings]:
    """Return the settings of each. Raises ConfigurationError with the problems of them all."""
    loaded: dict[str, ServiceSettings] = {}
    problems: dict[str, None] = {}  # what two services share is one problem
    for service in services:
        try:
            loaded[service] = load(settings_class(service))
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
    """Return, for each factor among `apps`, a transport that calls it within the process."""
    return {name: InProcess(apps[name]) for name in FACTORS if name in apps}


def create_listeners(
    services: Sequence[str], suite: Suite, settings: Mapping[str, ServiceSettings]
) -> tuple[Listener, ...]:
    """Return what one process that serves `services` listens for: their APIs, and operators."""
    apps = create_apps(settings)
    inside = [name for name in services if name in FACTORS and "session" in services]
    operations = create_operations(
        "+".join(services), checks_of(apps), openapi_of=apps[services[0]]
    )
    return (
        *(
            Listener(
                Lasting(app, [apps[factor] for factor in inside]) if name == "session" else app,
                suite.host_of(name),
                suite.port(port_name(name)),
                stopping=getattr(app.state, "stopping", None),
            )
            for name, app in apps.items()
            if name not in inside
        ),
        Listener(operations, suite.internal_host, suite.port(ops_port_name(tuple(services)))),
    )


def checks_of(apps: Mapping[str, FastAPI]) -> list[Check]:
    """Return what the readiness of `apps` together depends on, each check named by its service."""
    return [
        check if check.name.startswith(service) else replace(check, name=f"{service}_{check.name}")
        for service, app in apps.items()
        for check in app.state.checks
    ]


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
