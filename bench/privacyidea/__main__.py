"""`make bench-privacyidea`."""

import asyncio
import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

from bench import page, sides
from bench.__main__ import PAGE, folder, say
from bench.comparing import Measured, idle, watch
from bench.conditions import conditions
from bench.flows import by_password, give_code
from bench.people import Person, each, enrol_totp, fresh_codes
from bench.privacyidea.side import PYTHON, Token, privacyidea
from bench.results import Spread, ratios

RECORD = Path(__file__).with_name("recorded.json")
PEOPLE = int(os.environ.get("BENCH_PEOPLE", "30"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PACKAGES = ("fastapi", "uvicorn", "asyncpg")
VERSION = "from importlib.metadata import version; print(version('privacyidea'))"

Rounds = list[tuple[Measured, Measured]]
"""Of each round what ours took, and what theirs."""


async def measured() -> Rounds:
    """Have everybody's code checked on both sides in turn; the first round only warms up."""
    rounds: Rounds = []
    async with (
        folder() as place,
        sides.countersign(place / "countersign") as (ours, _),
        privacyidea(place / "privacyidea", PEOPLE) as (theirs, tokens),
    ):
        people = [ours.person(f"p{number}") for number in range(PEOPLE)]
        await each(people, Person.sign_up)
        await ours.verify_addresses()
        await each(people, enrol_totp)
        ours_idle, theirs_idle = await idle(ours), await idle(theirs)
        for number in range(ROUNDS + 1):
            await each(people, Person.log_out)
            await each(people, by_password)
            await fresh_codes(people)
            mine = await watch(ours, ours_idle, people, give_code)
            await fresh_codes(tokens)
            other = await watch(theirs, theirs_idle, tokens, Token.check)
            say(f"{number} countersign: {mine}")
            say(f"{number} privacyIDEA: {other}")
            rounds += [(mine, other)] if number else []
    return rounds


def table(rounds: Rounds) -> str:
    """Return what is told of the rounds."""
    mine, other = zip(*rounds, strict=True)
    rows = [["", "Countersign", "privacyIDEA", "times less"]]
    for name, ours, theirs in (
        ("CPU ms, answering", "answering", "everything"),
        ("CPU ms, all", "everything", "everything"),
        ("p50 ms", "p50", "p50"),
        ("p99 ms", "p99", "p99"),
        ("statements", "statements", "statements"),
    ):
        a, b = [getattr(m, ours) for m in mine], [getattr(m, theirs) for m in other]
        rows.append([name, str(Spread.of(a)), str(Spread.of(b)), str(ratios(b, a))])
    return page.table(rows)


def main() -> None:
    """Measure, and write it down."""
    told = conditions(PACKAGES, f"{ROUNDS} of {PEOPLE} codes each, after one that warms up")
    found = subprocess.run((PYTHON, "-c", VERSION), capture_output=True, text=True, check=True)
    told["packages"] += f", privacyidea {found.stdout.strip()}"
    rounds = asyncio.run(measured())
    record = {"conditions": told, "rounds": [[asdict(side) for side in both] for both in rounds]}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    parts = {"privacyidea_conditions": page.listed(told), "privacyidea": table(rounds)}
    PAGE.write_text(page.renewed(PAGE.read_text(), parts))


if __name__ == "__main__":
    main()
