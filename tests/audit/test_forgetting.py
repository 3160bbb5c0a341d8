"""A person who is forgotten has no address in the ledger, and what happened stays on record."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from services.audit.client import AuditClient
from services.audit.domain import enter, stripped
from services.audit.flows import Forgetting, Ledger
from services.audit.store import STRIPPED_AT_ONCE, LedgerStore
from shared.auth import PrivateKey
from shared.clock import utc_now
from shared.database import Database
from tests import trail
from tests.audit.callers import OPERATOR, SESSION, TOTP, bearer
from tests.audit.facts import fact

ADDRESS = "192.0.2.1"


def context_of(text: str) -> dict[str, Any]:
    context: dict[str, Any] = json.loads(text)["data"]["context"]
    return context


async def texts(store: LedgerStore) -> list[str]:
    return [entry.fact.text for entry in await store.after(0, 10_000)]


@pytest.fixture
def forgetting(store: LedgerStore) -> Forgetting:
    return Forgetting(store, utc_now)


def test_what_is_personal_is_taken_out_and_the_rest_stays() -> None:
    context = {
        "request_id": "r1",
        "session": "ab" * 32,
        "address": ADDRESS,
        "user_agent": "Navigator 4",
        "client": "app",
    }
    before = fact(text=trail.signed(context=context).decode())

    after = stripped(before)

    was, now = json.loads(before.text), json.loads(after.text)
    assert now["data"].pop("context") == {"request_id": "r1", "session": "ab" * 32}
    was["data"].pop("context")
    assert now == was
    assert after.redacted
    assert (after.id, after.type, after.number) == (before.id, before.type, before.number)


def test_an_event_without_a_context_is_marked_all_the_same() -> None:
    bare = fact(text=trail.signed(context={}).decode())

    assert stripped(bare).redacted
    assert json.loads(stripped(bare).text) == json.loads(bare.text)


async def test_entries_that_are_there_are_stripped(
    ledger: Ledger, store: LedgerStore, forgetting: Forgetting
) -> None:
    await ledger.enter([fact(1), fact(2, subject="bob"), fact(3, subject=None)])
    before = await store.after(0, 10)

    await forgetting.forget("ada")

    first, *others = await store.after(0, 10)
    assert context_of(first.fact.text).keys() == {"request_id"}
    assert first.fact.redacted
    assert others == before[1:]
    assert first.received_at == before[0].received_at


async def test_entries_that_come_later_are_stripped_too(
    ledger: Ledger, store: LedgerStore, forgetting: Forgetting
) -> None:
    """The event of the deletion itself comes late: the bus is slower than the call."""
    await forgetting.forget("ada")

    await ledger.enter([fact(1), fact(2, subject="bob")])

    adas, bobs = await store.after(0, 10)
    assert (adas.fact.redacted, bobs.fact.redacted) == (True, False)
    assert ADDRESS not in adas.fact.text
    assert ADDRESS in bobs.fact.text


async def test_forgetting_is_repeatable(
    ledger: Ledger, store: LedgerStore, forgetting: Forgetting
) -> None:
    await ledger.enter([fact(1)])

    await forgetting.forget("ada")
    once = await store.after(0, 10)
    await forgetting.forget("ada")

    assert await store.after(0, 10) == once


async def test_who_has_more_entries_than_are_stripped_at_once_is_forgotten_whole(
    ledger: Ledger, store: LedgerStore, forgetting: Forgetting
) -> None:
    await ledger.enter([fact(number) for number in range(1, STRIPPED_AT_ONCE + 8)])

    await forgetting.forget("ada")

    assert not [text for text in await texts(store) if ADDRESS in text]


async def test_what_died_half_way_is_finished_by_asking_again(
    ledger: Ledger, store: LedgerStore, forgetting: Forgetting
) -> None:
    await ledger.enter([fact(1)])
    await store.forget("ada", utc_now())
    assert ADDRESS in (await texts(store))[0]

    await forgetting.forget("ada")

    assert ADDRESS not in (await texts(store))[0]


async def test_a_batch_from_before_a_forgetting_is_not_added_after_it(store: LedgerStore) -> None:
    place = await store.place()
    await store.forget("ada", utc_now())

    entries = enter([fact(1)], set(), place.head, trail.NOON)

    assert not await store.append(entries, forgettings=place.forgettings)
    assert await store.head() == 0


async def test_nothing_slips_through_while_people_are_forgotten(
    ledger: Ledger, store: LedgerStore, ledger_url: str
) -> None:
    """However entering and forgetting fall together: in the end no address is left."""
    db = Database(ledger_url, source="audit")
    other = LedgerStore(db)
    people = [f"p{number}" for number in range(10)]

    async def write() -> None:
        for start in range(0, 200, 10):
            numbers = range(start + 1, start + 11)
            await ledger.enter([fact(n, subject=people[n % 10]) for n in numbers])

    async def forget() -> None:
        for person in people:
            await Forgetting(other, utc_now).forget(person)
            await asyncio.sleep(0.005)

    await asyncio.gather(write(), forget())
    await db.close()

    assert len(await texts(store)) == 200
    assert not [text for text in await texts(store) if ADDRESS in text]


async def test_the_feed_says_what_was_redacted(
    client: AuditClient, ledger: Ledger, http: httpx.AsyncClient
) -> None:
    await ledger.enter([fact(1), fact(2, subject="bob")])

    answer = await http.delete("/v1/users/ada", headers=bearer(SESSION))

    assert answer.status_code == 204
    feed = await client.events()
    assert [entry.redacted for entry in feed.events] == [True, False]


@pytest.mark.parametrize(("key", "status"), [(OPERATOR, 403), (SESSION, 204), (TOTP, 403)])
async def test_session_alone_may_have_somebody_forgotten(
    http: httpx.AsyncClient, key: PrivateKey, status: int
) -> None:
    """Section 3: no factor may, and nobody who is there to read."""
    answer = await http.delete("/v1/users/ada", headers=bearer(key))

    assert answer.status_code == status


async def test_session_may_not_read_what_it_may_have_forgotten(http: httpx.AsyncClient) -> None:
    """Section 3: least privilege."""
    assert (await http.get("/v1/events", headers=bearer(SESSION))).status_code == 403


async def test_a_name_that_is_no_id_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.delete("/v1/users/a%20b", headers=bearer(SESSION))).status_code == 400
