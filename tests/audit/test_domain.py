"""Every fact is entered once, in the order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain import enter
from tests import trail
from tests.audit.facts import fact


def test_entries_continue_behind_the_head() -> None:
    entries = enter([fact(1), fact(2)], set(), 7, trail.NOON)

    assert [(entry.number, entry.fact.id) for entry in entries] == [(8, "event-1"), (9, "event-2")]


def test_a_fact_that_is_known_or_comes_twice_is_not_entered_again() -> None:
    """D5: the bus repeats itself after a crash, the ledger does not."""
    entries = enter([fact(3), fact(1), fact(3), fact(2)], {"event-1"}, 0, trail.NOON)

    assert [(entry.number, entry.fact.id) for entry in entries] == [(1, "event-3"), (2, "event-2")]


@given(
    numbers=st.lists(st.integers(1, 9)),
    known=st.sets(st.integers(1, 9)),
    head=st.integers(0, 10**12),
)
def test_numbers_have_no_gap_and_facts_no_double(
    numbers: list[int], known: set[int], head: int
) -> None:
    entries = enter([fact(n) for n in numbers], {f"event-{n}" for n in known}, head, trail.NOON)

    assert [entry.number for entry in entries] == list(range(head + 1, head + 1 + len(entries)))
    assert {entry.fact.number for entry in entries} == set(numbers) - known
    assert len({entry.fact.id for entry in entries}) == len(entries)
