"""`countersign factor`: the protocol, and whether a factor keeps it."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from services.cli.conformance.check import Finding, Verdict, check
from services.cli.conformance.device import Device, commanded, imported
from services.cli.conformance.openapi import text
from services.cli.conformance.rules import RULES, Rule
from services.cli.conformance.subject import Subject
from services.cli.environment import recall
from services.cli.failing import telling
from shared.auth import PrivateKey

NAMES = [rule.name for rule in RULES]


@click.group()
def factor() -> None:
    """Hold a factor against the protocol."""


@factor.command()
def openapi() -> None:
    """Print the protocol as an OpenAPI document, as docs/factors.openapi.json has it."""
    click.echo(text(), nl=False)


@factor.command()
def rules() -> None:
    """List the rules that `check` holds a factor against."""
    for rule in RULES:
        click.echo(f"{rule.name}\n    {rule.summary}")


@factor.command("check")
@click.argument("url")
@click.option("--audience", required=True, help="The name that the factor is called by.")
@click.option("--type", "kind", help="The type of its authenticators; default: the audience.")
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Private key of a caller that it takes; default VAR_DIR/keys/session/caller.json.",
)
@click.option(
    "--stranger",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Private key of another service that it knows: must be told 403.",
)
@click.option("--prover", metavar="MODULE:FUNCTION", help="What makes a Device, in Python.")
@click.option("--prover-command", metavar="COMMAND", help="A program that is a device.")
@click.option("--options", default="{}", help="What the program's enrolments are begun with, JSON.")
@click.option("--no-enrolment-proof", is_flag=True, help="The program enrols without a proof.")
@click.option("--rounds", default=3, help="How often each race is run.")
@click.option("--at-once", default=8, help="How many rules are held at the same time.")
@click.option("--rule", "names", multiple=True, type=click.Choice(NAMES), help="Only this one.")
@telling
def check_command(
    *,
    url: str,
    audience: str,
    kind: str | None,
    key: Path | None,
    stranger: Path | None,
    prover: str | None,
    prover_command: str | None,
    options: str,
    rounds: int,
    at_once: int,
    names: Sequence[str],
    no_enrolment_proof: bool,
) -> None:
    """Hold the factor at URL against the protocol, over HTTP alone.

    What it enrols are people of its own making, who are forgotten in the end. Without a prover the
    rules that take a right proof are skipped. Exits with 1 if a rule is not kept.
    """
    subject = Subject(
        url=url,
        audience=audience,
        type=kind or audience,
        key=_key(key or recall().key_dir / "session" / "caller.json"),
        stranger=None if stranger is None else _key(stranger),
        device=_device(prover, prover_command, options, enrols_by_proof=not no_enrolment_proof),
        rounds=rounds,
    )
    wanted = [rule for rule in RULES if not names or rule.name in names]
    findings = asyncio.run(_told(subject, wanted, at_once))
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        raise SystemExit(1)


async def _told(subject: Subject, wanted: Sequence[Rule], at_once: int) -> list[Finding]:
    findings = await check(subject, wanted, at_once=max(1, at_once))
    for finding in findings:
        click.echo(describe(finding))
    counts = {
        verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict
    }
    click.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return findings


def describe(finding: Finding) -> str:
    """Return one line: the verdict, the rule, and why if it did not pass."""
    verdict = finding.verdict.upper() if finding.verdict is Verdict.FAILED else finding.verdict
    reason = f": {finding.reason}" if finding.reason else ""
    return f"{verdict:<8} {finding.rule.name}{reason}"


def _key(path: Path) -> PrivateKey:
    try:
        return PrivateKey.parse(path.read_text())
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {error}") from None


def _device(
    prover: str | None, command: str | None, options: str, *, enrols_by_proof: bool
) -> Callable[[], Device] | None:
    if prover and command:
        raise click.UsageError("--prover and --prover-command: one of them is enough")
    if command:
        given = _object(options)
        return commanded(command, options=given, enrols_by_proof=enrols_by_proof)
    if not prover:
        return None
    sys.path.insert(0, "")  # a prover lies where its author is, rather than where we are installed
    try:
        return imported(prover)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise click.UsageError("--options must be a JSON object")
    return value
