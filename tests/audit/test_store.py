"""The ledger's tables hold entries as they were given, and no number twice."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.audit.domain.coverage import Coverage
from services.audit.domain.entries import Entry, Growth, Leaf, event_hash, grow
from services.audit.domain.facts import Arrival
from services.audit.domain.outcome import Outcome
from services.audit.domain.reading import Wanted
from services.audit.store.ledger import LedgerStore
from services.audit.store.tables import metadata
from shared.errors import Conflict
from shared.migrations import differences
from tests import trail
from tests.audit.facts import fact


def entry(number: int, *, place: int | None = None, **changes: object) -> Entry:
    """Return the entry of the `number`th fact of the source `demo`."""
    made = fact(number, **changes)
    return Entry(
        number=place or number,
        received_at=trail.NOON + timedelta(seconds=1),
        id=made.id,
        type=made.type,
        source=made.source,
        sequence=made.number,
        occurred_at=made.occurred_at,
        subject=made.subject,
        event=made.text,
        event_hash=event_hash(made.text),
    )


def leaves_of(entries: Sequence[Entry], growth: Growth | None = None) -> list[Leaf]:
    return grow(growth or Growth(), entries)[1]


async def append(store: LedgerStore, *entries: Entry) -> None:
    await store.make_room([each.occurred_at for each in entries])
    growth = (await store.standing(await store.head())).growth
    await store.append(entries, leaves_of(entries, growth))


def test_the_migrations_make_the_tables_that_the_store_knows(ledger_url: str) -> None:
    assert differences(ledger_url, metadata) == []


async def test_what_is_appended_is_read_in_order(store: LedgerStore) -> None:
    awkward = entry(2, subject=None, text='{"text":"\\u0000 \\" ü 😀 \\\\ \'"}')
    entries = [entry(1), awkward, entry(3)]

    await append(store, *entries)

    assert await store.after(0, 10) == entries
    assert await store.after(1, 1) == entries[1:2]
    assert await store.after(3, 10) == []
    assert await store.head() == 3
    assert await store.leaves([1, 2, 3]) == leaves_of(entries)


async def test_an_empty_ledger_has_the_head_0(store: LedgerStore) -> None:
    assert await store.head() == 0
    assert (await store.standing(0)).growth == Growth()


@pytest.mark.parametrize("count", [1, 2, 5, 8, 13])
async def test_the_tree_goes_on_from_what_is_kept_of_it(store: LedgerStore, count: int) -> None:
    """Not from all leaves: a row for each bit of their number, and the last."""
    entries = [entry(number) for number in range(1, count + 1)]
    await append(store, *entries)

    assert (await store.standing(count)).growth == grow(Growth(), entries)[0]


async def test_a_number_is_given_once_and_a_batch_is_not_torn(store: LedgerStore) -> None:
    await append(store, entry(1), entry(2))
    again = [entry(3, place=2), entry(4, place=3)]

    with pytest.raises(Conflict) as refusal:
        await store.append(again, leaves_of(again), counts=[Coverage("demo", 4)])

    assert refusal.value.code == "unique"
    assert [each.sequence for each in await store.after(0, 10)] == [1, 2]
    assert await store.coverage() == []


async def test_a_fact_is_entered_once_and_a_batch_is_not_torn(store: LedgerStore) -> None:
    await append(store, entry(1))
    again = [entry(2), entry(1, place=3)]

    with pytest.raises(Conflict):
        await store.append(again, leaves_of(again))

    assert await store.head() == 1


async def test_known_facts_are_found_among_many(store: LedgerStore) -> None:
    await append(store, *(entry(number) for number in range(1, 501)))

    facts = [Arrival(fact(number), trail.NOON) for number in range(499, 999)]

    assert await store.known(facts) == {"event-499", "event-500"}
    assert await store.known([]) == set()


LATER = trail.NOON + timedelta(days=40)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(user="bob"), [2]),
        (Wanted(type="mfa.totp.failed"), [3]),
        (Wanted(type="mfa.*failed"), [3, 5]),
        (Wanted(type="mfa.totp_*"), []),
        (Wanted(type="mfa.%"), []),
        (Wanted(outcome=Outcome.FAILURE), [3, 5]),
        (Wanted(outcome=Outcome.SUCCESS, user="ada"), [1, 4]),
        (Wanted(since=LATER), [4, 5]),
        (Wanted(until=LATER), [1, 2, 3]),
        (Wanted(since=LATER, until=LATER), []),
        (Wanted(since=LATER, type="mfa.demo.failed"), [5]),
    ],
)
async def test_entries_are_found_by_what_is_wanted(
    store: LedgerStore, wanted: Wanted, numbers: list[int]
) -> None:
    await append(
        store,
        entry(1),
        entry(2, subject="bob"),
        entry(3, type="mfa.totp.failed"),
        entry(4, occurred_at=LATER),
        entry(5, occurred_at=LATER, type="mfa.demo.failed"),
    )

    assert [each.number for each in await store.after(0, 10, wanted)] == numbers
    assert [each.number for each in await store.before(9, 10, wanted)] == numbers[::-1]
    assert [each.number for each in await store.after(0, 1, wanted)] == numbers[:1]
    assert await store.after(5, 10, wanted) == []


async def test_there_is_room_for_every_month_that_is_not_before_the_first(
    store: LedgerStore,
) -> None:
    for number, month in enumerate((7, 12, 8), start=1):
        await append(store, entry(number, occurred_at=trail.NOON.replace(month=month)))
    await append(store, entry(4, occurred_at=trail.NOON.replace(year=2027, month=1)))

    assert [each.number for each in await store.after(0, 10)] == [1, 2, 3, 4]
