"""`countersign audit verify` says in plain words, and by its exit code, what it has found."""

import asyncio
import json
import sqlite3
from base64 import b64encode
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result

from services.audit.domain.checkpoint import Verifier
from services.audit.flows.checkpointing import Checkpointing, Rhythm
from services.audit.flows.entering import Ledger
from services.audit.gateway.places import FilePlace
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from services.cli.failing import EX_CONFIG
from shared.cipher import Cipher
from shared.clock import utc_now
from shared.database import Database
from shared.migrations import migrate
from tests import trail
from tests.audit.facts import fact
from tests.audit.signing import CHECKPOINT_KEY, ORIGIN, VERIFIER
from tests.cli.running import run

PUBLIC = b64encode(CHECKPOINT_KEY.public_key().public_bytes_raw()).decode()
KEYS = json.dumps({"audit-1": {"issuer": "audit", "key": PUBLIC}})


@pytest.fixture
def var(tmp_path: Path) -> Path:
    """A ledger of three entries that was signed, and the checkpoint beside it."""
    asyncio.run(_fill(tmp_path))
    return tmp_path


async def _fill(var: Path) -> None:
    url = f"sqlite:///{var}/audit.db"
    migrate(url, "services.audit.migrations")
    db = Database(url, source="audit")
    store = LedgerStore(db)
    await Ledger(store, PeopleStore(db, Cipher(trail.RING, PURPOSE)), utc_now).enter(
        [fact(number) for number in (1, 2, 3)]
    )
    checkpointing = Checkpointing(
        store,
        CheckpointStore(db),
        utc_now,
        origin=ORIGIN,
        key=CHECKPOINT_KEY,
        rhythm=Rhythm(1, timedelta(minutes=1)),
        places=[FilePlace(var / "checkpoints")],
    )
    await checkpointing.make_due()
    await checkpointing.deliver()
    await db.close()


def verify(var: Path, *options: str, **variables: str) -> Result:
    told = {
        "VAR_DIR": str(var),
        "AUDIT_DATABASE_URL": f"sqlite:///{var}/audit.db",
        "AUDIT_CHECKPOINT_KEYS": KEYS,
        "AUDIT_CHECKPOINT_ORIGIN": ORIGIN,
        "AUDIT_CHECKPOINT_PATH": str(var / "checkpoints"),
    }
    return run("audit", "verify", *options, **{**told, **variables})


def tamper(var: Path, *commands: str) -> None:
    with closing(sqlite3.connect(var / "audit.db")) as file:
        for command in commands:
            file.execute(command)
        file.commit()


def test_a_ledger_that_is_as_it_was_signed_is_good(var: Path) -> None:
    ended = verify(var)

    assert ended.exit_code == 0
    assert ended.output == (
        "3 entries are as they were signed.\n"
        "No key of a source was at hand: their own signatures of events were not checked.\n"
    )


def test_the_sources_own_signatures_are_checked_where_their_keys_are(var: Path) -> None:
    sealed = verify(var, EVENT_KEYS=trail.PUBLIC_KEYS_TEXT)
    opened = verify(var, EVENT_KEYS=trail.PUBLIC_KEYS_TEXT, AUDIT_SEALING_KEYS=trail.RING_TEXT)

    assert (sealed.exit_code, opened.exit_code) == (0, 0)
    assert "3 events cannot be opened here, nor their signatures be checked." in sealed.output
    assert opened.output == (
        "3 entries are as they were signed.\nOf 3 events the source's own signature fits.\n"
    )


def test_the_keys_of_sources_may_be_in_files(var: Path) -> None:
    """Those of before a rotation are not believed any more by the ledger; by this they are."""
    (keys := var / "keys.json").write_text(trail.PUBLIC_KEYS_TEXT)
    (others := var / "others.json").write_text(KEYS)
    (nonsense := var / "nonsense").write_text("{")
    ring = {"AUDIT_SEALING_KEYS": trail.RING_TEXT}

    both = verify(var, "--event-keys", str(keys), "--event-keys", str(others), **ring)
    strange = verify(var, "--event-keys", str(others), **ring)
    broken = verify(var, "--event-keys", str(nonsense), **ring)

    assert "Of 3 events the source's own signature fits." in both.output
    assert strange.exit_code == 1
    assert strange.output.startswith("Bad: entry 1 is unsigned: no key is at hand by which")
    assert broken.exit_code == 1
    assert "Traceback" not in broken.stderr


def test_the_first_bad_entry_is_named(var: Path) -> None:
    tamper(var, "UPDATE entries SET id = id || 'x' WHERE entry >= 2")

    ended = verify(var)

    assert ended.exit_code == 1
    assert ended.output == "Bad: entry 2 is altered: the entry is not the one that was hashed.\n"


SWAP = "CASE entry WHEN -3 THEN 2 ELSE 3 END WHERE entry < 0"
COPY = "occurred_at + 1, received_at, 'new', type, outcome, source, number, subject, event"
TAMPERING = {
    "entry 2 is altered": [
        "UPDATE entries SET event = replace(event, 'demo', 'dem0') WHERE entry = 2"
    ],
    "entry 2 is inserted": [
        f"INSERT INTO entries SELECT 2, {COPY}, event_hash FROM entries WHERE entry = 1"
    ],
    "entry 4 is inserted": [
        f"INSERT INTO entries SELECT 4, {COPY}, event_hash FROM entries WHERE entry = 1"
    ],
    "entry 2 is removed": ["DELETE FROM entries WHERE entry = 2"],
    "entry 2 is reordered": [
        "UPDATE entries SET entry = -entry WHERE entry IN (2, 3)",
        f"UPDATE entries SET entry = {SWAP}",
    ],
    "entry 3 is cut": [
        "DELETE FROM entries WHERE entry > 2",
        "DELETE FROM leaves WHERE entry > 2",
        "DELETE FROM checkpoints",
    ],
    "a checkpoint of 3 entries is forged": ["UPDATE checkpoints SET root = substr(root, 2, 31)"],
}
"""What is said of a ledger, by what was done to its tables."""


@pytest.mark.parametrize("said", TAMPERING)
def test_each_kind_of_tampering_is_named_with_the_first_bad_entry(var: Path, said: str) -> None:
    tamper(var, *TAMPERING[said])

    ended = verify(var)

    assert ended.exit_code == 1
    assert ended.output.startswith("Bad: ")
    assert said in ended.output


def test_a_tail_that_was_cut_off_is_found_by_the_file_of_checkpoints(var: Path) -> None:
    tamper(
        var,
        "DELETE FROM entries WHERE entry > 1",
        "DELETE FROM leaves WHERE entry > 1",
        "DELETE FROM checkpoints",
    )

    ended = verify(var)

    assert ended.exit_code == 1
    assert ended.output.startswith("Bad: one of the entries 2 to 3 is the first that is cut:")


def test_without_a_checkpoint_from_elsewhere_it_says_what_it_cannot_find(var: Path) -> None:
    (var / "checkpoints").unlink()

    ended = verify(var)

    assert ended.exit_code == 0
    assert "No checkpoint from elsewhere was at hand" in ended.output


def test_programs_get_json(var: Path) -> None:
    tamper(var, "DELETE FROM entries WHERE entry = 2")

    found = json.loads(verify(var, "--json").output)

    assert found["faults"] == [
        {
            "kind": "removed",
            "first": 2,
            "last": 2,
            "detail": "its leaf is there, the entry is not",
        }
    ]


def test_the_key_may_be_given_as_others_write_it(var: Path) -> None:
    stranger = Verifier("other", VERIFIER.key).text

    assert verify(var, "--key", VERIFIER.text).exit_code == 0
    refused = verify(var, "--key", stranger)
    assert refused.exit_code == 1
    assert "a checkpoint of 3 entries is forged" in refused.output
    assert verify(var, "--key", "nonsense").exit_code == 1


def test_without_a_key_nothing_can_be_believed(var: Path) -> None:
    ended = verify(var, AUDIT_CHECKPOINT_KEYS="")

    assert ended.exit_code == EX_CONFIG
    assert "AUDIT_CHECKPOINT_KEYS is not set" in ended.stderr


def test_the_key_is_printed_as_others_read_it(var: Path) -> None:
    told = {"AUDIT_CHECKPOINT_KEYS": KEYS, "AUDIT_CHECKPOINT_ORIGIN": ORIGIN}

    ended = run("audit", "key", VAR_DIR=str(var), **told)

    assert ended.output == f"{VERIFIER.text}\n"


def test_a_file_that_is_no_export_is_told_so(var: Path) -> None:
    (var / "export").write_text("nonsense\n")

    ended = verify(var, "--export", str(var / "export"))

    assert ended.exit_code == 1
    assert "is no export of the ledger: line 1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    ended = verify(tmp_path)

    assert ended.exit_code == 1
    assert "Traceback" not in ended.stderr
