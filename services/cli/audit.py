"""`countersign audit`: whether the ledger is as it was signed, and what else there is to ask."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import click
import httpx
from pydantic import Field

from services.audit.client import TIMEOUT, AuditClient
from services.audit.domain.checkpoint import Verifier, notes_in
from services.audit.domain.export import NotAnExport, judge
from services.audit.domain.signatures import Signatures
from services.audit.domain.verification import Verdict
from services.audit.flows.verifying import Verifying
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from services.cli.environment import adopt, recall
from services.cli.events import ReaderSettings
from services.cli.failing import telling
from services.cli.operator import act
from shared import auth
from shared.auth import Caller
from shared.cipher import Cipher
from shared.database import Database
from shared.errors import ConfigurationError, Malformed, Unavailable
from shared.http import connect
from shared.settings import DatabaseUrl, KeyRing, PublicKeys, ServiceSettings, load

EXPORTS = {
    "jsonl": "/v1/events/export?format=jsonl",
    "csv": "/v1/events/export?format=csv",
    "ledger": "/v1/entries/export",
}

T = TypeVar("T")


class VerifierSettings(ServiceSettings):
    """By what checkpoints are believed, and where else they are kept."""

    audit_checkpoint_keys: PublicKeys | None = Field(
        default=None,
        description="Public keys by which `countersign audit verify` believes checkpoints, in the "
        "form of `EVENT_KEYS`; keys of before a rotation stay among them.",
    )
    audit_checkpoint_origin: str = Field(
        default="countersign/audit", description="The name of the ledger in its checkpoints."
    )
    audit_checkpoint_path: Path | None = Field(
        default=None, description="The file that checkpoints were added to."
    )
    event_keys: PublicKeys | None = Field(
        default=None,
        description="Public keys of the services, by which `countersign audit verify` checks that "
        "they have signed their events; those of before a rotation come by `--event-keys`.",
    )
    audit_sealing_keys: KeyRing | None = Field(
        default=None,
        description="What opens events on the database, of which anything is sealed: without it, "
        "their sources' signatures are not checked.",
    )


class LedgerSettings(ServiceSettings):
    """Where the ledger is kept."""

    audit_database_url: DatabaseUrl = Field(description="The ledger's own database.")


@click.group()
def audit() -> None:
    """Verify, export and look after the audit ledger."""


@audit.command()
@click.option(
    "--export",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Verify a file of `audit export --format ledger`, and not the database.",
)
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A file of checkpoints that were kept elsewhere; default AUDIT_CHECKPOINT_PATH.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY",
    help="Believe checkpoints by this key, as `audit key` prints it; default "
    "AUDIT_CHECKPOINT_KEYS.",
)
@click.option(
    "--event-keys",
    "event_keys",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A file of public keys of the services, in the form of EVENT_KEYS, by which their own "
    "signatures are checked, besides those of EVENT_KEYS itself.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@telling
def verify(
    export: Path | None,
    checkpoints: tuple[Path, ...],
    keys: tuple[str, ...],
    event_keys: tuple[Path, ...],
    *,
    as_json: bool,
) -> None:
    """Say whether the ledger is as it was signed, and if not, name the first entry that is bad.

    Exits with 1 if it is not.
    """
    adopt(recall())
    settings = load(VerifierSettings)
    verifiers = _verifiers(keys, settings)
    notes = list(_notes(checkpoints, settings))
    signatures = _signatures(event_keys, settings)
    if export is None:
        ring = settings.audit_sealing_keys
        verdict = asyncio.run(_verify_database(verifiers, notes, signatures, ring))
    else:
        with export.open(encoding="utf-8") as lines:
            try:
                verdict = judge(lines, verifiers, notes, signatures)
            except NotAnExport as error:
                raise Malformed(f"{export} is no export of the ledger: {error}.") from None
    click.echo(json.dumps(_facts(verdict)) if as_json else _told(verdict, outside=len(notes)))
    if verdict.faults:
        raise SystemExit(1)


@audit.command()
@telling
def key() -> None:
    """Print the keys by which checkpoints are believed, in the form that other tools read."""
    adopt(recall())
    for verifier in _verifiers((), load(VerifierSettings)):
        click.echo(verifier.text)


@audit.command()
@telling
def checkpoint() -> None:
    """Print the newest checkpoint: where the ledger stands, signed."""
    click.echo(_ask(AuditClient.checkpoint), nl=False)


@audit.command()
@click.argument("entry", type=click.IntRange(min=1))
@telling
def proof(entry: int) -> None:
    """Print what proves to others that ENTRY is in the ledger, as JSON."""
    click.echo(_ask(lambda client: client.proof(entry)).model_dump_json(indent=2))


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@telling
def gaps(*, as_json: bool) -> None:
    """Say of each source which of its events are missing. Exits with 1 if any is."""
    sources = _ask(AuditClient.sources)
    if as_json:
        click.echo(json.dumps([source.model_dump() for source in sources]))
    else:
        for source in sources:
            lacking = ", ".join(_range(first, last) for first, last in source.gaps) or "none"
            twice = f"; {source.repeated} numbered twice" if source.repeated else ""
            click.echo(f"{source.source:<12} up to {source.last:>8}  missing: {lacking}{twice}")
    if any(source.missing or source.repeated for source in sources):
        raise SystemExit(1)


@audit.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(EXPORTS)),
    default="jsonl",
    help="Events as lines of JSON or CSV; or the ledger as it is hashed, to be verified.",
)
@click.option("--output", type=click.File("wb", lazy=True), default="-", help="Default: standard.")
@telling
def export_(form: str, output: BinaryIO) -> None:
    """Write all that is in the ledger to a file."""
    adopt(recall())
    asyncio.run(_download(EXPORTS[form], output))


@audit.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@telling
def forget(user: str, *, yes: bool) -> None:
    """Destroy the key of USER, an id: nobody reads any more what is personal in their events.

    What happened stays, and all proofs with it. `countersign user delete` does this as well.
    """
    if not yes:
        click.confirm(f"Forget {user} for good?", abort=True)
    _ask(lambda client: client.forget(user))
    click.echo("Forgotten. Copies elsewhere (queues, exports, backups, logs) are not reached.")


def _verifiers(texts: Sequence[str], settings: VerifierSettings) -> list[Verifier]:
    """Return by whom checkpoints are believed. Raises ConfigurationError if by nobody."""
    try:
        told = [Verifier.parse(text) for text in texts]
    except ValueError as error:
        raise Malformed(f"--key {error}.") from None
    listed = settings.audit_checkpoint_keys
    if not told and listed is None:
        raise ConfigurationError(["AUDIT_CHECKPOINT_KEYS is not set, and no --key is given."])
    return told or [
        Verifier(settings.audit_checkpoint_origin, public.key) for public in (listed or {}).values()
    ]


def _notes(paths: Sequence[Path], settings: VerifierSettings) -> Iterator[str]:
    """Yield the checkpoints that were kept elsewhere."""
    own = settings.audit_checkpoint_path
    if not paths and own is not None and own.exists():
        paths = [own]
    for path in paths:
        yield from notes_in(path.read_text(encoding="utf-8", errors="replace"))


def _signatures(paths: Sequence[Path], settings: VerifierSettings) -> Signatures | None:
    """Return what checks the sources' own signatures; None if no key of theirs is at hand."""
    keys = dict(settings.event_keys or {})
    for path in paths:
        try:
            keys |= auth.PublicKeys.parse(path.read_text(encoding="utf-8", errors="replace"))
        except ValueError as error:
            raise Malformed(f"{path} {error}.") from None
    return Signatures(keys) if keys else None


async def _verify_database(
    verifiers: Sequence[Verifier],
    notes: Sequence[str],
    signatures: Signatures | None,
    ring: KeyRing | None,
) -> Verdict:
    url = load(LedgerSettings).audit_database_url.get_secret_value()
    db = Database(url, source="audit", connections=1)
    await db.connect()
    try:
        await db.ping()  # or SQLite would make an empty file
        people = None if ring is None else PeopleStore(db, Cipher(ring, PURPOSE))
        verifying = Verifying(LedgerStore(db), CheckpointStore(db), people)
        return await verifying.verify(verifiers, notes, signatures)
    finally:
        await db.close()


def _facts(verdict: Verdict) -> dict[str, object]:
    return {
        "entries": verdict.entries,
        "root": verdict.root.hex(),
        "dropped": verdict.dropped,
        "checkpoints": verdict.checkpoints,
        "fitting": verdict.fitting,
        "unopened": verdict.unopened,
        "faults": [
            {"kind": f.kind, "first": f.first, "last": f.last, "detail": f.detail}
            for f in verdict.faults
        ],
    }


def _told(verdict: Verdict, *, outside: int) -> str:
    lines = [
        f"Bad: {_what(fault.first, fault.last)} {fault.kind}: {fault.detail}."
        if fault.kind != "forged"
        else f"Bad: a checkpoint of {fault.first} entries is forged: {fault.detail}."
        for fault in verdict.faults
    ]
    if not verdict.faults:
        lines.append(f"{verdict.entries} entries are as they were signed.")
        if verdict.dropped:
            lines.append(f"Of {verdict.dropped} the event is not kept any more, as is on record.")
        lines += _told_of_sources(verdict)
    if not outside:
        lines.append("No checkpoint from elsewhere was at hand: what was cut off is not found.")
    return "\n".join(lines)


def _told_of_sources(verdict: Verdict) -> Iterator[str]:
    if verdict.fitting is None:
        yield "No key of a source was at hand: their own signatures of events were not checked."
        return
    yield f"Of {verdict.fitting} events the source's own signature fits."
    if verdict.unopened:
        yield f"{verdict.unopened} events cannot be opened here, nor their signatures be checked."


def _what(first: int, last: int) -> str:
    if first == last:
        return f"entry {first} is"
    return f"one of the entries {first} to {last} is the first that is"


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _ask(question: Callable[[AuditClient], Coroutine[object, object, T]]) -> T:
    """Ask the running ledger, as the operator."""
    adopt(recall())
    settings = load(ReaderSettings)

    async def ask() -> T:
        act()
        caller = Caller(settings.operator_caller_key)
        async with connect(
            settings.audit_url, caller=caller, audience="audit", timeout=TIMEOUT
        ) as http:
            return await question(AuditClient(http))

    return asyncio.run(ask())


async def _download(path: str, output: BinaryIO) -> None:
    async for part in _parts(path):
        output.write(part)


async def _parts(path: str) -> AsyncIterator[bytes]:
    """Yield an answer as it comes, however long it is. Raises Unavailable if it breaks off."""
    async with _streaming(path) as answer:
        async for part in answer.aiter_bytes():
            yield part


@asynccontextmanager
async def _streaming(path: str) -> AsyncIterator[httpx.Response]:
    settings = load(ReaderSettings)
    token = Caller(settings.operator_caller_key).token_for("audit")
    headers = {"authorization": f"Bearer {token}"}
    try:
        async with (
            httpx.AsyncClient(
                base_url=settings.audit_url, timeout=TIMEOUT.total_seconds(), trust_env=False
            ) as http,
            http.stream("GET", path, headers=headers) as answer,
        ):
            if not answer.is_success:
                raise Unavailable(f"audit answers {answer.status_code}.")
            yield answer
    except httpx.HTTPError as error:
        raise Unavailable(f"audit does not answer ({type(error).__name__}).") from error
