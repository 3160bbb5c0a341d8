"""An operator turns the rings: the command reseals, and says what still needs another key."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pyotp
import pytest
from click.testing import Result
from sqlalchemy import select

from services.cli.environment import KEY_FILES
from services.cli.failing import EX_CONFIG
from services.cli.keys import make
from services.cli.reseal import SEALING
from services.recovery.domain.codes import Policy as CodePolicy
from services.recovery.flows import CodeFlows
from services.recovery.store import CodeStore
from services.totp.domain.codes import Policy, Verdict
from services.totp.flows import TotpFlows
from services.totp.store import PURPOSE, AuthenticatorStore
from shared.cipher import Cipher, KeyRing
from shared.clock import utc_now
from shared.code_form import CodeForm
from shared.database import Database, Row, Statement
from shared.database.events import OUTBOX
from tests.cli.running import run
from tests.tables import create_tables

EX_USAGE = 2  # click's
_EVENTS = Statement(select(OUTBOX).order_by(OUTBOX.c.seq))

T = TypeVar("T")


@dataclass(frozen=True)
class Desk:
    """Where an operator sits: every service's database, with its ring."""

    folder: Path
    variables: dict[str, str]

    def reseal(self, *arguments: str) -> Result:
        """Run `countersign keys reseal …`."""
        return run("keys", "reseal", *arguments, **self.variables)

    def ring(self, service: str) -> KeyRing:
        """Return the ring as it is in its file."""
        return KeyRing.parse(self._file(service).read_text())

    def turn(self, service: str) -> None:
        """Add a key to a ring, and make it the primary one."""
        self._write(service, KeyRing("k2", {"k2": b"2" * 32, **self.ring(service).keys}))

    def drop(self, service: str) -> None:
        """Take every key but the primary one off a ring."""
        ring = self.ring(service)
        self._write(service, KeyRing(ring.primary, {ring.primary: ring.keys[ring.primary]}))

    def on(self, service: str, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do something on the database of a service."""

        async def do() -> T:
            db = Database(f"sqlite:///{self.folder / service}.db", source=service)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(do())

    def events(self, service: str) -> list[Row]:
        """Return what is on record of resealing."""
        rows = self.on(service, lambda db: db.all(_EVENTS))
        return [row for row in rows if ".reseal" in row.type]

    def _file(self, service: str) -> Path:
        return self.folder / "keys" / service / "sealing.json"

    def _write(self, service: str, ring: KeyRing) -> None:
        keys = {name: b64encode(key).decode() for name, key in ring.keys.items()}
        self._file(service).write_text(json.dumps({"primary": ring.primary, "keys": keys}))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with databases that have their tables, and nothing in them."""
    make(tmp_path / "keys")
    for service in SEALING:
        create_tables(f"sqlite:///{tmp_path / service}.db", f"services.{service}.migrations")
    return Desk(
        folder=tmp_path,
        variables={
            "VAR_DIR": str(tmp_path),
            "BROKER_URL": "redis://127.0.0.1:1/0",
            "SMTP_URL": "smtp://127.0.0.1:1",
            **{
                f"{name.upper()}_DATABASE_URL": f"sqlite:///{tmp_path / name}.db"
                for name in SEALING
            },
            **{f"{name}_FILE": str(tmp_path / "keys" / path) for name, path in KEY_FILES.items()},
        },
    )


def totp(desk: Desk, db: Database) -> TotpFlows:
    """Return the flows of totp with the ring as it is now."""
    store = AuthenticatorStore(db, Cipher(desk.ring("totp"), PURPOSE))
    return TotpFlows(store, utc_now, Policy(), tolerance=1)


def enrol(desk: Desk) -> pyotp.TOTP:
    """Enrol ada's device."""

    async def enrolled(db: Database) -> pyotp.TOTP:
        flows = totp(desk, db)
        device = pyotp.TOTP((await flows.begin("ada", "a1", "s1", "ada@example.org")).secret)
        earlier = device.at(utc_now() - timedelta(seconds=30))
        assert await flows.complete("ada", "a1", "s1", earlier, None)
        return device

    return desk.on("totp", enrolled)


def make_codes(desk: Desk, *, show_once: bool) -> None:
    """Make recovery codes."""

    async def made(db: Database) -> None:
        store = CodeStore(db, desk.ring("recovery"))
        policy = CodePolicy(CodeForm.parse("digits:8"), 10, show_once, 3, confirm=False)
        await CodeFlows(store, utc_now, policy).make("ada", "c1", "s1", shown=True)

    desk.on("recovery", made)


def test_a_ring_is_turned_and_the_old_key_taken_off(desk: Desk) -> None:
    """D2: the whole way, with the files that an operator edits."""
    device = enrol(desk)
    old = desk.ring("totp").primary
    desk.turn("totp")

    ended = desk.reseal("totp")
    desk.drop("totp")

    assert ended.exit_code == 0, ended.output
    assert ended.output.splitlines() == [
        f"totp: 1 resealed by k2, sealed by {old}.",
        "totp: nothing is sealed by another key than k2.",
    ]
    code = device.now()
    judged = desk.on("totp", lambda db: totp(desk, db).verify("ada", ["a1"], code))
    assert judged.verdict is Verdict.ACCEPTED


def test_who_did_it_is_on_record(desk: Desk) -> None:
    enrol(desk)
    desk.turn("totp")

    desk.reseal("totp")

    events = desk.events("totp")
    assert [row.type for row in events] == ["mfa.totp.resealing_started", "mfa.totp.resealed"]
    assert json.loads(events[1].data) == {"key": "k2", "resealed": 1, "left": 0}
    assert all("@" in json.loads(row.context)["operator"] for row in events)


def test_all_services_are_resealed_by_default_and_again_is_harmless(desk: Desk) -> None:
    make_codes(desk, show_once=False)
    enrol(desk)
    for service in SEALING:
        desk.turn(service)

    first, second = desk.reseal("--json"), desk.reseal("--json")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    told = {service: facts["resealed"] for service, facts in json.loads(first.output).items()}
    assert {service: sum(keys.values()) for service, keys in told.items()} == {
        **dict.fromkeys(SEALING, 0),
        "totp": 1,
        "recovery": 10,
    }
    assert all(facts["resealed"] == {} for facts in json.loads(second.output).values())
    assert len(desk.events("totp")) == len(desk.events("recovery")) == 2
    assert desk.events("audit") == desk.events("session") == []


def test_a_dry_run_says_which_keys_are_in_use_and_changes_nothing(desk: Desk) -> None:
    enrol(desk)
    old = desk.ring("totp").primary
    desk.turn("totp")

    ended = desk.reseal("totp", "--dry-run")

    assert ended.exit_code == 1
    assert ended.output == f"totp: 1 to be resealed by k2, sealed by {old}.\n"
    assert desk.events("totp") == []
    assert desk.reseal("totp", "--dry-run").output == ended.output


def test_codes_of_which_only_hashes_are_kept_are_told_with_their_key(desk: Desk) -> None:
    make_codes(desk, show_once=True)
    old = desk.ring("recovery").primary
    desk.turn("recovery")

    ended = desk.reseal("recovery")

    assert ended.exit_code == 1
    assert ended.output == (
        f"recovery: 10 of codes left as they are, under {old} (only_hashed). Only a hash is "
        "kept, which nobody can make anew. Rows: c1 0, c1 1, c1 2, c1 3, c1 4 and 5 more.\n"
    )


def test_what_no_key_opens_is_an_error_and_stays(desk: Desk) -> None:
    """The old key was taken off too early: putting it back mends it."""
    device = enrol(desk)
    whole = desk.ring("totp")
    desk.turn("totp")
    turned = desk.ring("totp")
    desk.drop("totp")

    ended = desk.reseal("totp")

    assert ended.exit_code == 1
    assert f"1 of authenticators left as they are, under {whole.primary} (cannot_open)" in (
        ended.output
    )
    assert "not on the ring. Rows: a1." in ended.output
    desk._write("totp", turned)
    assert desk.reseal("totp").exit_code == 0
    desk.drop("totp")
    code = device.now()
    judged = desk.on("totp", lambda db: totp(desk, db).verify("ada", ["a1"], code))
    assert judged.verdict is Verdict.ACCEPTED


def test_no_key_is_printed(desk: Desk) -> None:
    enrol(desk)
    desk.turn("totp")

    printed = desk.reseal("totp", "--json").output + str([*desk.events("totp")])

    for encoded in json.loads(desk._file("totp").read_text())["keys"].values():
        assert encoded not in printed
        assert b64decode(encoded).hex() not in printed


def test_it_says_what_is_missing(desk: Desk) -> None:
    del desk.variables["TOTP_SEALING_KEYS_FILE"]

    ended = desk.reseal("totp")

    assert ended.exit_code == EX_CONFIG
    assert "TOTP_SEALING_KEYS" in ended.output


def test_a_service_that_seals_nothing_is_no_choice(desk: Desk) -> None:
    assert desk.reseal("webauthn").exit_code == EX_USAGE


def test_the_group_lists_it() -> None:
    ended = run("keys", "--help")

    assert ended.exit_code == 0
    assert "reseal" in ended.output
