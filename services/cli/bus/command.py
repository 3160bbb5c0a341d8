"""The commands."""

import json
from collections.abc import Sequence

import click

from services.cli.bus.checking import differences, managed_differences
from services.cli.bus.letters import Letter, letters
from services.cli.bus.management import Management
from services.cli.bus.settings import BusSettings, passwords_class, setting_of
from services.cli.bus.users import Definitions, definitions, require_consumer, vhost_of
from services.cli.environment import adopt, recall
from services.cli.failing import telling
from services.session.domain.reports import REPORTED
from services.suite import SERVICES
from shared.bus import topology
from shared.bus.wire import EventVerifier, Flaw
from shared.errors import ConfigurationError, NotFound
from shared.intake.sorting import judged
from shared.settings import load

MAX_SHOWN = 100


@click.group()
def bus() -> None:
    """Declare and check the audit bus, its users, and look after dead letters."""


@bus.command()
@telling
def declare() -> None:
    """Make every exchange and queue of the bus that is missing; the services make none.

    With BROKER_MANAGEMENT_URL the services' users too, what they may do, and their passwords.
    """
    settings = _settings()
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
    url = _settings().broker_url.get_secret_value()
    if not topology.speaks_amqp(url):
        raise ConfigurationError(["BROKER_URL is no RabbitMQ's; only that has users by service."])
    click.echo(json.dumps(_users(url, consumers, consumers or SERVICES), indent=2))


@bus.command()
@telling
def check() -> None:
    """Say what on the broker is not as it should be; exit with 1 if anything is.

    Bindings on RabbitMQ, and users, are compared with BROKER_MANAGEMENT_URL.
    """
    settings = _settings()
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


@bus.group()
def dead() -> None:
    """Look after messages that nobody could take."""


@dead.command("list")
@telling
def list_letters() -> None:
    """List them, the oldest first: id, why, where from, and what they say they are."""
    settings = _settings()
    with letters(settings.broker_url.get_secret_value()) as box:
        lines = [_line(letter, _why(letter, settings)) for letter in box.all()]
    for line in lines or ["There are no dead letters."]:
        click.echo(line)


@dead.command()
@click.argument("id")
@telling
def show(id: str) -> None:
    """Show one, by its id or how that begins. Nothing in it is to be believed."""
    settings = _settings()
    with letters(settings.broker_url.get_secret_value()) as box:
        letter = next(iter(_named(list(box.all()), id)))
        click.echo(_line(letter, _why(letter, settings)))
        click.echo(_printable(letter.body.decode(errors="backslashreplace")))


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Hand all of them in.")
@telling
def replay(ids: tuple[str, ...], *, every: bool) -> None:
    """Hand letters in again, where they were: after an update, or with a key that was missing.

    What is still no good comes back.
    """
    if bool(ids) == every:
        raise click.UsageError("Name letters by their ids, or say --all.")
    with letters(_settings().broker_url.get_secret_value()) as box:
        found = list(box.all())
        chosen = found if every else [letter for named in ids for letter in _named(found, named)]
        for letter in chosen:
            box.hand_in(letter)
    click.echo(f"{len(chosen)} handed in again.")


def _settings() -> BusSettings:
    adopt(recall())
    return load(BusSettings)


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


def _why(letter: Letter, settings: BusSettings) -> str:
    """Return why a letter is dead; RabbitMQ knows only that it was refused, its keys tell more."""
    if settings.event_keys is None:
        return letter.reason
    verdict = judged(EventVerifier(settings.event_keys), letter.body)
    return f"{letter.reason}, {verdict if isinstance(verdict, Flaw) else 'good by now'}"


def _named(found: Sequence[Letter], id: str) -> list[Letter]:
    named = [letter for letter in found if letter.id.startswith(id)]
    if not named:
        raise NotFound(f"There is no dead letter {id!r}.")
    return named


def _line(letter: Letter, why: str) -> str:
    kind = _printable(letter.type or "-")[:MAX_SHOWN]
    return f"{letter.id}  {why}  {letter.origin or '-'}  {len(letter.body)} bytes  {kind}"


def _printable(text: str) -> str:
    """Return `text` so that nothing in it can steer a terminal."""
    return text if text.isprintable() else json.dumps(text)
