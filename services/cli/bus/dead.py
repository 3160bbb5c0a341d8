"""`countersign bus dead`: messages that nobody could take."""

import json
from collections.abc import Sequence

import click

from services.cli.bus.letters import Letter, letters
from services.cli.bus.settings import BusSettings, bus_settings
from services.cli.failing import telling
from shared.bus.wire import EventVerifier, Flaw
from shared.errors import NotFound
from shared.intake.sorting import judged

MAX_SHOWN = 100


@click.group()
def dead() -> None:
    """Look after messages that nobody could take."""


@dead.command("list")
@telling
def list_letters() -> None:
    """List them, the oldest first: id, why, where from, and what they say they are."""
    settings = bus_settings()
    with letters(settings.broker_url.get_secret_value()) as box:
        lines = [_line(letter, _why(letter, settings)) for letter in box.all()]
    for line in lines or ["There are no dead letters."]:
        click.echo(line)


@dead.command()
@click.argument("id")
@telling
def show(id: str) -> None:
    """Show one, by its id or how that begins. Nothing in it is to be believed."""
    settings = bus_settings()
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
    with letters(bus_settings().broker_url.get_secret_value()) as box:
        found = list(box.all())
        chosen = found if every else [letter for named in ids for letter in _named(found, named)]
        for letter in chosen:
            box.hand_in(letter)
    click.echo(f"{len(chosen)} handed in again.")


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
