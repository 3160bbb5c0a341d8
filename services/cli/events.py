"""`countersign events`: the audit ledger, as people read it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import click
from pydantic import Field, JsonValue

from services.audit.client import TIMEOUT, AuditClient
from services.audit.domain.outcome import Outcome, outcome_of
from services.audit.schemas import END, EntryOut
from services.cli.environment import adopt, recall
from services.cli.failing import telling
from shared.auth import Caller
from shared.http import connect
from shared.settings import PrivateKey, ServiceSettings, load

SHOWN = ("address", "client", "request_id")
"""What is shown of the context in which an event happened; `--json` has all of it."""


class ReaderSettings(ServiceSettings):
    """Where the ledger is, and who asks."""

    audit_url: str = Field(description="Address of audit's API.")
    operator_caller_key: PrivateKey = Field(
        description="What the command line signs its calls with, as JSON: "
        '`{"kid": "<key id>", "issuer": "operator", "key": "<base64>"}`.'
    )


@click.command()
@click.option("--follow", is_flag=True, help="Go on with each new event as it reaches the ledger.")
@click.option("--after", default="0", metavar="ENTRY", help=f"Begin behind this entry, or `{END}`.")
@click.option("--user", metavar="ID", help="Only events about this person.")
@click.option("--type", "kind", metavar="TYPE", help="Only of this type; `*` stands for anything.")
@click.option("--outcome", type=click.Choice([str(one) for one in Outcome]), help="Only these.")
@click.option("--since", metavar="TIME", help="Not before this time, such as 2026-07-01T12:00Z.")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as it is, one a line.")
@telling
def events(
    *,
    follow: bool,
    after: str,
    user: str | None,
    kind: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
    as_json: bool,
) -> None:
    """Print what reached the audit ledger, oldest first, one line for each event.

    On a terminal what went wrong is red, unless NO_COLOR is set.
    """
    adopt(recall())
    asked = {"user": user, "type": kind, "outcome": outcome, "since": since, "until": until}
    wanted = {name: value for name, value in asked.items() if value is not None}
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org
    write = _as_json if as_json else partial(describe, coloured=coloured)
    try:
        asyncio.run(_print(load(ReaderSettings), after, wanted, follow=follow, write=write))
    except KeyboardInterrupt:
        return


async def _print(
    settings: ReaderSettings,
    after: str,
    wanted: Mapping[str, str],
    *,
    follow: bool,
    write: Callable[[EntryOut], str],
) -> None:
    caller = Caller(settings.operator_caller_key)
    async with connect(
        settings.audit_url, caller=caller, audience="audit", timeout=TIMEOUT
    ) as http:
        async for entry in _entries(AuditClient(http), after, wanted, follow=follow):
            click.echo(write(entry))


async def _entries(
    client: AuditClient, after: str, wanted: Mapping[str, str], *, follow: bool
) -> AsyncIterator[EntryOut]:
    """Yield what is there, which fails if the ledger cannot be read; then what comes."""
    while page := (feed := await client.events(after, limit=500, wanted=wanted)).events:
        for entry in page:
            yield entry
        after = feed.next
    if follow:
        async for entry in client.follow(feed.next, wanted):
            yield entry


def describe(entry: EntryOut, *, coloured: bool = False) -> str:
    """Return one readable line: number, time, type, whom it is about, and what else is known."""
    event = entry.event
    data = event.get("data")
    facts = dict(data) if isinstance(data, dict) else {}
    context = facts.pop("context", None)
    if isinstance(context, dict):
        facts |= {name: context[name] for name in SHOWN if name in context}
    told = [f"{name}={_plain(value)}" for name, value in facts.items()]
    told += ["(dropped)"] if entry.dropped else ["(redacted)"] if entry.redacted else []
    moment = datetime.fromtimestamp(entry.received_at, UTC).isoformat(timespec="seconds")
    number, kind = f"{entry.entry:>6}", f"{_plain(event.get('type')):<34}"
    if coloured:
        number, kind = click.style(number, dim=True), click.style(kind, fg=_colour(event))
    return (
        f"{number}  {_plain(event.get('time', moment)):.19}  "
        f"{kind}  {_plain(event.get('subject'))}  {' '.join(told)}"
    ).rstrip()


def _as_json(entry: EntryOut) -> str:
    return json.dumps(entry.event)


def _colour(event: Mapping[str, JsonValue]) -> str:
    """Return red for what went wrong."""
    kind = event.get("type")
    failed = isinstance(kind, str) and outcome_of(kind) is Outcome.FAILURE
    return "red" if failed else "green"


def _plain(value: JsonValue) -> str:
    """Return `value` so that nothing in it can steer a terminal or break the line."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)
