"""What is told of a code's check beside privacyIDEA's."""

from bench.comparing import Measured
from bench.privacyidea.__main__ import table


def measured(answering: float, everything: float) -> Measured:
    return Measured(answering=answering, everything=everything, p50=2, p99=3, statements=5)


def test_ratios_are_made_round_by_round() -> None:
    rounds = [(measured(2, 4), measured(20, 40)), (measured(4, 8), measured(30, 30))]

    rows = [line.strip("| ").split(" | ") for line in table(rounds).splitlines()]

    assert rows[0] == ["Countersign", "privacyIDEA", "times less"]
    assert rows[2] == [
        *("CPU ms, answering", "3.0 (2.0 to 4.0)", "35.0 (30.0 to 40.0)"),
        "13.8 (7.5 to 20.0)",
    ]
    assert rows[3][-1] == "6.9 (3.8 to 10.0)"
