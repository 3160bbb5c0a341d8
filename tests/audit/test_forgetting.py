"""Of a person who is forgotten nothing personal can be read, and what happened stays provable."""

import asyncio
import json
import secrets
from typing import Any

import httpx
import pytest

from services.audit.client import AuditClient
from services.audit.domain.reading import EVERYTHING
from services.audit.flows.checkpointing import Checkpointing
from services.audit.flows.entering import Ledger
from services.audit.flows.forgetting import Forgetting
from services.audit.flows.reading import Reading
from services.audit.flows.verifying import Verifying
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from shared.auth import PrivateKey
from shared.cipher import CannotOpen, Cipher, KeyRing
from shared.clock import utc_now
from shared.database import Database
from tests import trail
from tests.audit.callers import OPERATOR, SESSION, TOTP, bearer
from tests.audit.facts import fact
from tests.audit.signing import VERIFIER
from tests.tables import everything_in

ADDRESS = "192.0.2.1"


def context_of(text: str) -> dict[str, Any]:
    context: dict[str, Any] = json.loads(text)["data"]["context"]
    return context


async def shown(reading: Reading) -> list[tuple[str, bool]]:
    """Return each event as readers see it, and whether it is redacted."""
    page = await reading.after(0, limit=1000, wait=trail.NO_TIME, wanted=EVERYTHING)
    return [(each.text, each.redacted) for each in page.entries]


async def test_readers_see_what_was_signed(ledger: Ledger, reading: Reading) -> None:
    await ledger.enter([fact(1), fact(2, subject=None)])

    assert await shown(reading) == [
        (trail.signed(1).decode(), False),
        (trail.signed(2, subject=None).decode(), False),
    ]


async def test_nothing_personal_is_in_the_tables(ledger: Ledger, ledger_url: str) -> None:
    """Section 3, audit: it is sealed under a key for each person, and that under the ring."""
    await ledger.enter([fact(1), fact(2, subject=None), fact(3, subject="bob")])

    everything = everything_in(ledger_url)

    assert "event-1" in everything
    assert ADDRESS not in everything


async def test_each_person_has_a_key_of_their_own(ledger: Ledger, people: PeopleStore) -> None:
    await ledger.enter([fact(1), fact(2, subject="bob"), fact(3, subject=None), fact(4)])
    keys = await people.keys(["ada", "bob", "", "eve"])

    await ledger.enter([fact(5), fact(6, subject="bob")])

    assert keys.keys() == {"ada", "bob", ""}
    assert len(set(keys.values())) == 3
    assert await people.keys(["ada", "bob", "", "eve"]) == keys


async def test_who_is_forgotten_cannot_be_read_and_others_can(
    ledger: Ledger, reading: Reading, forgetting: Forgetting
) -> None:
    await ledger.enter([fact(1), fact(2, subject="bob"), fact(3, subject=None)])
    before = await shown(reading)

    await forgetting.forget("ada", by="session")

    (first, redacted), *others = await shown(reading)
    assert redacted
    assert context_of(first).keys() == {"request_id"}
    assert json.loads(first)["data"]["number"] == 1
    assert others == before[1:]


async def test_every_proof_holds_after_somebody_is_forgotten(
    ledger: Ledger,
    store: LedgerStore,
    checkpoints: CheckpointStore,
    checkpointing: Checkpointing,
    forgetting: Forgetting,
) -> None:
    """Section 3, audit: erasing a person is destroying a key, and the chain still verifies."""
    await ledger.enter([fact(1), fact(2, subject="bob"), fact(3)])
    await checkpointing.make_due()
    entries = await store.after(0, 10)

    await forgetting.forget("ada", by="session")
    await ledger.enter([fact(4)])
    await checkpointing.make_due()

    verdict = await Verifying(store, checkpoints).verify([VERIFIER])
    assert (verdict.entries, verdict.checkpoints, verdict.faults) == (4, 2, ())
    assert (await store.after(0, 3)) == entries


async def test_entries_that_come_later_are_kept_without_it(
    ledger: Ledger, reading: Reading, forgetting: Forgetting, ledger_url: str
) -> None:
    """The event of the deletion itself comes late: the bus is slower than the call."""
    await forgetting.forget("ada", by="session")

    await ledger.enter([fact(1), fact(2, subject="bob")])

    (adas, redacted), (bobs, _) = await shown(reading)
    assert redacted
    assert context_of(adas).keys() == {"request_id"}
    assert context_of(bobs)["address"] == ADDRESS
    assert '"sealed":""' in everything_in(ledger_url)


async def test_what_is_sealed_while_its_key_is_destroyed_cannot_be_opened(
    store: LedgerStore, people: PeopleStore, forgetting: Forgetting, reading: Reading
) -> None:
    """A batch may be on its way with the key: it is in no table any more when it arrives."""

    class Slow(PeopleStore):
        async def keys(self, subjects: Any) -> dict[str, bytes | None]:
            found = await super().keys(subjects)
            await forgetting.forget("ada", by="session")
            return found

    await Ledger(store, people, utc_now).enter([fact(1)])
    slow = Slow(people._db, Cipher(trail.RING, PURPOSE))
    await Ledger(store, slow, utc_now).enter([fact(2)])

    assert [redacted for _, redacted in await shown(reading)] == [True, True]


async def test_who_is_forgotten_while_they_get_their_first_key_has_none(
    store: LedgerStore, people: PeopleStore, forgetting: Forgetting, reading: Reading
) -> None:
    """The key would be added to who is forgotten by now; so the batch is made anew, without."""

    class Slow(PeopleStore):
        async def keys(self, subjects: Any) -> dict[str, bytes | None]:
            found = await super().keys(subjects)
            await forgetting.forget("ada", by="session")
            return found

    slow = Slow(people._db, Cipher(trail.RING, PURPOSE))
    assert await Ledger(store, slow, utc_now).enter([fact(1)]) == 1

    assert await people.keys(["ada"]) == {"ada": None}
    assert [redacted for _, redacted in await shown(reading)] == [True]


async def test_two_writers_do_not_give_one_person_two_keys(
    store: LedgerStore, people: PeopleStore, ledger_url: str, reading: Reading
) -> None:
    db = Database(ledger_url, source="audit")
    other = Ledger(LedgerStore(db), PeopleStore(db, Cipher(trail.RING, PURPOSE)), utc_now)
    ledger = Ledger(store, people, utc_now)
    names = [f"p{number}" for number in range(20)]

    await asyncio.gather(
        *(
            writer.enter([fact(first + n, subject=name) for n, name in enumerate(names)])
            for writer, first in ((ledger, 1), (other, 101))
        )
    )
    await db.close()

    assert [redacted for _, redacted in await shown(reading)] == [False] * 40


async def test_forgetting_is_repeatable_and_on_record_once(
    forgetting: Forgetting, ledger_url: str
) -> None:
    await forgetting.forget("ada", by="operator")
    await forgetting.forget("ada", by="session")

    everything = everything_in(ledger_url)
    assert everything.count("mfa.audit.person_forgotten") == 1
    assert '{"by":"operator"}' in everything


async def test_without_the_ring_nothing_personal_is_shown(
    ledger: Ledger, store: LedgerStore, db: Database
) -> None:
    """Who has the tables has nothing: the keys of people are sealed under a key that is not."""
    await ledger.enter([fact(1)])
    thief = PeopleStore(
        db, Cipher(KeyRing("audit-1", {"audit-1": secrets.token_bytes(32)}), PURPOSE)
    )

    ((text, redacted),) = await shown(Reading(store, thief))
    assert redacted
    assert ADDRESS not in text


async def test_a_key_that_does_not_open_seals_nothing(
    ledger: Ledger, store: LedgerStore, db: Database
) -> None:
    """A worker with the wrong ring holds what it has, and does not give people a second key."""
    await ledger.enter([fact(1)])
    wrong = PeopleStore(db, Cipher(KeyRing("other", {"other": b"x" * 32}), PURPOSE))

    with pytest.raises(CannotOpen):
        await Ledger(store, wrong, utc_now).enter([fact(2)])

    assert await store.head() == 1


async def test_the_feed_says_what_was_redacted(
    client: AuditClient, ledger: Ledger, http: httpx.AsyncClient
) -> None:
    await ledger.enter([fact(1), fact(2, subject="bob")])

    answer = await http.delete("/v1/users/ada", headers=bearer(SESSION))

    assert answer.status_code == 204
    feed = await client.events()
    assert [entry.redacted for entry in feed.events] == [True, False]


@pytest.mark.parametrize(("key", "status"), [(OPERATOR, 204), (SESSION, 204), (TOTP, 403)])
async def test_who_may_have_somebody_forgotten(
    http: httpx.AsyncClient, key: PrivateKey, status: int
) -> None:
    """Section 3: no factor may."""
    answer = await http.delete("/v1/users/ada", headers=bearer(key))

    assert answer.status_code == status


async def test_session_may_not_read_all_that_it_may_have_forgotten(
    http: httpx.AsyncClient,
) -> None:
    """Section 3: least privilege."""
    assert (await http.get("/v1/events", headers=bearer(SESSION))).status_code == 403


async def test_a_name_that_is_no_id_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.delete("/v1/users/a%20b", headers=bearer(SESSION))).status_code == 400
