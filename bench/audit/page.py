"""What docs/performance.md tells of the audit trail, and its chart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.charts import bars
from bench.page import table
from bench.results import Spread

Found = Mapping[str, Any]
"""What was measured at one place: `rounds`, `latencies`, `idle`, `interval`, `recorded`, `entries`
and `different`."""

CHART = "performance-audit.svg"
PLACES = {"production": "RabbitMQ, PostgreSQL", "embedded": "Valkey, SQLite"}
TOLD_RATES = {
    "publish raw": "published and confirmed, nothing else",
    "relay": "relay: numbered, signed, confirmed, deleted",
    "consume raw": "taken and acknowledged, nothing else",
    "read raw": "read off the list without kombu, nothing else",
    "ledger": "ledger: verified, sealed, chained, in the tree, stored",
    "single": "a Celery task and an INSERT each",
    "handler alone": "handler: one read, one write, 16 at once",
    "handler": "the same, with its event",
}
HANDLER = {"production": 0.65, "embedded": 0.8}
IDLE = 0.01  # of a processor
OURS = ("relay", "ledger")


@dataclass(frozen=True)
class Line:
    """One thing that is to be reached, and whether it is, at one place."""

    name: str
    target: str
    measured: str
    reached: bool


def parts_of(run: Mapping[str, Found]) -> dict[str, str]:
    """Return the parts of the page that tell of `run`, by name."""
    return {"audit": table_of(run), "audit_rates": _rates(run)}


def charts_of(run: Mapping[str, Found]) -> dict[str, str]:
    """Return the charts of `run`, by the names of their files."""
    rows = {}
    for place, found in run.items():
        for name, of in (
            ("sent", ("publish raw", "relay")),
            ("kept", ("consume raw", "ledger", "single")),
        ):
            rows[f"{name}: {PLACES[place]}"] = [rate(found, kind).median for kind in of]
    series = ("the bare broker", "Countersign", "a task and an INSERT each")
    return {CHART: bars("Events in a second", "/s", series, rows)}


def lines_of(place: str, found: Found) -> list[Line]:
    """Return what is to be reached at a place."""
    interval = 2 * found["interval"]
    p99 = Spread.of([latency["p99"] for latency in found["latencies"]])
    lost, twice = missing(found)
    return [
        _least("relay / raw confirmed publish", ratio(found, "relay", "publish raw"), 0.9),
        _least("ledger / raw consume", ratio(found, "ledger", "consume raw"), 0.55),
        _least("batches / one task and INSERT each", ratio(found, "ledger", "single"), 6),
        _least(
            "handler with its event / without, 16 at once",
            ratio(found, "handler", "handler alone"),
            HANDLER[place],
        ),
        Line(
            "commit to ledger at 200 events/s, p99",
            f"≤ {1000 * interval:.0f} ms",
            f"{_milliseconds(p99)} ms",
            p99.median <= interval,
        ),
        Line("lost", "0", str(lost), lost == 0),
        Line("stored twice", "0", str(twice), twice == 0),
        *(
            Line(f"idle: {name}", f"≤ {IDLE:.0%}", f"{share:.1%}", share <= IDLE)
            for name, share in found["idle"].items()
            if name in OURS
        ),
    ]


def table_of(run: Mapping[str, Found]) -> str:
    """Return what is to be reached and what is, a column for each place."""
    places = list(run)
    head = [
        "",
        *(cell for place in places for cell in (f"target, {PLACES[place]}", "measured", "reached")),
    ]
    columns = [lines_of(place, run[place]) for place in places]
    rows = [
        [
            lines[0].name,
            *(cell for line in lines for cell in (line.target, line.measured, _yes(line.reached))),
        ]
        for lines in zip(*columns, strict=True)
    ]
    return table([head, *rows])


def rate(found: Found, kind: str) -> Spread:
    """Return how many there were per second, over all rounds."""
    return Spread.of([each[kind] for each in found["rounds"]])


def ratio(found: Found, ours: str, theirs: str) -> Spread:
    """Return one rate by another, round by round."""
    return Spread.of([each[ours] / each[theirs] for each in found["rounds"]])


def missing(found: Found) -> tuple[int, int]:
    """Return how many events the ledger lacks, and how many it has once more."""
    return found["recorded"] - found["different"], found["entries"] - found["different"]


def _rates(run: Mapping[str, Found]) -> str:
    head = ["per second", *(PLACES[place] for place in run)]
    rows = [
        [told, *(_rate(found, kind) for found in run.values())] for kind, told in TOLD_RATES.items()
    ]
    rows += [
        [
            f"commit to ledger, {kind}, ms",
            *(
                _milliseconds(Spread.of([each[kind] for each in found["latencies"]]))
                for found in run.values()
            ),
        ]
        for kind in ("p50", "p99")
    ]
    servers = {name for found in run.values() for name in found["idle"]} - set(OURS)
    rows += [
        [
            f"idle: {name}, all its processes",
            *(
                f"{found['idle'][name]:.1%}" if name in found["idle"] else ""
                for found in run.values()
            ),
        ]
        for name in sorted(servers)
    ]
    return table([head, *rows])


def _rate(found: Found, kind: str) -> str:
    """Return the rate of what not every place has."""
    return str(rate(found, kind)) if kind in found["rounds"][0] else ""


def _least(name: str, measured: Spread, target: float) -> Line:
    return Line(name, f"≥ {target:g}", str(measured), measured.median >= target)


def _milliseconds(spread: Spread) -> str:
    return str(Spread(1000 * spread.median, 1000 * spread.low, 1000 * spread.high))


def _yes(reached: bool) -> str:
    return "yes" if reached else "no"
