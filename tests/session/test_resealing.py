"""D2: session's ring is turned while mails wait, and codes and links are on their way."""

from datetime import timedelta

from sqlalchemy import select

from services.session.domain.mails import Mail, MailKind
from services.session.flows import build_mails, build_resealing
from services.session.flows.outcomes import Outcome, Standing
from services.session.store.tables import mails
from shared.cipher import KeyRing, key_of
from shared.database import Change, Statement
from tests.resealing import Interrupted, on_record, told
from tests.session.house import ADA, RING, House

NEW = KeyRing(primary="k2", keys={"k2": b"2" * 32})
TURNED = KeyRing(primary="k2", keys={**NEW.keys, **RING.keys})
SEALED = Statement(select(mails.c.sealed))
LEASE = timedelta(minutes=2)


async def keys_in_use(house: House) -> set[str]:
    """Return which keys seal a mail."""
    return {key_of(row.sealed) for row in await house.db.all(SEALED)}


async def owe(house: House, id: str = "m1", ring: KeyRing = RING) -> None:
    """Let a mail be due."""
    mail = Mail(id=id, kind=MailKind.ACCOUNT_EXISTS, to=ADA, facts={})
    await house.db.apply(Change(build_mails(house.db, ring).due(mail, house.clock())))


def is_logged_in(outcome: Outcome) -> bool:
    return isinstance(outcome, Standing) and outcome.visit.session is not None


async def test_the_old_key_can_go(house: House) -> None:
    """What was owed then is read by who has the new key alone."""
    await owe(house)

    tally = await build_resealing(house.db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({"k1": 1}, {})
    assert await keys_in_use(house) == {"k2"}
    box = build_mails(house.db, NEW)
    due = await box.take(house.clock(), LEASE)
    assert due is not None
    assert (box.open(due).to, box.open(due).kind) == (ADA, MailKind.ACCOUNT_EXISTS)
    assert await told(house.db) == on_record(1)


async def test_a_second_run_does_nothing(house: House) -> None:
    await owe(house)
    await build_resealing(house.db, TURNED).reseal()
    before = await house.db.all(SEALED)

    tally = await build_resealing(house.db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({}, {})
    assert await house.db.all(SEALED) == before
    assert await told(house.db) == on_record(1)


async def test_what_no_key_opens_is_told_and_left(house: House) -> None:
    await owe(house)
    await owe(house, "m2", KeyRing(primary="k0", keys={"k0": b"0" * 32}))

    tally = await build_resealing(house.db, TURNED).reseal()

    ((reason, count),) = tally.left.items()
    assert (reason.code, reason.key, count) == ("cannot_open", "k0", 1)
    assert tally.examples[reason] == ["m2"]
    assert await keys_in_use(house) == {"k0", "k2"}


async def test_a_mail_that_is_sent_meanwhile_is_sent_once(house: House) -> None:
    """What a worker has taken before it opens, and it does not come back."""
    await owe(house)
    box = build_mails(house.db, RING)
    due = await box.take(house.clock(), LEASE)
    assert due is not None

    tally = await build_resealing(Interrupted(house.db, lambda: box.sent("m1")), TURNED).reseal()

    assert box.open(due).to == ADA
    assert tally.resealed == {}
    assert await house.db.all(SEALED) == []


async def test_a_code_that_is_on_its_way_is_right_after_a_turn(house: House) -> None:
    """And one that a turned replica has mailed is right at one that has only the keys so far."""
    ready = KeyRing(primary="k1", keys=TURNED.keys)
    for made_by, judged_by in ((RING, TURNED), (TURNED, ready)):
        email = f"{made_by.primary}@example.org"
        visitor = house.with_ring(made_by).visitor()
        await visitor.sign_up(email)
        code = await _code(house)

        visitor.house = house.with_ring(judged_by)

        assert is_logged_in(await visitor.verify(code))


async def test_a_code_is_wrong_once_its_key_is_gone(house: House) -> None:
    visitor = house.visitor()
    await visitor.sign_up()
    code = await _code(house)

    visitor.house = house.with_ring(NEW)

    assert not is_logged_in(await visitor.verify(code))


async def _code(house: House) -> str:
    """Take the mail with the code, whichever key has sealed it."""
    box = build_mails(house.db, TURNED)
    due = await box.take(house.clock(), LEASE)
    assert due is not None
    await box.sent(due.id)
    return box.open(due).facts["code"]
