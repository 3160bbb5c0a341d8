"""`make bench` and `make bench-check`."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench import bounds, page, sides
from bench.comparing import Team, compare, team
from bench.conditions import conditions
from bench.people import Person, each, join
from bench.results import Spread, fell
from bench.sides import Side

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_name("recorded.json")
PAGE = ROOT / "docs" / "performance.md"
PEOPLE = int(os.environ.get("BENCH_PEOPLE", "100"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PACKAGES = ("django", "django-allauth", "gunicorn", "psycopg", "fastapi", "uvicorn", "asyncpg")


async def whole() -> None:
    """Measure everything, and write it down."""
    write_down(
        {
            "conditions": conditions(
                PACKAGES, f"{ROUNDS} of {PEOPLE} flows each, after one that warms up"
            ),
            "flows": await flows(PEOPLE, ROUNDS),
            "tables": await tables(PEOPLE),
        }
    )


def write_down(found: dict[str, Any]) -> None:
    """Keep what was found, and show it on the page."""
    RECORD.write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(page.renewed(PAGE.read_text(), page.parts_of(found)))
    for name, chart in page.charts_of(found).items():
        (PAGE.parent / name).write_text(chart)


async def tables(people: int) -> dict[str, bounds.Rows]:
    """Measure what is no comparison of flows."""
    found = {"verification": bounds.verification(), "owasp": await hashed(people)}
    async with folder() as place, sides.countersign(place) as (side, split_ready):
        say("many people, many sessions")
        staff = await team(side, people)
        found["refusals"] = await bounds.refusals(staff)
        found["sessions"] = await bounds.sessions(staff)
        found["growth"] = await bounds.growth(staff)
        split = side.memory()
    async with folder() as place, sides.countersign(place, split=False) as (side, ready):
        say("embedded")
        await each(crowd(side, people), Person.sign_up)
        found["footprint"] = bounds.footprint(split, side.memory(), (split_ready, ready))
    async with folder() as place, sides.countersign(place, hashing="owasp") as (side, _):
        say("too much to do")
        await join(crowd(side, people), side.verify_addresses, factors=False)
        found["overload"] = await bounds.overload(side, crowd(side, people))
    return found


async def hashed(people: int) -> bounds.Rows:
    """Compare a login by password and TOTP where passwords are hashed in earnest."""
    async with both(people, hashing="owasp") as teams:
        (a,) = (await compare(teams, 2, say, [bounds.A])).values()
    ratio = page.spread_of_ratios(a, "answering")
    return [
        ["password, then TOTP, with OWASP's hash on both sides", "CPU ms"],
        ["Countersign, answering", str(Spread.of([b["answering"] for b in a[page.OURS]]))],
        ["allauth", str(Spread.of([b["everything"] for b in a[page.THEIRS]]))],
        ["ratio (must be 1.8, aim is 2.0)", str(ratio)],
    ]


def crowd(side: Side, size: int) -> list[Person]:
    """Return people without factors; the same ones each time."""
    return [side.person(f"p{number}") for number in range(size)]


async def check() -> list[str]:
    """Measure the flows again, and return what has become worse than was recorded."""
    recorded = json.loads(RECORD.read_text())["flows"]
    now = await flows(PEOPLE, 2)
    worse = []
    for letter, measured in now.items():
        for kind in ("answering", "everything"):
            before = page.spread_of_ratios(recorded[letter], kind)
            after = page.spread_of_ratios(measured, kind)
            if fell(before, after):
                worse.append(f"{letter}, {kind}: {after}, and was {before}")
    return worse


async def flows(people: int, rounds: int) -> dict[str, Any]:
    """Measure every flow on both sides."""
    async with both(people) as teams:
        return await compare(teams, rounds, say)


@asynccontextmanager
async def both(people: int, hashing: str = "cheap") -> AsyncIterator[Sequence[Team]]:
    """Start both sides, and have people join each."""
    async with (
        folder() as place,
        sides.countersign(place / "countersign", hashing=hashing) as (ours, _),
        sides.peer(place / "peer", hashing=hashing) as (theirs, _),
    ):
        yield [await team(ours, people), await team(theirs, people)]


@asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """Yield a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)  # PostgreSQL may run as another user
        yield place


def say(line: str) -> None:
    """Tell who waits how far it is."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Do what the first argument says."""
    if sys.argv[1:] == ["check"]:
        worse = asyncio.run(check())
        for line in worse:
            print(line)
        raise SystemExit(1 if worse else 0)
    asyncio.run(whole())


if __name__ == "__main__":
    main()
