"""`countersign migrate`: the databases as the code expects them."""

import click

from services.cli.environment import adopt, recall
from services.cli.failing import telling
from services.cli.loading import loading
from services.embedded import database_url, load_settings
from services.suite import SERVICES
from shared import migrations


@click.command()
@click.argument("services", nargs=-1, type=click.Choice(SERVICES))
@telling
def migrate(services: tuple[str, ...]) -> None:
    """Bring the databases of SERVICES (default: all) up to date. May run twice at once."""
    adopt(recall())
    with loading():
        loaded = load_settings(services or SERVICES)
    for service, settings in loaded.items():
        migrations.migrate(database_url(service, settings), f"services.{service}.migrations")
