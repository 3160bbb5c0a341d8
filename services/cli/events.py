"""`countersign events`: the audit ledger, as people read it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import click
from pydantic import Field, JsonValue

from services.audit.client import TIMEOUT, AuditClient
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
@click.option("--json", "as_json", is_flag=True, help="Print each event as it is, one a line.")
@telling
def events(*, follow: bool, after: str, as_json: bool) -> None:
    """Print what reached the audit ledger, oldest first, one line for each event."""
    adopt(recall())
    try:
        asyncio.run(_print(load(ReaderSettings), after, follow=follow, as_json=as_json))
    except KeyboardInterrupt:
        return


async def _print(settings: ReaderSettings, after: str, *, follow: bool, as_json: bool) -> None:
    caller = Caller(settings.operator_caller_key)
    async with connect(
        settings.audit_url, caller=caller, audience="audit", timeout=TIMEOUT
    ) as http:
        async for entry in _entries(AuditClient(http), after, follow=follow):
            click.echo(json.dumps(entry.event) if as_json else describe(entry))


async def _entries(client: AuditClient, after: str, *, follow: bool) -> AsyncIterator[EntryOut]:
    """Yield what is there, which fails if the ledger cannot be read; then what comes."""
    while page := (feed := await client.events(after, limit=500)).events:
        for entry in page:
            yield entry
        after = feed.next
    if follow:
        async for entry in client.follow(feed.next):
            yield entry


def describe(entry: EntryOut) -> str:
    """Return one readable line: number, time, type, whom it is about, and what else is known."""
    event = entry.event
    data = event.get("data")
    facts = dict(data) if isinstance(data, dict) else {}
    context = facts.pop("context", None)
    if isinstance(context, dict):
        facts |= {name: context[name] for name in SHOWN if name in context}
    told = " ".join(f"{name}={_plain(value)}" for name, value in facts.items())
    moment = datetime.fromtimestamp(entry.received_at, UTC).isoformat(timespec="seconds")
    return (
        f"{entry.entry:>6}  {_plain(event.get('time', moment)):.19}  "
        f"{_plain(event.get('type')):<34}  {_plain(event.get('subject'))}  {told}"
    ).rstrip()


def _plain(value: JsonValue) -> str:
    """Return `value` so that nothing in it can steer a terminal or break the line."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)
