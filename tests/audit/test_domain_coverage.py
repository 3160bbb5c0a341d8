"""Numbers that are missing are known, whatever the order in which the others have come."""

from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain.coverage import Coverage


def test_a_source_that_lacks_nothing_has_no_gap() -> None:
    coverage = Coverage("demo").add([1, 2, 3])

    assert (coverage.last, coverage.gaps, coverage.missing) == (3, (), 0)


def test_a_number_that_is_passed_over_is_missing_until_it_comes() -> None:
    gappy = Coverage("demo").add([3, 4, 9])
    assert gappy.gaps == ((1, 2), (5, 8))
    assert gappy.missing == 6

    assert gappy.add([6]).gaps == ((1, 2), (5, 5), (7, 8))
    assert gappy.add([1, 2, 5, 6, 7, 8]).gaps == ()


def test_a_number_that_another_event_had_is_counted() -> None:
    """A source whose database was restored from a backup counts anew, and should be seen to."""
    assert Coverage("demo").add([1, 2, 2, 1]).repeated == 2


@given(batches=st.lists(st.lists(st.integers(1, 30), unique=True, max_size=10), max_size=6))
def test_what_is_missing_is_what_has_not_come(batches: list[list[int]]) -> None:
    coverage, seen, count = Coverage("demo"), set[int](), 0
    for numbers in batches:
        coverage, count = coverage.add(sorted(numbers)), count + len(numbers)
        seen |= set(numbers)

    last = max(seen, default=0)
    missing = {n for first, end in coverage.gaps for n in range(first, end + 1)}
    assert coverage.last == last
    assert missing == set(range(1, last + 1)) - seen
    assert coverage.missing == len(missing)
    assert coverage.repeated == count - len(seen)
    assert list(coverage.gaps) == sorted(coverage.gaps)
