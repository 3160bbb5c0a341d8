"""`countersign serve`: HTTP, and nothing else, from one process."""

import click

from services.cli.environment import SERVICES, told
from services.cli.failing import telling
from services.embedded import create_listeners, load_settings
from shared import logs, server


@click.command()
@click.argument("services", nargs=-1, required=True, type=click.Choice(SERVICES))
@telling
def serve(services: tuple[str, ...]) -> None:
    """Serve the HTTP API of SERVICES from one process, until SIGTERM."""
    settings = load_settings(services)
    logs.configure("+".join(services), settings[services[0]].log_level)
    server.serve(*create_listeners(services, told(), settings))
