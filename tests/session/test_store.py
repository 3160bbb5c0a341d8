"""What the store promises, on both databases."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from services.session.domain.identifiers import by_address
from services.session.domain.limits import Counter, Limits, name_of
from services.session.domain.mails import Mail, MailKind
from services.session.events import MailGivenUp
from services.session.flows import build_mails
from services.session.store import MailStore, Store, statements
from services.session.store.arrears import ARREARS
from services.session.store.tables import attempts, mails, metadata, sessions
from shared.cipher import CannotOpen, Cipher, KeyRing
from shared.clock import to_micros
from shared.database import Database, Statement, Step, step
from shared.migrations import differences
from tests.hands import START
from tests.session.house import RING, House

LETTER = Mail(
    id="m1", kind=MailKind.VERIFICATION_CODE, to="ada@example.org", facts={"code": "BCDF-GHJK"}
)
LEASE = timedelta(minutes=2)


@pytest.fixture
def box(house: House) -> MailStore:
    return build_mails(house.db, RING)


async def test_the_migrations_lead_to_the_tables_of_the_store(house: House) -> None:
    assert await asyncio.to_thread(differences, house.urls[0], metadata) == []


# Mails


async def test_mails_are_sealed(house: House, box: MailStore) -> None:
    """D1: neither the code nor the address can be read from the database."""
    await house.store.write(box.due(LETTER, START))
    (row,) = await house.db.all(Statement(select(*mails.c)))

    assert b"BCDF" not in row.sealed
    assert b"ada" not in row.sealed
    due = await box.take(START, LEASE)
    assert due is not None
    assert (box.open(due), due.attempts, due.created_at) == (LETTER, 1, START)


async def test_a_mail_that_was_tampered_with_does_not_open(house: House, box: MailStore) -> None:
    other = MailStore(house.db, Cipher(KeyRing("k1", {"k1": bytes(32)}), "session.mail"))
    await house.store.write(other.due(LETTER, START))

    due = await box.take(START, LEASE)

    assert due is not None
    with pytest.raises(CannotOpen):
        box.open(due)


async def test_a_mail_is_taken_by_one_worker_at_a_time(house: House, box: MailStore) -> None:
    for number in range(5):
        await house.store.write(box.due(replace(LETTER, id=f"m{number}"), START))
    taken = await asyncio.gather(*(box.take(START, LEASE) for _ in range(8)))

    ids = [due.id for due in taken if due is not None]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) >= 1
    while (due := await box.take(START, LEASE)) is not None:
        ids.append(due.id)
    assert sorted(ids) == [f"m{number}" for number in range(5)]


async def test_a_mail_whose_worker_died_is_due_again(house: House, box: MailStore) -> None:
    """At least once, and recognisable as the same."""
    await house.store.write(box.due(LETTER, START))
    first = await box.take(START, LEASE)
    none = await box.take(START + LEASE - timedelta(seconds=1), LEASE)
    again = await box.take(START + LEASE, LEASE)

    assert first is not None
    assert none is None
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 2)


async def test_a_mail_can_be_put_back_sent_and_given_up(house: House, box: MailStore) -> None:
    await house.store.write(box.due(LETTER, START))
    await box.take(START, LEASE)
    await box.put_back("m1", START + timedelta(seconds=5))
    assert await box.take(START + timedelta(seconds=4), LEASE) is None
    assert await box.take(START + timedelta(seconds=5), LEASE) is not None
    await box.give_up("m1", MailGivenUp(user_id=None, kind="verification_code", attempts=2))
    await box.sent("m1")

    assert await house.db.all(Statement(select(*mails.c))) == []
    assert await house.events() == ["mail_given_up"]


# Counters


async def test_a_counter_refuses_at_its_limit_and_begins_anew(house: House) -> None:
    counter = Counter("key", 3, timedelta(minutes=1))

    async def count(after: float = 0) -> bool:
        moment = START + timedelta(seconds=after)
        return await house.store.write(*house.store.count((counter,), moment)) is not None

    assert [await count() for _ in range(5)] == [True, True, True, False, False]
    assert not await count(59.9)
    assert [await count(60) for _ in range(4)] == [True, True, True, False]


async def test_parallel_counting_loses_nothing(pg_house: House) -> None:
    counter = Counter("key", 10, timedelta(minutes=1))
    counted = await asyncio.gather(
        *(pg_house.store.write(*pg_house.store.count((counter,), START)) for _ in range(40))
    )

    assert sum(row is not None for row in counted) == 10


async def test_what_one_limit_refuses_is_not_counted_by_the_other(house: House) -> None:
    def failure(address: str) -> tuple[Step, ...]:
        counters = house.store.limits.strangers(name_of(address), ip="192.0.2.1")
        return house.store.count(counters, START)

    for number in range(10):
        assert await house.store.write(*failure(f"p{number}@example.org")) is not None

    assert await house.store.write(*failure("q@example.org")) is None
    elsewhere = await house.store.find_known(
        by_address("q@example.org"), ip="192.0.2.9", user_agent="test", now=START
    )
    assert elsewhere.limited_until is None
    assert len(await house.db.all(Statement(select(attempts.c.count)))) == 11


FULL, ODD = "full", """its 'own', "odd" \\ [Ä]\N{GRINNING FACE}"""
SOON, LATER = to_micros(START) + 1, to_micros(START) + 2


@pytest.mark.parametrize(
    ("keys", "until"),
    [
        ([], None),
        ([FULL], SOON),
        ([FULL, FULL], SOON),
        ([ODD, FULL, "room"], LATER),
        (["nobody's", FULL], SOON),
        (["room", "over", "nobody's", "", "ful", "FULL"], None),
    ],
)
async def test_of_counters_the_one_that_is_used_up_for_longest_holds(
    house: House, keys: list[str], until: int | None
) -> None:
    add = Statement(insert(attempts))
    for key, count, ends_at in (
        (FULL, 5, SOON),
        (ODD, 6, LATER),
        ("room", 4, LATER),
        ("over", 5, to_micros(START)),
    ):
        counted = {"key": key, "count": count, "window_ends_at": ends_at}
        await house.db.apply(step(add, ceiling=5, about=None, **counted))

    found = await house.db.find(statements.SPENT_UNTIL, keys=keys, now=to_micros(START))

    assert found is not None
    assert found.until == until


# What is over


async def test_what_is_over_is_deleted_and_nothing_else(house: House) -> None:
    ada = await house.visitor().join()
    await house.visitor().log_in("nobody@example.org", "wrong")
    await house.visitor().sign_up("bob@example.org")
    assert await house.sweeps.delete_expired() == 0
    house.clock.turn(days=1)

    assert await house.sweeps.delete_expired() == 1
    left = await house.db.all(Statement(select(sessions.c.authenticated_at)))
    assert [row.authenticated_at is not None for row in left] == [True]
    assert await house.db.all(Statement(select(attempts.c.count))) == []
    assert (await ada.visit()).authenticated


async def test_expired_rows_are_deleted_in_batches(house: House) -> None:
    add = Statement(attempts.insert())
    for number in range(1201):
        await house.db.apply(
            step(
                add,
                key=str(number),
                count=1,
                ceiling=5,
                about=None,
                window_ends_at=to_micros(START),
            )
        )

    assert await house.sweeps.delete_expired() == 3
    assert await house.db.all(Statement(select(attempts.c.count))) == []


# Growth


async def test_what_is_late_is_counted_by_indexes(pg_house: House) -> None:
    plan = await explain(pg_house.db, ARREARS.sql("postgresql").text)

    assert "mails_tried" in plan
    assert "mails_due_at" in plan
    assert "users_register_marked_at" in plan


@pytest.mark.parametrize(
    "statement", ["FIND_SESSION", "FIND_KNOWN", "FIND_FOR_SIGNUP", "FIND_ACCOUNT"]
)
async def test_reads_go_by_an_index(pg_house: House, statement: str) -> None:
    """There is an index for each; what PostgreSQL makes of it, test_limits_growth shows."""
    sql = getattr(statements, statement).sql("postgresql").text
    plan = await explain(pg_house.db, sql)

    assert "Seq Scan" not in plan


async def explain(db: Database, sql: str) -> str:
    """Return how PostgreSQL would run a statement if tables were large, whatever the values."""
    backend = db._backend
    async with backend._own_connection() as connection:  # type: ignore[attr-defined]
        await connection.execute(
            "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan"
        )
        await connection.execute(f"PREPARE look AS {sql}")
        count = max(map(int, re.findall(r"\$(\d+)", sql)), default=0)
        values = ", ".join(["NULL"] * count)
        rows = await connection.fetch(f"EXPLAIN EXECUTE look({values})")
        return "\n".join(row[0] for row in rows)


def test_a_store_is_nothing_but_its_database(house: House) -> None:
    assert vars(Store(house.db, Limits())) == {"_db": house.db, "limits": Limits()}
