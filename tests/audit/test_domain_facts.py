"""Every fact is entered once, and none from beyond the times that there is room for."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain.facts import MAX_AHEAD, Arrival, check_times, fresh
from shared.errors import Conflict
from tests import trail
from tests.audit.facts import fact


def arrivals(*numbers: int) -> list[Arrival]:
    return [Arrival(fact(number), trail.NOON) for number in numbers]


def test_a_fact_that_is_known_or_comes_twice_is_not_entered_again() -> None:
    """D5: the bus repeats itself after a crash, the ledger does not."""
    new = fresh(arrivals(3, 1, 3, 2), {"event-1"})

    assert [arrival.fact.id for arrival in new] == ["event-3", "event-2"]


@given(numbers=st.lists(st.integers(1, 9)), known=st.sets(st.integers(1, 9)))
def test_what_is_new_is_what_is_not_known_in_the_order_of_arrival(
    numbers: list[int], known: set[int]
) -> None:
    new = [
        arrival.fact.number for arrival in fresh(arrivals(*numbers), {f"event-{n}" for n in known})
    ]

    assert new == [n for n in dict.fromkeys(numbers) if n not in known]


@pytest.mark.parametrize(
    ("distance", "code"),
    [(timedelta(0), None), (-timedelta(microseconds=1), "too_old"), (MAX_AHEAD, None)],
)
def test_what_is_older_than_the_ledger_goes_back_is_refused(
    distance: timedelta, code: str | None
) -> None:
    late = [Arrival(fact(occurred_at=trail.NOON + distance), trail.NOON)]

    if code is None:
        check_times(late, since=trail.NOON)
    else:
        with pytest.raises(Conflict) as refusal:
            check_times(late, since=trail.NOON)
        assert refusal.value.code == code


def test_what_is_from_the_future_is_refused() -> None:
    """A source whose clock is wrong must not make partitions without end."""
    early = fact(occurred_at=trail.NOON + MAX_AHEAD + timedelta(seconds=1))

    with pytest.raises(Conflict) as refusal:
        check_times([Arrival(early, trail.NOON)], since=trail.NOON)

    assert refusal.value.code == "too_new"
