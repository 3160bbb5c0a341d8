"""`countersign worker`: background work, and nothing else, in one process."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib import import_module

import click
from celery import Celery
from fastapi import FastAPI
from pydantic import SecretStr

from services.cli.environment import told
from services.cli.failing import telling
from services.cli.loading import loading, wait_for_start
from services.cli.plan import ops_port_name
from services.embedded import create_apps, living, load_settings, transports_to
from services.suite import FACTORS, SERVICES
from shared import logs
from shared import worker as frame
from shared.settings import ServiceSettings


@click.command()
@click.argument("services", nargs=-1, required=True, type=click.Choice(SERVICES))
@telling
def worker(services: tuple[str, ...]) -> None:
    """Run the background work of SERVICES in one process, until SIGTERM."""
    name = f"{'+'.join(services)}-worker"
    with loading():
        for service in services:
            import_module(f"services.{service}.worker")
        wait_for_start()
        suite = told()
        operations = (suite.internal_host, suite.port(ops_port_name(services, worker=True)))
        settings = load_settings(services, by="worker")
        logs.configure(name, settings[services[0]].log_level)
        app = create_worker(name, settings)
    raise SystemExit(frame.run(app, operations=operations))


def create_worker(name: str, settings: Mapping[str, ServiceSettings]) -> Celery:
    """Return a Celery app that does the background work of every service in `settings`."""
    broker_url: SecretStr = next(own.broker_url for own in settings.values())  # type: ignore[attr-defined]
    app = frame.create_celery(broker_url.get_secret_value(), name)
    for service, own in settings.items():
        register = import_module(f"services.{service}.worker").register
        if service == "session":
            factors = {name: own for name, own in settings.items() if name in FACTORS}
            apps = create_apps(factors)
            frame.background(app).holds(Life(list(apps.values())))
            register(app, own, factor_transports=transports_to(apps))
        else:
            register(app, own)
    return app


class Life:
    """Apps that are called within the process, as something a worker opens and closes."""

    def __init__(self, apps: list[FastAPI]) -> None:
        self._apps = apps
        self._stack = AsyncExitStack()

    async def connect(self) -> None:
        """Begin them."""
        await self._stack.enter_async_context(living(self._apps))

    async def close(self) -> None:
        """End them."""
        await self._stack.aclose()
