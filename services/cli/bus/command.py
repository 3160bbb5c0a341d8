"""The commands."""

import json
from collections.abc import Sequence

import click

from services.cli.bus.checking import differences, managed_differences
from services.cli.bus.management import Management
from services.cli.bus.settings import BusSettings, bus_settings, passwords_class, setting_of
from services.cli.bus.users import Definitions, definitions, require_consumer, vhost_of
from services.cli.failing import telling
from services.cli.group import LazyGroup
from services.session.domain.reports import REPORTED
from services.suite import SERVICES
from shared.bus import topology
from shared.errors import ConfigurationError
from shared.settings import load


# `dead` judges events as consumers do, and needs for that what they are made of.
@click.group(cls=LazyGroup, later={"dead": "services.cli.bus.dead"})
def bus() -> None:
    """Declare and check the audit bus, its users, and look after dead letters."""


@bus.command()
@telling
def declare() -> None:
    """Make every exchange and queue of the bus that is missing; the services make none.

    With BROKER_MANAGEMENT_URL the services' users too, what they may do, and their passwords.
    """
    settings = bus_settings()
    url = settings.broker_url.get_secret_value()
    topology.declare(url, REPORTED)
    management = _management(settings)
    if management is not None:
        with management:
            management.apply(_users(url, (), SERVICES))


@bus.command()
@click.option("--consumer", "consumers", multiple=True, metavar="NAME", help="Of one elsewhere.")
@telling
def users(consumers: tuple[str, ...]) -> None:
    """Print the users of RabbitMQ, those of the services or of consumers elsewhere.

    To be given to RabbitMQ: `countersign bus users | rabbitmqctl import_definitions`. Passwords are
    read from the environment, as <NAME>_BROKER_PASSWORD, and printed as hashes.
    """
    url = bus_settings().broker_url.get_secret_value()
    if not topology.speaks_amqp(url):
        raise ConfigurationError(["BROKER_URL is no RabbitMQ's; only that has users by service."])
    click.echo(json.dumps(_users(url, consumers, consumers or SERVICES), indent=2))


@bus.command()
@telling
def check() -> None:
    """Say what on the broker is not as it should be; exit with 1 if anything is.

    Bindings on RabbitMQ, and users, are compared with BROKER_MANAGEMENT_URL.
    """
    settings = bus_settings()
    found = list(differences(settings.broker_url.get_secret_value(), REPORTED))
    management = _management(settings)
    if management is not None:
        with management:
            found += managed_differences(management, REPORTED)
    for difference in found:
        click.echo(difference)
    if found:
        raise SystemExit(1)
    click.echo("The bus is as it should be.")


def _management(settings: BusSettings) -> Management | None:
    url = settings.broker_management_url
    if url is None or not topology.speaks_amqp(settings.broker_url.get_secret_value()):
        return None
    return Management(url.get_secret_value(), settings.broker_url.get_secret_value())


def _users(url: str, consumers: Sequence[str], names: Sequence[str]) -> Definitions:
    for name in consumers:
        require_consumer(name)
    told = load(passwords_class(tuple(names)))
    passwords = {name: getattr(told, setting_of(name)).get_secret_value() for name in names}
    return definitions(vhost_of(url), passwords, consumers=bool(consumers))
