"""What is made of measurements."""

import pytest

from bench.results import Spread, fell, percentile, ratios


def test_a_spread_has_the_middle_and_both_ends() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_a_value_that_was_measured(percent: int, value: int) -> None:
    assert percentile(range(1, 101), percent) == value


def test_rounds_are_compared_each_with_its_own() -> None:
    """The second round was disturbed, on both sides alike."""
    assert ratios([10.0, 20.0], [2.0, 4.0]) == Spread(5.0, 5.0, 5.0)


def test_a_round_without_its_counterpart_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([10.0, 20.0], [2.0])


@pytest.mark.parametrize(
    ("recorded", "now", "worse"),
    [
        (Spread(10.0, 9.9, 10.1), 8.6, False),  # within what runs differ by
        (Spread(10.0, 9.9, 10.1), 8.4, True),
        (Spread(10.0, 8.0, 12.0), 7.1, False),  # it varied more while it was recorded
        (Spread(10.0, 8.0, 12.0), 6.9, True),
        (Spread(10.0, 9.9, 10.1), 20.0, False),  # better is never worse
    ],
)
def test_a_ratio_falls_when_noise_does_not_explain_it(
    recorded: Spread, now: float, worse: bool
) -> None:
    assert fell(recorded, Spread(now, now, now)) is worse


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (1.26, "1.3"), (99.94, "99.9"), (123.4, "123")]
)
def test_figures_are_as_exact_as_they_are_worth(value: float, text: str) -> None:
    assert str(Spread(value, value, value)) == f"{text} ({text} to {text})"
