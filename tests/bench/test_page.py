"""The page of measurements: what is written by hand in it stays."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from bench.__main__ import PAGE, RECORD
from bench.page import charts_of, parts_of, renewed

BATCH = {"answering": 2.0, "everything": 4.0, "p50": 3.0, "p99": 5.0, "statements": 6.0}
OF_THE_PEER = {"answering": 20.0, "everything": 20.0, "p50": 30.0, "p99": 50.0, "statements": 33.0}
RUN: dict[str, Any] = {
    "conditions": {"date": "2026-01-01", "machine": "2 cores"},
    "flows": {"A": {"countersign": [BATCH, BATCH], "allauth": [OF_THE_PEER, OF_THE_PEER]}},
}
TEXT_OF_SVG = "{http://www.w3.org/2000/svg}text"
TEXT = """# By hand

<!-- measured: flows -->
old
<!-- end -->

Also by hand: <!-- not a mark -->
"""


def test_what_is_between_marks_is_replaced_and_nothing_else() -> None:
    page = renewed(TEXT, {"flows": "new\n"})

    assert page == TEXT.replace("old", "new")
    assert renewed(page, {"flows": "new\n"}) == page


def test_parts_that_were_not_measured_stay() -> None:
    assert renewed(TEXT, {}) == TEXT


def test_nothing_that_was_measured_is_lost() -> None:
    with pytest.raises(KeyError, match="latencies"):
        renewed(TEXT, {"latencies": "new"})


def test_the_table_says_what_was_reached() -> None:
    table = parts_of(RUN)["flows"]

    assert (
        "| A password, then TOTP | 10.0 (10.0 to 10.0) | 7 | 12 | must | 5.0 (5.0 to 5.0)" in table
    )
    assert "10.0 (10.0 to 10.0)" in parts_of(RUN)["latencies"]


def test_charts_are_pictures_with_a_bar_for_each_figure() -> None:
    charts = charts_of(RUN)
    figures = {
        name: {text.text for text in Xml.fromstring(chart).iter(TEXT_OF_SVG)}  # noqa: S314 - ours
        for name, chart in charts.items()
    }

    assert {"2.0 ms", "4.0 ms", "20.0 ms"} <= figures["performance-cpu.svg"]
    assert {"3.0 ms", "30.0 ms"} <= figures["performance-latency.svg"]


def test_the_page_shows_what_is_recorded() -> None:
    """Whoever measures anew commits both."""
    page, recorded = PAGE.read_text(), json.loads(RECORD.read_text())

    assert renewed(page, parts_of(recorded)) == page
    for name, chart in charts_of(recorded).items():
        assert Path(PAGE.parent, name).read_text() == chart


def test_the_page_shows_every_chart() -> None:
    for name in charts_of(RUN):
        assert f"]({name})" in PAGE.read_text()
