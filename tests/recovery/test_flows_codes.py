"""A code is good once, a set is seen as often as the settings say, and everything is on record."""

import json
import re

import pytest
from sqlalchemy import select

from services.recovery.domain.codes import Verdict
from services.recovery.flows import CodeFlows
from services.recovery.flows.codes import Shown
from shared import context
from shared.code_form import CodeForm
from shared.database import Database, Statement
from shared.database.events import OUTBOX
from shared.errors import Conflict, NotFound
from tests.hands import Hands
from tests.recovery.conftest import code_flows, counted, recorded, spent_since

OPEN = Statement(select(OUTBOX))


async def made(flows: CodeFlows, id: str = "a1", user: str = "ada") -> tuple[str, ...]:
    """Make a set, and return its codes."""
    return codes_of(await flows.make(user, id, "s1", shown=True))


def codes_of(shown: Shown) -> tuple[str, ...]:
    """Return codes that have to be there."""
    assert shown.codes is not None
    return shown.codes


async def test_a_code_works_once(flows: CodeFlows, db: Database) -> None:
    """R1: each code is used once, and the others stay good."""
    codes = await made(flows)

    first = await flows.verify("ada", ["a1"], codes[3])
    again = await flows.verify("ada", ["a1"], codes[3])
    other = await flows.verify("ada", ["a1"], codes[4])

    assert first.verdict is Verdict.ACCEPTED
    assert again.verdict is Verdict.REPLAYED
    assert again.use is None
    assert other.verdict is Verdict.ACCEPTED
    assert other.use is not None
    assert (other.use.set_id, other.use.unused, other.use.total) == ("a1", 8, 10)
    assert (await recorded(db))[-3:] == ["code_accepted", "code_replayed", "code_accepted"]


async def test_all_codes_of_a_set_work_and_no_more(flows: CodeFlows) -> None:
    """R1: as many as there are rows."""
    codes = await made(flows)

    for left, code in reversed(list(enumerate(codes))):
        judgement = await flows.verify("ada", ["a1"], code)
        assert judgement.use is not None
        assert judgement.use.unused == left
    for code in codes:
        assert (await flows.verify("ada", ["a1"], code)).verdict is Verdict.REPLAYED
    (kept,) = await flows.sets("ada")
    assert kept.unused == 0


@pytest.mark.parametrize("form", ["digits:8", "base32:16", "digits:12", "base32:5"])
async def test_a_code_is_matched_and_spent_in_every_notation(
    db: Database, clock: Hands, form: str
) -> None:
    """R1: a used code is refused however it is written."""
    flows = code_flows(db, clock, form=CodeForm.parse(form))
    code = (await made(flows))[0]
    bare = code.replace("-", "")
    notations = [code, bare, bare.lower(), f" {bare} ", "\u2013".join(bare), " ".join(bare.lower())]

    accepted = await flows.verify("ada", ["a1"], notations[-1])

    assert accepted.verdict is Verdict.ACCEPTED
    for notation in notations:
        assert (await flows.verify("ada", ["a1"], notation)).verdict is Verdict.REPLAYED


async def test_codes_are_shown_in_groups_that_people_read(db: Database, clock: Hands) -> None:
    """R2: 80 bits, sixteen characters, four by four."""
    flows = code_flows(db, clock, form=CodeForm.parse("base32:16"))

    for code in await made(flows):
        assert re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){3}", code)


@pytest.mark.parametrize("code", ["", "-", "00000000", "nonsense", "\u0661" * 8, "1" * 5000])
async def test_what_is_wrong_is_a_failure(flows: CodeFlows, db: Database, code: str) -> None:
    await made(flows)

    assert (await flows.verify("ada", ["a1"], code)).verdict is Verdict.REJECTED
    assert (await recorded(db))[-1] == "code_failed"


async def test_only_the_sets_that_are_named_count(flows: CodeFlows) -> None:
    """R4, R5: a set that the register does not name is dead, and so is another's."""
    adas, bobs = await made(flows), await made(flows, "b1", "bob")

    for user, ids, code in (
        ("ada", [], adas[0]),
        ("ada", ["a2"], adas[0]),
        ("bob", ["a1", "b1"], adas[0]),
        ("ada", ["a1", "b1"], bobs[0]),
        ("eve", ["a1"], adas[0]),
    ):
        assert (await flows.verify(user, ids, code)).verdict is Verdict.REJECTED
    accepted = await flows.verify("ada", ["x", "a1", "a1"], adas[0])
    assert accepted.verdict is Verdict.ACCEPTED
    (bob,) = await flows.sets("bob")
    assert bob.unused == 10


async def test_making_is_repeatable(flows: CodeFlows, db: Database) -> None:
    first = await flows.make("ada", "a1", "s1", shown=True)
    again = await flows.make("ada", "a1", "s1", shown=True)

    assert again.codes == first.codes
    assert again.set == first.set
    assert (await recorded(db)).count("codes_generated") == 1
    assert len(await flows.sets("ada")) == 1


async def test_a_set_that_was_made_along_is_not_seen(flows: CodeFlows, db: Database) -> None:
    """Its codes leave the service when somebody asks for them, and not before."""
    along = await flows.make("ada", "a1", "s1", shown=False)
    again = await flows.make("ada", "a1", "s1", shown=False)

    assert along.codes is None
    assert again == along
    assert along.set.viewed_at is None
    assert await recorded(db) == ["codes_generated"]
    assert len(codes_of(await flows.reveal("ada", "a1"))) == 10


async def test_an_id_belongs_to_one(flows: CodeFlows) -> None:
    """Neither another person nor another session gets at a set by its id."""
    await flows.make("ada", "a1", "s1", shown=True)

    for user, session in (("eve", "s1"), ("ada", "s2"), ("eve", "s2")):
        for shown in (True, False):
            with pytest.raises(Conflict):
                await flows.make(user, "a1", session, shown=shown)


async def test_a_new_set_leaves_the_old_one_to_the_register(flows: CodeFlows) -> None:
    """R4: which of two sets counts is decided by one write, and that is not made here."""
    old = await made(flows, "a1")
    new = await made(flows, "a2")

    assert not set(old) & set(new)
    assert (await flows.verify("ada", ["a2"], old[0])).verdict is Verdict.REJECTED
    assert (await flows.verify("ada", ["a2"], new[0])).verdict is Verdict.ACCEPTED


async def test_unused_codes_are_seen_as_often_as_one_likes(
    flows: CodeFlows, clock: Hands, db: Database
) -> None:
    codes = await made(flows)
    await flows.verify("ada", ["a1"], codes[2])
    clock.turn(hours=1)

    first, second = await flows.reveal("ada", "a1"), await flows.reveal("ada", "a1")

    assert codes_of(first) == codes_of(second) == codes[:2] + codes[3:]
    assert first.set.unused == 9
    assert (await recorded(db)).count("codes_viewed") == 3


async def test_codes_are_seen_once_if_so_set(db: Database, clock: Hands) -> None:
    """R3: shown once, and from then on only hashes are kept."""
    flows = code_flows(db, clock, show_once=True)
    await flows.make("ada", "a1", "s1", shown=False)

    first, second = await flows.reveal("ada", "a1"), await flows.reveal("ada", "a1")

    codes = codes_of(first)
    assert second.codes is None
    assert second.set.has_copies is False
    assert (await recorded(db)).count("codes_viewed") == 1
    assert (await flows.verify("ada", ["a1"], codes[0])).verdict is Verdict.ACCEPTED


async def test_codes_that_are_shown_at_once_are_never_seen_again_if_so_set(
    db: Database, clock: Hands
) -> None:
    """R3: no copy is ever made of them."""
    flows = code_flows(db, clock, show_once=True)

    codes = await made(flows)
    again = await flows.make("ada", "a1", "s1", shown=True)
    revealed = await flows.reveal("ada", "a1")

    assert len(codes) == 10
    assert again.codes is None
    assert revealed.codes is None


async def test_switching_to_once_erases_what_was_seen(db: Database, clock: Hands) -> None:
    """R3: and leaves what was not, or nobody would ever see it."""
    often, once = code_flows(db, clock), code_flows(db, clock, show_once=True)
    seen = await made(often, "a1")
    unseen = await often.make("bob", "b1", "s1", shown=False)

    await often.erase_viewed()
    assert codes_of(await often.reveal("ada", "a1")) == seen
    await once.erase_viewed()
    await once.erase_viewed()

    assert (await often.reveal("ada", "a1")).codes is None
    assert unseen.codes is None
    assert len(codes_of(await once.reveal("bob", "b1"))) == 10


async def test_nobody_sees_what_is_not_theirs(flows: CodeFlows) -> None:
    await made(flows)

    for user, set_id in (("eve", "a1"), ("ada", "a2")):
        with pytest.raises(NotFound):
            await flows.reveal(user, set_id)


async def test_few_codes_are_told_of(flows: CodeFlows, db: Database) -> None:
    """R6: from the setting on, at each use, with how many are left."""
    codes = await made(flows)
    for code in codes:
        await flows.verify("ada", ["a1"], code)

    rows = await db.all(Statement(select(OUTBOX.c.type, OUTBOX.c.data).order_by(OUTBOX.c.seq)))
    told = [json.loads(row.data)["unused"] for row in rows if row.type.endswith("codes_low")]
    assert told == [3, 2, 1, 0]


async def test_the_first_use_proves_that_codes_were_saved(db: Database, clock: Hands) -> None:
    flows = code_flows(db, clock, confirm=True)
    codes = await made(flows)
    (before,) = await flows.sets("ada")
    await flows.verify("ada", ["a1"], "00000000")
    (guessed,) = await flows.sets("ada")
    for code in codes[:2]:
        await flows.verify("ada", ["a1"], code)
    (after,) = await flows.sets("ada")

    assert before.confirmed_at is None
    assert guessed.confirmed_at is None
    assert after.confirmed_at == clock()
    assert (await recorded(db)).count("codes_confirmed") == 1


async def test_without_that_setting_nothing_is_to_be_proved(flows: CodeFlows, db: Database) -> None:
    codes = await made(flows)
    (kept,) = await flows.sets("ada")
    await flows.verify("ada", ["a1"], codes[0])

    assert kept.confirmed_at is not None  # and stays so when the setting is switched on
    assert "codes_confirmed" not in await recorded(db)


async def test_settings_may_change_under_sets(db: Database, clock: Hands) -> None:
    """A set keeps its form and its size."""
    codes = await made(code_flows(db, clock))
    changed = code_flows(db, clock, form=CodeForm.parse("base32:16"), count=3)

    assert (await changed.verify("ada", ["a1"], codes[0])).verdict is Verdict.ACCEPTED
    assert codes_of(await changed.reveal("ada", "a1")) == codes[1:]
    assert len(await made(changed, "a2")) == 3
    assert [str(kept.form) for kept in await changed.sets("ada")] == ["digits:8", "base32:16"]


async def test_removing_is_repeatable_and_recorded_once(flows: CodeFlows, db: Database) -> None:
    """R5: what is removed does not work, and does not come back by itself."""
    codes = await made(flows)

    await flows.remove("eve", "a1")
    still = await flows.sets("ada")
    accepted = await flows.verify("ada", ["a1"], codes[0])
    await flows.remove("ada", "a1")
    await flows.remove("ada", "a1")

    assert [kept.id for kept in still] == ["a1"]
    assert accepted.verdict is Verdict.ACCEPTED
    assert await flows.sets("ada") == []
    assert (await recorded(db)).count("codes_removed") == 1
    assert (await flows.verify("ada", ["a1"], codes[1])).verdict is Verdict.REJECTED
    fresh = await made(flows, "a2")
    assert (await flows.verify("ada", ["a1", "a2"], codes[1])).verdict is Verdict.REJECTED
    assert (await flows.verify("ada", ["a1", "a2"], fresh[0])).verdict is Verdict.ACCEPTED


async def test_forgetting_leaves_nothing_of_a_person(flows: CodeFlows) -> None:
    await made(flows, "a1")
    await made(flows, "a2")
    await made(flows, "b1", "bob")

    await flows.forget("ada")
    await flows.forget("ada")

    assert await flows.sets("ada") == []
    assert len(await flows.sets("bob")) == 1


async def test_events_tell_who_and_which_but_no_code(flows: CodeFlows, db: Database) -> None:
    """R6: every use, failure, making, viewing and removal is audited; no code is in it."""
    context.enter(context.Context(request_id="r1", address="192.0.2.1"))
    codes = await made(flows)
    await flows.reveal("ada", "a1")
    await flows.verify("ada", ["a1"], codes[0])
    await flows.verify("ada", ["a1"], codes[0])
    await flows.verify("ada", ["a1"], "27182818")
    await flows.remove("ada", "a1")

    rows = await db.all(OPEN)

    told = json.dumps([dict(row) for row in rows])
    assert await recorded(db) == [
        "codes_generated",
        "codes_viewed",
        "codes_viewed",
        "code_accepted",
        "code_replayed",
        "code_failed",
        "codes_removed",
    ]
    assert {row.subject for row in rows} == {"ada"}
    assert all(json.loads(row.context)["request_id"] == "r1" for row in rows)
    for code in (*codes, "27182818"):
        assert code not in told


async def test_a_use_is_one_statement(flows: CodeFlows) -> None:
    """Flow B: the one write that spends the code, counts down, and records it."""
    codes = await made(flows)

    before = counted()
    assert (await flows.verify("ada", ["a1"], codes[0])).use
    assert spent_since(before) == {"read": 0, "write": 1, "commit": 1}


async def test_what_else_is_done_takes_few_statements(flows: CodeFlows) -> None:
    codes = await made(flows)
    await flows.verify("ada", ["a1"], codes[0])

    for doing, cost in (
        (flows.verify("ada", ["a1"], codes[0]), (1, 2, 1)),  # a replay
        (flows.verify("ada", ["a1"], "00000000"), (1, 2, 1)),
        (flows.verify("ada", ["a1"], "no code!"), (0, 1, 1)),
        (flows.make("ada", "a2", "s1", shown=True), (0, 1, 1)),
        (flows.reveal("ada", "a1"), (1, 1, 1)),
        (flows.sets("ada"), (1, 0, 0)),
    ):
        before = counted()
        await doing
        assert spent_since(before) == dict(zip(("read", "write", "commit"), cost, strict=True))


async def test_a_use_that_leaves_few_takes_one_more(db: Database, clock: Hands) -> None:
    flows = code_flows(db, clock, count=4)
    codes = await made(flows)

    before = counted()
    await flows.verify("ada", ["a1"], codes[0])
    assert spent_since(before) == {"read": 0, "write": 2, "commit": 2}
