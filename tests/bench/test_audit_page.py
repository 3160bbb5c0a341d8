"""What the page tells of the audit trail: ratios round by round, and honestly whether they do."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from bench.__main__ import PAGE
from bench.audit.page import (
    HANDLER,
    charts_of,
    lines_of,
    missing,
    parts_of,
    ratio,
    table_of,
)
from bench.page import MARK
from bench.results import Spread

RATES = {
    "publish raw": 1000.0,
    "consume raw": 4000.0,
    "relay": 900.0,
    "ledger": 2000.0,
    "single": 250.0,
    "handler alone": 1000.0,
    "handler": 700.0,
}


def found(**changes: Any) -> dict[str, Any]:
    """Return what a place might come to."""
    return {
        "interval": 0.05,
        "rounds": [RATES, RATES],
        "latencies": [{"p50": 0.03, "p99": 0.09}, {"p50": 0.03, "p99": 0.1}],
        "idle": {"relay": 0.004, "ledger": 0.02, "Broker": 0.5},
        "recorded": 100,
        "entries": 100,
        "different": 100,
        **changes,
    }


def reached(place: str = "production", **changes: Any) -> dict[str, bool]:
    """Return what is reached, by name."""
    return {line.name: line.reached for line in lines_of(place, found(**changes))}


def test_a_ratio_is_made_round_by_round() -> None:
    rounds = [{"a": 10.0, "b": 10.0}, {"a": 1.0, "b": 4.0}, {"a": 9.0, "b": 10.0}]

    assert ratio(found(rounds=rounds), "a", "b") == Spread(0.9, 0.25, 1.0)


def test_every_target_is_judged_by_the_median() -> None:
    assert reached() == {
        "relay / raw confirmed publish": True,
        "ledger / raw consume": False,
        "batches / one task and INSERT each": True,
        "handler with its event / without, 16 at once": True,
        "commit to ledger at 200 events/s, p99": True,
        "lost": True,
        "stored twice": True,
        "idle: relay": True,
        "idle: ledger": False,
    }


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({"different": 99, "entries": 99}, "lost"),
        ({"entries": 101}, "stored twice"),
        ({"interval": 0.04}, "commit to ledger at 200 events/s, p99"),
        (
            {"rounds": [{**RATES, "handler": 600.0}]},
            "handler with its event / without, 16 at once",
        ),
    ],
)
def test_what_is_not_reached_is_told(changes: dict[str, Any], fails: str) -> None:
    before, after = reached(), reached(**changes)

    assert before[fails]
    assert {name for name in before if before[name] != after[name]} == {fails}


def test_the_embedded_handler_has_more_to_reach() -> None:
    assert HANDLER["embedded"] > HANDLER["production"]
    assert not reached("embedded")["handler with its event / without, 16 at once"]


def test_an_event_that_is_lost_does_not_make_up_for_one_that_is_there_twice() -> None:
    assert missing(found(recorded=10, entries=10, different=9)) == (1, 1)


def test_the_table_has_both_places_side_by_side() -> None:
    table = table_of({"production": found(), "embedded": found(interval=0.15)})

    assert "| relay / raw confirmed publish | ≥ 0.9 | 0.90 (0.90 to 0.90) | yes | ≥ 0.9 |" in table
    assert "| ≤ 100 ms | 95.0 (90.0 to 100) ms | yes | ≤ 300 ms |" in table
    assert "| idle: ledger | ≤ 1% | 2.0% | no |" in table


def test_the_page_has_a_place_for_all_of_it() -> None:
    run = {"production": found(), "embedded": found()}
    text = PAGE.read_text()

    assert parts_of(run).keys() <= {mark[2] for mark in MARK.finditer(text)}
    for name, chart in charts_of(run).items():
        assert f"]({name})" in text
        assert Path(PAGE.parent, name).exists()
        Xml.fromstring(chart)  # noqa: S314 - our own
