"""Codes lie hashed and sealed, each in its own place, and the tables are as the stores believe."""

import pytest
import structlog
from sqlalchemy import Update, bindparam, select, update

from services.recovery.domain.codes import Verdict
from services.recovery.domain.trust import hash_part
from services.recovery.flows import CodeFlows, TrustFlows
from services.recovery.store.tables import browsers as browsers_table
from services.recovery.store.tables import code_sets, codes, metadata
from shared.cipher import CannotOpen, KeyRing
from shared.code_form import CodeForm
from shared.database import Database, Statement, step
from shared.errors import Conflict, Unavailable
from shared.factor import FactorClient, Purpose
from shared.migrations import differences, migrate
from shared.token import keyed_hash
from tests.hands import Hands
from tests.recovery.conftest import RING, code_flows, recorded, trust_flows
from tests.recovery.test_flows_codes import codes_of, made
from tests.recovery.test_flows_trust import EPOCH, checked, trusted

CODES = Statement(select(codes).order_by(codes.c.set_id, codes.c.place))
SETS = Statement(select(code_sets))
BROWSERS = Statement(select(browsers_table).order_by(browsers_table.c.user_id))
TURNED = KeyRing(primary="k2", keys={"k2": b"2" * 32, **RING.keys})


def overwrite(column: str) -> Statement:
    """Return an update of one column of one code, as somebody makes it who has the database."""
    changed: Update = (
        update(codes)
        .where(codes.c.set_id == bindparam("a"), codes.c.place == bindparam("n"))
        .values({column: bindparam("value")})
    )
    return Statement(changed)


RESEAL, REHASH = overwrite("sealed_code"), overwrite("hash")
RESEAL_NEXT = Statement(
    update(browsers_table)
    .where(browsers_table.c.user_id == bindparam("a"))
    .values(sealed_next=bindparam("value"))
)
ADD_BROWSER = Statement(browsers_table.insert())


def test_the_migrations_make_what_the_store_expects(migrated_url: str) -> None:
    assert differences(migrated_url, metadata) == []


def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    migrate(migrated_url, "services.recovery.migrations")

    assert differences(migrated_url, metadata) == []


async def test_no_code_lies_open(flows: CodeFlows, db: Database) -> None:
    """D1, R3: one row per code, hashed with a key that is not in the database, and sealed."""
    plain = await made(flows)

    rows = await db.all(CODES)

    assert [row.place for row in rows] == list(range(10))
    assert len({row.hash for row in rows}) == 10
    for row, code in zip(rows, plain, strict=True):
        assert code.encode() not in row.sealed_code
        assert code not in row.hash
        assert b"k1" in row.sealed_code  # the key's id
        for key in (b"", *RING.keys.values()):
            for parts in ((code,), ("ada", code), ("ada", "a1", code)):
                assert keyed_hash(key, *parts).hex() != row.hash


async def test_a_spent_code_leaves_no_copy(flows: CodeFlows, db: Database, clock: Hands) -> None:
    """R1, R3: what cannot be used again need not be read again."""
    plain = await made(flows)
    await flows.verify("ada", ["a1"], plain[4])

    rows = await db.all(CODES)

    assert [row.place for row in rows if row.sealed_code is None] == [4]
    assert [row.place for row in rows if row.used_at is not None] == [4]


async def test_what_is_shown_once_leaves_no_copy(db: Database, clock: Hands) -> None:
    """R3: a sealed copy is there only until the codes were seen."""
    once = code_flows(db, clock, show_once=True)
    await once.make("ada", "a1", "s1", shown=False)
    before = await db.all(CODES)
    await once.reveal("ada", "a1")
    await made(once, "b1", "bob")

    assert all(row.sealed_code is not None for row in before)
    assert all(row.sealed_code is None for row in await db.all(CODES))
    assert not any(row.has_copies for row in await db.all(SETS))


async def test_the_sweep_erases_copies_that_were_seen(db: Database, clock: Hands) -> None:
    """R3: of sets made before the setting, in as many rounds as it takes; unseen ones stay."""
    often, once = code_flows(db, clock), code_flows(db, clock, show_once=True)
    await made(often, "a1")
    await often.make("bob", "b1", "s1", shown=False)

    await often.erase_viewed()
    untouched = await db.all(CODES)
    await once.erase_viewed()

    assert all(row.sealed_code is not None for row in untouched)
    rows = await db.all(CODES)
    assert {row.set_id for row in rows if row.sealed_code is None} == {"a1"}
    assert {row.set_id for row in rows if row.sealed_code is not None} == {"b1"}


async def test_a_copy_that_is_moved_does_not_open(flows: CodeFlows, db: Database) -> None:
    """D1: a code is bound to its row; that of another person is not shown."""
    await made(flows, "a1", "ada")
    await made(flows, "b1", "eve")
    sealed = {(row.set_id, row.place): row.sealed_code for row in await db.all(CODES)}

    for source in (("b1", 0), ("a1", 1)):
        await db.apply(step(RESEAL, a="a1", n=0, value=sealed[source]))
        with pytest.raises(CannotOpen):
            await flows.reveal("ada", "a1")


async def test_a_hash_that_is_moved_does_not_verify(flows: CodeFlows, db: Database) -> None:
    """R5: nobody gets in by a row that was copied from a set of their own."""
    await made(flows, "a1", "ada")
    mine = await made(flows, "b1", "eve")
    hashes = {(row.set_id, row.place): row.hash for row in await db.all(CODES)}
    await db.apply(step(REHASH, a="a1", n=0, value=hashes["b1", 0]))

    assert (await flows.verify("ada", ["a1"], mine[0])).verdict is Verdict.REJECTED


async def test_a_broken_copy_is_not_shown_and_does_not_stop_a_code(
    flows: CodeFlows, db: Database
) -> None:
    plain = await made(flows)
    await db.apply(step(RESEAL, a="a1", n=0, value=b"\x01\x02k1nonsense"))

    with pytest.raises(CannotOpen):
        await flows.reveal("ada", "a1")
    assert (await flows.verify("ada", ["a1"], plain[0])).verdict is Verdict.ACCEPTED
    assert "codes_viewed" not in (await recorded(db))[2:]


async def test_callers_learn_nothing_of_a_broken_copy(factor: FactorClient, db: Database) -> None:
    """D6: what does not open is a breakdown."""
    await factor.complete("ada", "a1", session_id="s1", proof={})
    await db.apply(step(RESEAL, a="a1", n=0, value=b"\x01\x02k1nonsense"))

    with pytest.raises(Unavailable) as caught, structlog.testing.capture_logs() as logs:
        await factor.reveal("ada", "a1")

    assert "seal" not in caught.value.detail
    assert [line["event"] for line in logs].count("request_failed") == 1


async def test_a_turned_ring_knows_what_the_old_key_hashed(
    db: Database, flows: CodeFlows, browsers: TrustFlows, clock: Hands
) -> None:
    """D2: codes and tokens of the old key work on; what is new is of the new key."""
    old, token = await made(flows), (await trusted(browsers)).tokens

    renewed, renewed_trust = code_flows(db, clock, ring=TURNED), trust_flows(db, clock, ring=TURNED)
    new = await made(renewed, "a2")

    assert codes_of(await renewed.reveal("ada", "a1")) == old
    assert (await renewed.verify("ada", ["a1"], old[0])).verdict is Verdict.ACCEPTED
    assert (await renewed.verify("ada", ["a1"], old[0])).verdict is Verdict.REPLAYED
    assert (await renewed.verify("ada", ["a2"], new[0])).verdict is Verdict.ACCEPTED
    assert (await checked(renewed_trust, token)).browser_id
    only_new = KeyRing(primary="k2", keys={"k2": b"2" * 32})
    later = code_flows(db, clock, ring=only_new)
    assert (await later.verify("ada", ["a2"], new[1])).verdict is Verdict.ACCEPTED
    assert (await later.verify("ada", ["a1"], old[1])).verdict is Verdict.REJECTED


async def test_of_a_token_only_hashes_lie_there(browsers: TrustFlows, db: Database) -> None:
    """K1: who has the database has no token; the next secret is sealed."""
    given = await trusted(browsers)
    after = await checked(browsers, given.tokens)

    (row,) = await db.all(BROWSERS)

    lying = str(dict(row)).encode() + row.sealed_next
    for token in (*given.tokens, *after.tokens):
        assert token.series.encode() not in lying
        assert token.secret.encode() not in lying
    assert row.series_hash == hash_part(given.tokens[0].series)
    assert b"k1" in row.sealed_next


async def test_a_secret_that_is_moved_does_not_open(browsers: TrustFlows, db: Database) -> None:
    """D1: the next secret is bound to its browser."""
    given = await trusted(browsers)
    await trusted(browsers, "eve")
    rows = {row.user_id: row.sealed_next for row in await db.all(BROWSERS)}
    await db.apply(step(RESEAL_NEXT, a="ada", value=rows["eve"]))

    with pytest.raises(CannotOpen):
        await checked(browsers, given.tokens)


async def test_what_was_read_is_no_good_once_it_has_changed(
    browsers: TrustFlows, clock: Hands
) -> None:
    """K8: of a token that another tab has used up meanwhile, nothing is written."""
    given = await trusted(browsers)
    (read,) = await browsers._store.all("ada")
    before = await checked(browsers, (await checked(browsers, given.tokens)).tokens)

    assert not await browsers._store.use(read, clock())
    assert not await browsers._store.advance(read, "made up", clock())
    (token,) = before.tokens
    assert (await checked(browsers, [token])).browser_id


async def test_the_sweep_takes_more_than_one_round(browsers: TrustFlows, db: Database) -> None:
    """All that has expired goes, however much it is, in statements of bounded size."""
    for n in range(501):
        row = {"id": f"b{n}", "user_id": "ada", "series_hash": f"s{n}", "name": "x"}
        row |= {"current_hash": "c", "next_hash": "n"}
        times = {"created_at": n, "last_used_at": None, "expires_at": n, "factor_epoch": EPOCH}
        await db.apply(step(ADD_BROWSER, sealed_next=b"", **row, **times))

    await browsers.sweep()

    assert await db.all(BROWSERS) == []


async def test_equal_codes_cannot_be_in_one_set(flows: CodeFlows, db: Database) -> None:
    """R1: whoever writes them."""
    await made(flows)
    rows = await db.all(CODES)

    with pytest.raises(Conflict):
        await db.apply(step(REHASH, a="a1", n=0, value=rows[1].hash))


async def test_forms_are_kept_as_they_are_written(db: Database, clock: Hands) -> None:
    flows = code_flows(db, clock, form=CodeForm.parse("base32:16"))
    await made(flows)

    (row,) = await db.all(SETS)

    assert row.form == "base32:16"


async def test_a_verification_needs_no_copy(factor: FactorClient, db: Database) -> None:
    """R3: the hash alone decides."""
    made_ = await factor.complete("ada", "a1", session_id="s1", proof={"shown": True})
    plain = made_.display["codes"]
    assert isinstance(plain, list)
    await db.apply(step(RESEAL, a="a1", n=0, value=None))

    verified = await factor.verify(
        "ada",
        authenticators=["a1"],
        proof={"code": plain[0]},
        session_id="s1",
        purpose=Purpose.AUTHENTICATE,
    )

    assert verified.accepted
