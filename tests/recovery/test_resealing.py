"""D2: codes and tokens are sealed, and codes hashed, by a new key, while people use them."""

import asyncio

from sqlalchemy import bindparam, select, update

from services.recovery.domain.codes import Verdict
from services.recovery.flows import CodeFlows, build_resealing
from services.recovery.store.tables import browsers as browsers_table
from services.recovery.store.tables import codes
from shared.cipher import key_of
from shared.database import Database, Statement, step
from shared.migrations import migrate
from tests.hands import Hands
from tests.recovery.conftest import code_flows, trust_flows
from tests.recovery.test_flows_codes import codes_of, made
from tests.recovery.test_flows_trust import checked, trusted
from tests.resealing import NEW, OLD, TURNED, Interrupted, on_record, told

CODES = Statement(select(codes).order_by(codes.c.set_id, codes.c.place))
BROWSERS = Statement(select(browsers_table))
SPOIL = Statement(
    update(codes).where(codes.c.place == bindparam("n")).values(sealed_code=bindparam("sealed"))
)
AS_BEFORE = Statement(update(codes).values(hashed_by=bindparam("nothing")))


async def keys_in_use(db: Database) -> set[str]:
    """Return which keys seal anything."""
    sealed = [row.sealed_code for row in await db.all(CODES)]
    sealed += [row.sealed_next for row in await db.all(BROWSERS)]
    return {key_of(each) for each in sealed if each is not None}


async def verdict(flows: CodeFlows, code: str, set_id: str = "a1") -> Verdict:
    """Use a code."""
    return (await flows.verify("ada", [set_id], code)).verdict


async def test_the_old_key_can_go(db: Database, clock: Hands) -> None:
    """Codes are shown and work once, and the browser stays trusted, without the key of before."""
    old = code_flows(db, clock, ring=OLD)
    plain = await made(old)
    given = await trusted(trust_flows(db, clock, ring=OLD))

    tally = await build_resealing(db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({"k1": 11}, {})
    assert await keys_in_use(db) == {"k2"}
    assert {row.hashed_by for row in await db.all(CODES)} == {"k2"}
    new = code_flows(db, clock, ring=NEW)
    assert codes_of(await new.reveal("ada", "a1")) == plain
    assert [await verdict(new, code) for code in plain] == [Verdict.ACCEPTED] * 10
    assert await verdict(new, plain[0]) is Verdict.REPLAYED
    tokens = given.tokens
    for _ in range(3):
        outcome = await checked(trust_flows(db, clock, ring=NEW), tokens)
        assert outcome.browser_id == given.browser_id
        tokens = outcome.tokens
    assert await told(db) == on_record(11)


async def test_a_second_run_does_nothing(db: Database, clock: Hands) -> None:
    await made(code_flows(db, clock, ring=OLD))
    await trusted(trust_flows(db, clock, ring=OLD))
    await build_resealing(db, TURNED).reseal()
    before = await db.all(CODES), await db.all(BROWSERS)

    tally = await build_resealing(db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({}, {})
    assert (await db.all(CODES), await db.all(BROWSERS)) == before
    assert await told(db) == on_record(11)


async def test_codes_of_which_only_hashes_are_kept_need_their_key(
    db: Database, clock: Hands
) -> None:
    """R3: they work on by the old key, and are counted until they are used or made anew."""
    once = code_flows(db, clock, ring=OLD, show_once=True)
    plain = await made(once)
    await verdict(once, plain[0])
    await made(code_flows(db, clock, ring=TURNED, show_once=True), "b1", "bob")

    tally = await build_resealing(db, TURNED).reseal()

    assert tally.resealed == {}
    ((reason, count),) = tally.left.items()
    assert (reason.table, reason.code, reason.key, count) == ("codes", "only_hashed", "k1", 9)
    assert tally.examples[reason] == [f"a1 {n}" for n in range(1, 6)]
    assert await told(db) == []
    turned = code_flows(db, clock, ring=TURNED, show_once=True)
    assert await verdict(turned, plain[1]) is Verdict.ACCEPTED
    assert await verdict(code_flows(db, clock, ring=NEW), plain[2]) is Verdict.REJECTED

    await turned.remove("ada", "a1")
    assert (await build_resealing(db, TURNED).reseal()).left == {}


async def test_codes_from_before_their_key_was_noted(db: Database, clock: Hands) -> None:
    """Of those with a copy the copy tells the key; of the others nobody can."""
    plain = await made(code_flows(db, clock, ring=OLD))
    await made(code_flows(db, clock, ring=OLD, show_once=True), "b1", "bob")
    await db.apply(step(AS_BEFORE, nothing=None))

    tally = await build_resealing(db, TURNED).reseal()

    assert tally.resealed == {"k1": 10}
    ((reason, count),) = tally.left.items()
    assert (reason.code, reason.key, count) == ("only_hashed", None, 10)
    assert await verdict(code_flows(db, clock, ring=NEW), plain[0]) is Verdict.ACCEPTED


async def test_what_no_key_opens_is_told_and_left(db: Database, clock: Hands) -> None:
    """A broken copy stays as it is, and its code works on by the old key."""
    plain = await made(code_flows(db, clock, ring=OLD))
    await db.apply(step(SPOIL, n=3, sealed=b"\x01\x02k0nonsense"))

    tally = await build_resealing(db, TURNED).reseal()

    assert tally.resealed == {"k1": 9}
    ((reason, count),) = tally.left.items()
    assert (reason.code, reason.key, count) == ("cannot_open", "k0", 1)
    assert tally.examples[reason] == ["a1 3"]
    assert await verdict(code_flows(db, clock, ring=TURNED), plain[3]) is Verdict.ACCEPTED
    assert await told(db) == on_record(9, left=1)


async def test_a_code_that_is_used_meanwhile_stays_used(db: Database, clock: Hands) -> None:
    """R1: its copy is erased by then, and does not come back."""
    old = code_flows(db, clock, ring=OLD)
    plain = await made(old)

    meanwhile = Interrupted(db, lambda: old.verify("ada", ["a1"], plain[0]))
    tally = await build_resealing(meanwhile, TURNED).reseal()

    assert tally.resealed == {"k1": 9}
    rows = await db.all(CODES)
    assert [row.place for row in rows if row.sealed_code is None] == [0]
    assert await verdict(code_flows(db, clock, ring=TURNED), plain[0]) is Verdict.REPLAYED


async def test_a_token_that_is_replaced_meanwhile_counts(db: Database, clock: Hands) -> None:
    """K8: the browser has gone on, by who seals with the old key: what it has now is resealed."""
    old = trust_flows(db, clock, ring=OLD)
    first = await checked(old, (await trusted(old)).tokens)
    after = []

    async def use() -> None:
        after.append(await checked(old, first.tokens))

    tally = await build_resealing(Interrupted(db, use), TURNED).reseal()

    assert tally.resealed == {"k1": 1}
    assert await keys_in_use(db) == {"k2"}
    new = trust_flows(db, clock, ring=NEW)
    assert (await checked(new, after[0].tokens)).browser_id == first.browser_id


async def test_codes_are_used_while_two_reseal(postgresql_url: str, clock: Hands) -> None:
    """R1: by replicas of the turned ring, each code once, whichever key has hashed it by then."""
    migrate(postgresql_url, "services.recovery.migrations")
    databases = [Database(postgresql_url, source="recovery", clock=clock) for _ in range(3)]
    old = code_flows(databases[0], clock, ring=OLD)
    sets = {f"a{n}": await made(old, f"a{n}") for n in range(20)}
    turned = [code_flows(db, clock, ring=TURNED) for db in databases[:2]]

    used, *tallies = await asyncio.gather(
        asyncio.gather(
            *(
                verdict(turned[n % 2], plain[place], set_id)
                for set_id, plain in sets.items()
                for place in (0, 5)
                for n in range(2)
            )
        ),
        build_resealing(databases[1], TURNED).reseal(),
        build_resealing(databases[2], TURNED).reseal(),
    )

    assert [used.count(each) for each in (Verdict.ACCEPTED, Verdict.REPLAYED)] == [40, 40]
    assert not any(tally.left for tally in tallies)
    new = code_flows(databases[0], clock, ring=NEW)
    for set_id, plain in sets.items():
        assert await verdict(new, plain[7], set_id) is Verdict.ACCEPTED
        assert len(codes_of(await new.reveal("ada", set_id))) == 7
    for db in databases:
        await db.close()
