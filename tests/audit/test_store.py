"""The ledger's table holds entries as they were given, and no number twice."""

import pytest

from services.audit.domain import enter
from services.audit.store import LedgerStore, metadata
from shared.errors import Conflict
from shared.migrations import differences
from tests import trail
from tests.audit.facts import fact


def test_the_migrations_make_the_tables_that_the_store_knows(ledger_url: str) -> None:
    assert differences(ledger_url, metadata) == []


async def test_what_is_appended_is_read_in_order(store: LedgerStore) -> None:
    awkward = fact(2, subject=None, text='{"text":"\\u0000 \\" ü 😀 \\\\ \'"}')
    entries = enter([fact(1), awkward, fact(3)], set(), 0, trail.NOON)

    await store.append(entries, forgettings=0)

    assert await store.after(0, 10) == entries
    assert await store.after(1, 1) == entries[1:2]
    assert await store.after(3, 10) == []
    assert await store.head() == 3


async def test_an_empty_ledger_has_the_head_0(store: LedgerStore) -> None:
    assert await store.head() == 0


async def test_a_number_is_given_once_and_a_batch_is_not_torn(store: LedgerStore) -> None:
    await store.append(enter([fact(1), fact(2)], set(), 0, trail.NOON), forgettings=0)

    with pytest.raises(Conflict):
        await store.append(enter([fact(3), fact(4)], set(), 1, trail.NOON), forgettings=0)

    assert [entry.fact.number for entry in await store.after(0, 10)] == [1, 2]


async def test_a_fact_is_entered_once_and_a_batch_is_not_torn(store: LedgerStore) -> None:
    await store.append(enter([fact(1)], set(), 0, trail.NOON), forgettings=0)

    with pytest.raises(Conflict):
        await store.append(enter([fact(2), fact(1)], set(), 1, trail.NOON), forgettings=0)

    assert await store.head() == 1


async def test_known_facts_are_found_among_many(store: LedgerStore) -> None:
    await store.append(enter([fact(n) for n in range(1, 501)], set(), 0, trail.NOON), forgettings=0)

    assert await store.known([f"event-{n}" for n in range(499, 999)]) == {"event-499", "event-500"}
    assert await store.known([]) == set()
