"""Whoever has been at the tables is found out, and the first entry that is bad is named."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.domain.checkpoint import Checkpoint, sign
from services.audit.domain.entries import envelope
from services.audit.domain.export import NotAnExport, judge
from services.audit.flows.checkpointing import Checkpointing, Inconsistent
from services.audit.flows.entering import Ledger
from shared.database import Database
from tests.audit.facts import fact
from tests.audit.signing import CHECKPOINT_KEY, ORIGIN, VERIFIER
from tests.audit.tampering import Tamperer

OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
SWAP = "CASE entry WHEN 3 THEN 5 WHEN 5 THEN 3 ELSE entry END"


@pytest.fixture
async def tamperer(
    ledger: Ledger, checkpointing: Checkpointing, ledger_url: str, db: Database
) -> Tamperer:
    """A ledger of seven entries, signed after the fourth and after the last."""
    await ledger.enter([fact(number) for number in range(1, 5)])
    await checkpointing.make_due()
    await ledger.enter([fact(number) for number in range(5, 8)])
    await checkpointing.make_due()
    return Tamperer(ledger_url, db)


async def outside(tamperer: Tamperer) -> str:
    """Return the last checkpoint, as it was written elsewhere."""
    record = await tamperer._checkpoints.newest()
    assert record is not None
    return record.note


async def test_a_ledger_that_nobody_has_touched_is_as_it_was_signed(tamperer: Tamperer) -> None:
    verdict = await tamperer.verdict(await outside(tamperer))

    assert (verdict.entries, verdict.checkpoints, verdict.faults) == (7, 2, ())


async def test_an_empty_ledger_is_as_it_was_signed(ledger_url: str, db: Database) -> None:
    assert (await Tamperer(ledger_url, db).verdict()).faults == ()


@pytest.mark.parametrize(
    "change",
    [
        "event = replace(event, 'mfa.demo', 'mfa.dem0')",
        "type = 'mfa.demo.other'",
        "id = 'event-x'",
        "source = 'totp'",
        "number = 30",
        "received_at = received_at + 1",
        "occurred_at = occurred_at + 1",
        "event_hash = substr(event_hash, 2, 31)",
        "event = NULL",
    ],
)
async def test_an_entry_that_was_altered_is_named(tamperer: Tamperer, change: str) -> None:
    """Section 3, audit: whatever of it was altered."""
    await tamperer.run(f"UPDATE entries SET {change} WHERE entry = 3")

    ((kind, first, last),) = await tamperer.found()

    assert kind == ("removed" if "NULL" in change else "altered")
    assert (first, last) == (3, 3)


async def test_an_entry_whose_hashes_were_altered_with_it_is_named(tamperer: Tamperer) -> None:
    """Of one entry alone: what follows upon it does not fit."""
    await tamperer.run("UPDATE entries SET type = 'mfa.demo.other' WHERE entry = 3")
    honest = await tamperer.store.leaves(range(1, 8))
    await tamperer.rework()
    forged = {leaf.number: leaf for leaf in await tamperer.store.leaves([3])}
    await tamperer.run("DELETE FROM leaves")
    for leaf in honest:
        mixed = forged.get(leaf.number, leaf)
        nodes, chain = tamperer._bytes(b"".join(mixed.nodes)), tamperer._bytes(leaf.chain)
        await tamperer.run(f"INSERT INTO leaves VALUES ({leaf.number}, {nodes}, {chain})")

    assert await tamperer.found() == [("altered", 3, 3)]


@pytest.mark.parametrize("column", ["nodes", "chain"])
async def test_a_leaf_that_was_altered_is_named(tamperer: Tamperer, column: str) -> None:
    await tamperer.run(
        f"UPDATE leaves SET {column} = (SELECT {column} FROM leaves WHERE entry = 6)"
        " WHERE entry = 4"
    )

    assert await tamperer.found() == [("altered", 4, 4)]


async def test_an_entry_that_was_removed_is_named(tamperer: Tamperer) -> None:
    await tamperer.run("DELETE FROM entries WHERE entry = 3")
    assert await tamperer.found() == [("removed", 3, 3)]

    await tamperer.run("DELETE FROM leaves WHERE entry = 3")
    assert await tamperer.found() == [("removed", 3, 3)]


async def test_an_entry_that_was_inserted_is_named(tamperer: Tamperer) -> None:
    copied = "SELECT 3, occurred_at + 1, received_at, 'new', type, outcome, source, number, subject"
    await tamperer.run(
        f"INSERT INTO entries {copied}, event, event_hash FROM entries WHERE entry = 2"
    )

    assert await tamperer.found() == [("inserted", 3, 3)]


async def test_an_entry_that_was_put_behind_the_last_is_named(tamperer: Tamperer) -> None:
    copied = "SELECT 8, occurred_at + 1, received_at, 'new', type, outcome, source, number, subject"
    await tamperer.run(
        f"INSERT INTO entries {copied}, event, event_hash FROM entries WHERE entry = 2"
    )

    assert await tamperer.found() == [("inserted", 8, 8)]


async def test_entries_that_were_exchanged_are_named(tamperer: Tamperer) -> None:
    await tamperer.run(
        "UPDATE entries SET entry = -entry WHERE entry IN (3, 5)",
        "UPDATE entries SET entry = CASE entry WHEN -3 THEN 5 ELSE 3 END WHERE entry < 0",
    )

    assert await tamperer.found() == [("reordered", 3, 3)]


async def test_entries_that_were_exchanged_with_their_leaves_are_named(tamperer: Tamperer) -> None:
    for table in ("entries", "leaves"):
        await tamperer.run(
            f"UPDATE {table} SET entry = -entry WHERE entry IN (3, 5)",
            f"UPDATE {table} SET entry = CASE entry WHEN -3 THEN 5 ELSE 3 END WHERE entry < 0",
        )

    assert await tamperer.found() == [("reordered", 3, 3)]


async def test_a_tail_that_was_cut_off_is_found_by_a_checkpoint_from_elsewhere(
    tamperer: Tamperer,
) -> None:
    """Section 3, audit: kept in a second place, for here whoever cuts cuts all of it."""
    note = await outside(tamperer)
    for table, column in (("entries", "entry"), ("leaves", "entry"), ("checkpoints", "size")):
        await tamperer.run(f"DELETE FROM {table} WHERE {column} > 5")

    assert await tamperer.found() == []
    assert await tamperer.found(note) == [("cut", 6, 7)]


async def test_a_tail_that_was_cut_off_is_found_by_our_own_checkpoint(tamperer: Tamperer) -> None:
    for table in ("entries", "leaves"):
        await tamperer.run(f"DELETE FROM {table} WHERE entry > 5")

    assert await tamperer.found() == [("cut", 6, 7)]


async def test_whoever_works_everything_out_anew_is_found_by_the_checkpoints(
    tamperer: Tamperer,
) -> None:
    """The bad entry is between the last checkpoint that fits and the first that does not."""
    await tamperer.run("UPDATE entries SET type = 'mfa.demo.other' WHERE entry = 6")
    await tamperer.rework()

    assert await tamperer.found() == [("rewritten", 5, 7)]


async def test_whoever_removes_the_checkpoints_as_well_is_found_by_one_from_elsewhere(
    tamperer: Tamperer,
) -> None:
    note = await outside(tamperer)
    await tamperer.run(
        "UPDATE entries SET type = 'mfa.demo.other' WHERE entry = 2", "DELETE FROM checkpoints"
    )
    await tamperer.rework()

    assert await tamperer.found() == []
    assert await tamperer.found(note) == [("rewritten", 1, 7)]


async def test_a_checkpoint_that_another_key_has_signed_is_forged(tamperer: Tamperer) -> None:
    await tamperer.run("UPDATE entries SET type = 'mfa.demo.other' WHERE entry = 6")
    await tamperer.rework()
    root = (await tamperer.store.standing(7)).growth.frontier.root
    note = sign(Checkpoint(ORIGIN, 7, root), OTHER)
    await tamperer.run(
        f"UPDATE checkpoints SET note = '{note}', root = {tamperer._bytes(root)} WHERE size = 7"
    )

    assert await tamperer.found() == [("forged", 7, 7)]


@pytest.mark.parametrize(
    "change", ["note = replace(note, '7', '8')", "root = substr(root, 2, 31)", "size = 6"]
)
async def test_a_checkpoint_whose_row_is_not_what_was_signed_is_forged(
    tamperer: Tamperer, change: str
) -> None:
    await tamperer.run(f"UPDATE checkpoints SET {change} WHERE size = 7")

    ((kind, _, _),) = await tamperer.found()

    assert kind == "forged"


async def test_a_checkpoint_from_elsewhere_that_was_forged_is_named(tamperer: Tamperer) -> None:
    forged = sign(Checkpoint(ORIGIN, 7, b"\x01" * 32), OTHER)

    assert await tamperer.found(forged) == [("forged", 7, 7)]


async def test_two_checkpoints_of_one_size_that_differ_cannot_both_be_right(
    tamperer: Tamperer,
) -> None:
    """Somebody shows one ledger here and another there."""
    split = sign(Checkpoint(ORIGIN, 7, b"\x01" * 32), CHECKPOINT_KEY)

    assert await tamperer.found(split) == [("rewritten", 5, 7)]


@pytest.mark.parametrize(
    "command",
    [
        "UPDATE leaves SET nodes = (SELECT nodes FROM leaves WHERE entry = 1) WHERE entry = 4",
        "DELETE FROM leaves WHERE entry > 5",
        "DELETE FROM leaves WHERE entry = 4",
    ],
)
async def test_what_does_not_go_on_from_the_last_checkpoint_is_not_signed(
    tamperer: Tamperer, ledger: Ledger, checkpointing: Checkpointing, command: str
) -> None:
    """Section 3, audit: nobody has a ledger signed that was put in the place of another."""
    await ledger.enter([fact(8)])
    await tamperer.run(command)

    with pytest.raises(Inconsistent):
        await checkpointing.make_due()


# The same, offline, from a file.


async def exported(tamperer: Tamperer) -> list[str]:
    """Return the ledger as it is exported."""
    notes = await tamperer._checkpoints.after(0, 10)
    lines = [json.dumps({"size": record.size, "note": record.note}) for record in notes]
    for kept in await tamperer.store.kept(0, 100):
        (entry,) = kept.entries
        assert kept.leaf is not None
        line = {
            "leaf": envelope(entry),
            "event": entry.event,
            "hash": kept.leaf.nodes[0].hex(),
            "chain": kept.leaf.chain.hex(),
        }
        lines.append(json.dumps(line))
    return lines


def faults(lines: list[str], *notes: str) -> list[tuple[str, int, int]]:
    """Return what is wrong with an export."""
    verdict = judge(lines, [VERIFIER], notes)
    return [(str(fault.kind), fault.first, fault.last) for fault in verdict.faults]


async def test_an_export_is_verified_by_itself(tamperer: Tamperer) -> None:
    lines = await exported(tamperer)

    assert len(lines) == 9
    assert faults(lines) == []
    assert faults([line.replace("mfa.demo.happened", "mfa.demo.x") for line in lines]) == [
        ("altered", 1, 1)
    ]
    assert faults(lines[:4] + lines[5:]) == [("removed", 3, 3)]
    assert faults([*lines[:4], lines[3], *lines[4:]]) == [("inserted", 2, 2)]
    assert faults([*lines[:4], lines[6], *lines[4:]]) == [("reordered", 3, 3)]
    assert faults([*lines[:4], lines[6], lines[5], lines[4], *lines[7:]]) == [("reordered", 3, 3)]
    assert faults(lines[:-2]) == [("cut", 6, 7)]
    assert faults(lines[2:-2]) == []
    assert faults(lines[2:-2], json.loads(lines[1])["note"]) == [("cut", 6, 7)]


async def test_a_checkpoint_in_an_export_that_was_forged_is_named(tamperer: Tamperer) -> None:
    lines = await exported(tamperer)
    root = (await tamperer.store.standing(7)).growth.frontier.root
    forged = json.dumps({"size": 7, "note": sign(Checkpoint(ORIGIN, 7, root), OTHER)})

    assert faults([lines[0], forged, *lines[2:]]) == [("forged", 7, 7)]


@pytest.mark.parametrize("line", ["", "7", "{}", "[]", '{"leaf":"{}"}', "{", "\x00"])
async def test_what_is_no_export_is_told_so(tamperer: Tamperer, line: str) -> None:
    lines = await exported(tamperer)

    with pytest.raises(NotAnExport):
        faults([*lines[:4], line])


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "\ud800"),
        ("id", 7),
        ("type", None),
        ("source", ["totp"]),
        ("sequence", 2**70),
        ("sequence", -1),
        ("sequence", "1"),
        ("sequence", True),
        ("entry", 2.0),
    ],
)
async def test_what_no_ledger_can_have_had_is_no_export(
    tamperer: Tamperer, member: str, value: object
) -> None:
    lines = await exported(tamperer)
    line = json.loads(lines[3])
    line["leaf"] = json.dumps({**json.loads(line["leaf"]), member: value})

    with pytest.raises(NotAnExport, match="line 4"):
        faults([*lines[:3], json.dumps(line), *lines[4:]])


@pytest.mark.parametrize("event", ["\ud800", 7, ["{}"]])
async def test_an_event_that_is_no_text_is_no_export(tamperer: Tamperer, event: object) -> None:
    lines = await exported(tamperer)
    line = json.dumps({**json.loads(lines[3]), "event": event})

    with pytest.raises(NotAnExport, match="line 4"):
        faults([*lines[:3], line, *lines[4:]])


async def test_a_checkpoint_behind_the_entries_is_not_passed_over(tamperer: Tamperer) -> None:
    lines = await exported(tamperer)

    with pytest.raises(NotAnExport):
        faults([*lines, lines[0]])
