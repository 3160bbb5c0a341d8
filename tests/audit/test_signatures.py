"""What sources have signed: whoever has everything of the ledger's does not have their keys."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countersign_events import PublicKey
from services.audit.domain.entries import envelope, event_hash
from services.audit.domain.export import judge
from services.audit.domain.signatures import Signatures
from services.audit.flows.checkpointing import Checkpointing
from services.audit.flows.entering import Ledger
from services.audit.flows.forgetting import Forgetting
from shared.database import Database
from tests import trail
from tests.audit.facts import fact
from tests.audit.signing import VERIFIER
from tests.audit.tampering import Tamperer

OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@pytest.fixture
async def tamperer(ledger: Ledger, ledger_url: str, db: Database) -> Tamperer:
    """A ledger of four entries without a checkpoint: as if whoever has its key had signed others.

    Of the third nothing is sealed. The second and the third were signed together with others.
    """
    _, second = trail.signed_together(2, subject="bob")
    third, _ = trail.signed_together(2, 3, context={})
    facts = [fact(2, subject="bob", text=second.decode()), fact(3, text=third.decode())]
    await ledger.enter([fact(1), *facts, fact(4)])
    return Tamperer(ledger_url, db)


async def rewrite(tamperer: Tamperer, number: int, old: str, new: str) -> None:
    """Alter the event of an entry, and all that follows from it but the source's signature."""
    (kept,) = await tamperer.store.kept(number - 1, 1)
    event = kept.entries[0].event
    assert event is not None
    assert old in event
    altered = event.replace(old, new)
    await tamperer.run(
        f"UPDATE entries SET event = '{altered}',"
        f" event_hash = {tamperer._bytes(event_hash(altered))} WHERE entry = {number}"
    )
    await tamperer.rework()


async def test_what_the_sources_have_signed_fits(tamperer: Tamperer) -> None:
    verdict = await tamperer.signed()

    assert (verdict.entries, verdict.fitting, verdict.unopened, verdict.faults) == (4, 4, 0, ())


async def test_without_their_keys_nobody_says_that_it_does(tamperer: Tamperer) -> None:
    assert (await tamperer.verdict()).fitting is None


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"number":', '"numbr":', "the signature of its event does not fit"),
        ('"signature"', '"signaturE"', "its event has no signature"),
        ('"signaturepath":"A', '"signaturepath":"B', "the signature of its event does not fit"),
        ('"keyid":"demo-1"', '"keyid":"demo-2"', "no key is at hand by which its event is signed"),
    ],
)
async def test_whoever_has_the_keys_of_the_ledger_is_found_by_those_of_the_sources(
    tamperer: Tamperer, number: int, old: str, new: str, why: str
) -> None:
    """Tree, chain and checkpoints all fit: only the source can sign its events."""
    await rewrite(tamperer, number, old, new)

    assert await tamperer.found() == []
    (fault,) = (await tamperer.signed()).faults
    assert (fault.kind, fault.first, fault.last, fault.detail) == ("unsigned", number, number, why)


@pytest.mark.parametrize(
    "change",
    [
        "id = 'event-x'",
        "type = 'mfa.demo.other'",
        "source = 'totp'",
        "number = 30",
        "occurred_at = occurred_at + 1",
    ],
)
async def test_an_entry_that_tells_something_else_than_its_event_is_named(
    tamperer: Tamperer, change: str
) -> None:
    await tamperer.run(f"UPDATE entries SET {change} WHERE entry = 3")
    await tamperer.rework()

    assert await tamperer.found() == []
    (fault,) = (await tamperer.signed()).faults
    assert (fault.kind, fault.first) == ("unsigned", 3)


async def test_an_entry_that_is_filed_under_another_person_is_named(tamperer: Tamperer) -> None:
    """Of that column nothing is hashed; but the event in it is, and says whom it is about."""
    await tamperer.run("UPDATE entries SET subject = 'eve' WHERE entry = 2")

    assert await tamperer.found() == [("altered", 2, 2)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"data"', '["data"'),
        ('"number":3', '"number":NaN'),
        ('"number":3', '"number":"\\ud800"'),
        ('"number":3', '"number":' + "[" * 2000 + "]" * 2000),
    ],
)
async def test_what_is_no_event_at_all_is_named(tamperer: Tamperer, old: str, new: str) -> None:
    await rewrite(tamperer, 3, old, new)

    assert await tamperer.found() == [("altered", 3, 3)]
    (fault,) = (await tamperer.signed()).faults
    assert (fault.kind, fault.detail) == ("altered", "its event is none")


async def test_what_is_sealed_has_to_fit_to_the_rest(tamperer: Tamperer) -> None:
    await rewrite(tamperer, 2, '"data"', '"dat4"')

    (fault,) = (await tamperer.signed()).faults
    assert (fault.kind, fault.first) == ("unsigned", 2)


async def test_of_who_is_forgotten_nobody_can_tell(
    tamperer: Tamperer, forgetting: Forgetting
) -> None:
    """Nor does anybody need to be told that something is wrong."""
    await forgetting.forget("bob", by="session")

    verdict = await tamperer.signed()

    assert (verdict.fitting, verdict.unopened, verdict.faults) == (3, 1, ())


async def test_a_key_speaks_for_its_own_source(tamperer: Tamperer) -> None:
    theirs = {"demo-1": PublicKey("demo", OTHER.public_key())}
    foreign = {"demo-1": PublicKey("totp", trail.KEY.key.public_key())}

    for keys in (theirs, foreign):
        (fault,) = (await tamperer.signed(keys)).faults
        assert (fault.kind, fault.first) == ("unsigned", 1)


async def test_an_export_shows_what_it_can_without_the_keys_of_people(
    tamperer: Tamperer, checkpointing: Checkpointing
) -> None:
    await checkpointing.make_due()
    lines = []
    for kept in await tamperer.store.kept(0, 10):
        assert kept.leaf is not None
        line = {
            "leaf": envelope(kept.entries[0]),
            "event": kept.entries[0].event,
            "hash": kept.leaf.nodes[0].hex(),
            "chain": kept.leaf.chain.hex(),
        }
        lines.append(json.dumps(line))

    verdict = judge(lines, [VERIFIER], (), Signatures(trail.PUBLIC_KEYS))
    strangers = judge(lines, [VERIFIER], (), Signatures({}))

    assert (verdict.fitting, verdict.unopened, verdict.faults) == (1, 3, ())
    assert [(fault.kind, fault.first) for fault in strangers.faults] == [("unsigned", 3)]
