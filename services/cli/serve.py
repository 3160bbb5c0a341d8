"""`countersign serve`: HTTP, and nothing else, from one process."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module

import click
from fastapi import FastAPI

from services.cli.environment import Suite, told
from services.cli.failing import telling
from services.cli.loading import loading, wait_for_start
from services.cli.plan import ops_port_name, port_name
from services.embedded import Lasting, create_apps, load_settings
from services.suite import FACTORS, SERVICES
from shared import logs, server
from shared.http import Check, create_operations
from shared.server import Listener
from shared.settings import ServiceSettings


@click.command()
@click.argument("services", nargs=-1, required=True, type=click.Choice(SERVICES))
@telling
def serve(services: tuple[str, ...]) -> None:
    """Serve the HTTP API of SERVICES from one process, until SIGTERM."""
    with loading():
        for service in services:
            import_module(f"services.{service}.main")
        wait_for_start()
        settings = load_settings(services)
        logs.configure("+".join(services), settings[services[0]].log_level)
        listeners = create_listeners(services, told(), settings)
    server.serve(*listeners)


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
