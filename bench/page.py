"""docs/performance.md: what was measured is written between marks, and the rest is left alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.charts import bars
from bench.flows import FLOWS
from bench.results import Spread, ratios

OURS, THEIRS = "countersign", "allauth"
MARK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

FLOWS_HEAD = (
    *("flow", "answering: times less CPU", "must", "aim", "reached", "all: times less CPU"),
    *("answering, CPU ms", "all, CPU ms", "allauth, CPU ms", "statements", "allauth's"),
)

Run = Mapping[str, Any]


def renewed(page: str, parts: Mapping[str, str]) -> str:
    """Return `page` with what is between its marks replaced by `parts`, by name.

    Raises KeyError for a part that the page has no marks for: nothing that was measured is lost.
    """
    missing = parts.keys() - {found[2] for found in MARK.finditer(page)}
    if missing:
        raise KeyError(f"the page has no place for {', '.join(sorted(missing))}")

    def fill(found: re.Match[str]) -> str:
        if found[2] not in parts:
            return found[0]
        return f"{found[1]}{parts[found[2]].rstrip()}\n{found[3]}"

    return MARK.sub(fill, page)


def parts_of(run: Run) -> dict[str, str]:
    """Return the parts of the page that tell of `run`, by name."""
    parts = {
        "conditions": listed(run["conditions"]),
        "flows": _flows(run),
        "latencies": _latencies(run),
    }
    return parts | {name: table(rows) for name, rows in run.get("tables", {}).items()}


def charts_of(run: Run) -> dict[str, str]:
    """Return the charts of `run`, by the names of their files."""
    names = {flow.letter: flow.name.replace("`", "") for flow in FLOWS}
    cpu = {
        f"{letter} {names[letter]}": [
            Spread.of([batch[kind] for batch in sides[side]]).median
            for side, kind in ((OURS, "answering"), (OURS, "everything"), (THEIRS, "everything"))
        ]
        for letter, sides in run["flows"].items()
    }
    series = ("Countersign, answering", "Countersign, all", "django-allauth")
    latency = {
        f"{letter} {names[letter]}": [
            Spread.of([batch["p50"] for batch in sides[side]]).median for side in (OURS, THEIRS)
        ]
        for letter, sides in run["flows"].items()
    }
    return {
        "performance-cpu.svg": bars("CPU for one flow", "ms", series, cpu),
        "performance-latency.svg": bars(
            "Time that one flow waits for answers (p50)", "ms", (series[0], series[2]), latency
        ),
    }


def spread_of_ratios(sides: Mapping[str, Sequence[Run]], kind: str) -> Spread:
    """Return how many times more of `kind` the peer took for a flow."""
    theirs = "everything" if kind == "answering" else kind
    return ratios([b[theirs] for b in sides[THEIRS]], [b[kind] for b in sides[OURS]])


def listed(conditions: Mapping[str, str]) -> str:
    """Return a list of the circumstances, by name."""
    return "\n".join(f"- {name}: {value}" for name, value in conditions.items())


def _flows(run: Run) -> str:
    wanted = {flow.letter: flow for flow in FLOWS}
    rows: list[Sequence[str]] = [FLOWS_HEAD]
    for letter, sides in run["flows"].items():
        flow = wanted[letter]
        ratio = spread_of_ratios(sides, "answering")
        ours, theirs = sides[OURS], sides[THEIRS]
        rows.append(
            (
                f"{letter} {flow.name}",
                str(ratio),
                f"{flow.must:g}",
                f"{flow.aim:g}",
                "aim"
                if ratio.median >= flow.aim
                else "must"
                if ratio.median >= flow.must
                else "no",
                str(spread_of_ratios(sides, "everything")),
                str(Spread.of([batch["answering"] for batch in ours])),
                str(Spread.of([batch["everything"] for batch in ours])),
                str(Spread.of([batch["everything"] for batch in theirs])),
                f"{Spread.of([batch['statements'] for batch in ours]).median:.0f}",
                f"{Spread.of([batch['statements'] for batch in theirs]).median:.0f}",
            )
        )
    return table(rows)


def _latencies(run: Run) -> str:
    rows: list[Sequence[str]] = [
        ("flow", "times quicker", "p50 ms", "p99 ms", "allauth's p50", "p99")
    ]
    names = {flow.letter: flow.name for flow in FLOWS}
    for letter, sides in run["flows"].items():
        told = [
            str(Spread.of([batch[kind] for batch in sides[side]]))
            for side in (OURS, THEIRS)
            for kind in ("p50", "p99")
        ]
        ratio = ratios([b["p50"] for b in sides[THEIRS]], [b["p50"] for b in sides[OURS]])
        rows.append((f"{letter} {names[letter]}", str(ratio), *told))
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table, whose first row is its head."""
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
