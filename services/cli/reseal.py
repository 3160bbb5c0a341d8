"""`countersign keys reseal`: by a new key what old ones have sealed, while everything runs."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from importlib import import_module

import click

from services.cli.environment import adopt, recall
from services.cli.failing import telling
from services.cli.operator import act
from services.embedded import database_url, load_settings
from services.suite import ALL
from shared.cipher import KeyRing
from shared.database import Database
from shared.resealing import Resealing, Tally
from shared.settings import ServiceSettings

SEALING = tuple(service.name for service in ALL if "sealing" in service.keys)
CONNECTIONS = 4  # few, beside those of the replicas


@click.command()
@click.argument("services", nargs=-1, type=click.Choice(SEALING))
@click.option("--dry-run", is_flag=True, help="Only count what there is to do.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@telling
def reseal(services: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Seal by the primary key what other keys have sealed in SERVICES (default: all).

    For when a ring was turned and every replica has it. Everything may go on meanwhile; what was
    broken off goes on where it was when the command is run again. Exits with 1 while anything
    needs another key than the primary one.
    """
    adopt(recall())
    act()
    settings = load_settings(services or SEALING)
    done = True
    facts: dict[str, object] = {}
    for service, own in settings.items():
        ring: KeyRing = getattr(own, f"{service}_sealing_keys")
        tally = asyncio.run(_resealed(service, own, ring, dry_run=dry_run))
        done = done and not tally.left and not (dry_run and tally.resealed)
        facts[service] = _facts(ring.primary, tally, dry_run=dry_run)
        if not as_json:
            for line in _lines(ring.primary, tally, dry_run=dry_run):
                click.echo(f"{service}: {line}")
    if as_json:
        click.echo(json.dumps(facts))
    if not done:
        raise SystemExit(1)


async def _resealed(service: str, own: ServiceSettings, ring: KeyRing, *, dry_run: bool) -> Tally:
    db = Database(database_url(service, own), source=service, connections=CONNECTIONS)
    resealing: Resealing = import_module(f"services.{service}.flows").build_resealing(db, ring)
    await db.connect()
    try:
        await db.ping()  # or SQLite would make an empty file
        return await resealing.reseal(pretend=dry_run)
    finally:
        await db.close()


def _facts(primary: str, tally: Tally, *, dry_run: bool) -> dict[str, object]:
    return {
        "primary": primary,
        "to_reseal" if dry_run else "resealed": dict(tally.resealed),
        "left": [
            {
                "table": reason.table,
                "code": reason.code,
                "detail": reason.why,
                "key": reason.key,
                "count": count,
                "examples": tally.examples[reason],
            }
            for reason, count in tally.left.items()
        ],
    }


def _lines(primary: str, tally: Tally, *, dry_run: bool) -> Iterator[str]:
    """Yield what people are told of one service."""
    verb = "to be resealed" if dry_run else "resealed"
    for key, count in tally.resealed.items():
        yield f"{count} {verb} by {_plain(primary)}, sealed by {_plain(key)}."
    for reason, count in tally.left.items():
        needed = "a key that is not known" if reason.key is None else _plain(reason.key)
        yield (
            f"{count} of {reason.table} left as they are, under {needed} ({reason.code}). "
            f"{reason.why} {_such_as(tally.examples[reason], count)}"
        )
    if not tally.left and not (dry_run and tally.resealed):
        yield f"nothing is sealed by another key than {_plain(primary)}."


def _such_as(rows: Sequence[str], count: int) -> str:
    more = count - len(rows)
    return f"Rows: {', '.join(map(_plain, rows))}{f' and {more} more' if more else ''}."


def _plain(text: str) -> str:
    """Return what others have written so that nothing in it can steer a terminal."""
    return text if text.isprintable() else json.dumps(text)
