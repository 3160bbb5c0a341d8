"""`countersign bus`: what the broker must have before anybody publishes."""

import click
from pydantic import Field

from services.cli.environment import adopt, recall
from services.cli.failing import telling
from shared.bus import topology
from shared.settings import BrokerUrl, ServiceSettings, load


class BrokerSettings(ServiceSettings):
    """The broker, and the user who may declare queues on it."""

    broker_url: BrokerUrl = Field(description="Address of the broker, user and password included.")


@click.group()
def bus() -> None:
    """Declare the exchange and queues of the audit bus."""


@bus.command()
@telling
def declare() -> None:
    """Make every exchange and queue of the bus that is missing; the services make none."""
    adopt(recall())
    topology.declare(load(BrokerSettings).broker_url.get_secret_value())
