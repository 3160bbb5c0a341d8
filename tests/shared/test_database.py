"""What a change means, the same on SQLite and on PostgreSQL."""

from asyncio import gather
from itertools import count, product
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import insert, text

from shared import context
from shared.clock import to_micros
from shared.context import Context
from shared.database import Change, Database, Row, Statement, Step, also, step
from shared.errors import ConfigurationError, Conflict, Malformed, Unavailable
from shared.migrations import migrate
from tests.shared.conftest import NOW
from tests.shared.sample import (
    ADD,
    ADD_IF_NEW,
    AMONG,
    BY_ID,
    EVENTS,
    LOCATION,
    NOT_AMONG,
    PAY_IN,
    PAY_OUT,
    REMOVE,
    STAMP,
    Paid,
    wallets,
)
from tests.trail import PATIENCE

EVERY = Statement(wallets.select())


async def add(db: Database, *ids: str, coins: int = 10) -> None:
    """Put wallets into the database."""
    for key in ids:
        await db.apply(step(ADD, id=key, owner=None, coins=coins))


async def coins(db: Database) -> dict[str, int]:
    """Return what every wallet holds."""
    return {row.id: row.coins for row in await db.all(EVERY)}


async def test_a_row_is_read_by_column(db: Database) -> None:
    await add(db, "a")

    row = await db.find(BY_ID, id="a")

    assert row == {"id": "a", "owner": None, "coins": 10, "stamp": None}
    assert row is not None
    assert (row.id, row["coins"]) == ("a", 10)
    with pytest.raises(AttributeError, match="colour"):
        _ = row.colour
    assert await db.find(BY_ID, id="b") is None


def test_a_row_without_columns_is_true() -> None:
    assert Row()


async def test_a_list_is_one_value_whatever_its_length(db: Database) -> None:
    await add(db, "a", "b", "c")

    found = [
        [row.id for row in await db.all(AMONG, ids=ids)] for ids in ([], ["b"], ["a", "c", "z"])
    ]
    others = [
        [row.id for row in await db.all(NOT_AMONG, ids=ids)] for ids in ([], ["b"], ["a", "c", "z"])
    ]

    assert found == [[], ["b"], ["a", "c"]]
    assert others == [["a", "b", "c"], ["a", "c"], ["b"]]


async def test_a_list_can_be_part_of_the_statement(db: Database) -> None:
    await add(db, "a", "b", "c")
    some = Statement(wallets.select().where(wallets.c.id.in_(["a", "c"])).order_by(wallets.c.id))

    assert [row.id for row in await db.all(some)] == ["a", "c"]


async def test_bytes_and_large_numbers_come_back_as_they_were(db: Database) -> None:
    await db.apply(step(STAMP, id="a", stamp=bytes(range(256))))
    await db.apply(step(PAY_IN, id="a", amount=2**62))

    row = await db.find(BY_ID, id="a")

    assert row is not None
    assert (row.stamp, row.coins) == (bytes(range(256)), 2**62)


async def test_a_change_returns_what_its_last_required_step_returns(db: Database) -> None:
    await add(db, "a", "b")

    row = await db.apply(
        Change(
            step(PAY_OUT, id="a", amount=3),
            step(PAY_IN, id="b", amount=3),
            also(REMOVE, id="nobody"),
        ),
        Paid(user_id="ada"),
    )

    assert row == {"coins": 13}
    assert await coins(db) == {"a": 7, "b": 13}


async def test_a_change_that_returns_nothing_is_still_told_from_a_refusal(db: Database) -> None:
    await add(db, "a")

    assert await db.apply(step(REMOVE, id="a")) == {}
    assert await db.apply(step(REMOVE, id="a")) is None


async def test_a_refused_step_leaves_nothing_of_those_before_it(db: Database) -> None:
    await add(db, "a", "b")

    refused = await db.apply(
        Change(step(PAY_IN, id="b", amount=30), step(PAY_OUT, id="a", amount=30)),
        Paid(user_id="ada"),
    )

    assert refused is None
    assert await coins(db) == {"a": 10, "b": 10}
    assert await db.all(EVENTS) == []


KINDS = 3


def part(kind: int, id: str, *, hits: bool, required: bool) -> tuple[Step, bool]:
    """Return a step of one kind, and whether `id` must exist for it to hit or to miss."""
    make = step if required else also
    match kind:
        case 0:
            return make(PAY_IN, id=id, amount=1), hits
        case 1:
            return make(ADD_IF_NEW, id=id, owner=None, coins=10), not hits
        case _:
            return make(REMOVE, id=id), hits


def after(kind: int, before: int | None) -> int | None:
    """Return the coins of a wallet after a step of one kind has hit or missed."""
    match kind, before:
        case 0, int(held):
            return held + 1
        case 1, None:
            return 10
        case 2, _:
            return None
    return before


async def test_every_chain_is_written_whole_or_not_at_all(db: Database) -> None:
    """All chains of up to three steps, required or not, that hit or miss, of changing kinds."""
    numbers = count()
    for length in (1, 2, 3):
        for pattern in product(product((True, False), repeat=2), repeat=length):
            number = next(numbers)
            kinds = [(number + place) % KINDS for place in range(length)]
            ids = [f"{number}-{place}" for place in range(length)]
            parts = [
                part(kind, key, hits=hits, required=required)
                for kind, key, (hits, required) in zip(kinds, ids, pattern, strict=True)
            ]
            await add(db, *(key for key, (_, exists) in zip(ids, parts, strict=True) if exists))
            before = [10 if exists else None for _, exists in parts]

            row = await db.apply(Change(*(s for s, _ in parts)), Paid(user_id=str(number)))

            done = all(hits for hits, required in pattern if required)
            expected = [after(k, b) if done else b for k, b in zip(kinds, before, strict=True)]
            found = [await db.find(BY_ID, id=key) for key in ids]
            assert [f and f.coins for f in found] == expected, pattern
            assert (row is not None) == done, pattern
            told = [e for e in await db.all(EVENTS) if e.subject == str(number)]
            assert len(told) == done, pattern


async def test_an_event_is_written_with_who_asked_and_when(db: Database) -> None:
    """D3: an event has its time, its subject and the context of the request."""
    context.enter(Context(request_id="r1", address="192.0.2.7", session="5e55"))

    await db.record(Paid(user_id="ada", amount=3), Paid(user_id=None))

    first, second = await db.all(EVENTS)
    assert first.type == "mfa.sample.paid"
    assert first.occurred_at == to_micros(NOW)
    assert (first.subject, first.data) == ("ada", '{"amount":3}')
    assert first.context == '{"request_id":"r1","address":"192.0.2.7","session":"5e55"}'
    assert (second.subject, second.data, second.number) == (None, "{}", None)
    assert len({first.id, second.id}) == 2
    # UUID 7: milliseconds, version, variant
    assert int(first.id[:12], 16) == to_micros(NOW) // 1000
    assert first.id[12] == "7"
    assert first.id[16] in "89ab"


async def test_events_keep_the_order_in_which_they_were_stated(db: Database) -> None:
    await add(db, "a")
    stated = [Paid(user_id=str(number)) for number in range(7)]

    await db.apply(step(PAY_IN, id="a", amount=1), *stated)
    await db.record(*stated)

    assert [event.subject for event in await db.all(EVENTS)] == [*"0123456", *"0123456"]


async def test_events_without_a_change_need_no_context(db: Database) -> None:
    await db.record()
    await db.record(Paid(user_id="ada"))

    (event,) = await db.all(EVENTS)
    assert event.context == "{}"


async def test_a_second_row_with_a_unique_key_is_a_conflict(db: Database) -> None:
    await db.apply(step(ADD, id="a", owner="ada", coins=0))

    for key, owner in (("a", "bob"), ("b", "ada")):
        with pytest.raises(Conflict) as caught:
            await db.apply(
                Change(step(PAY_IN, id="a", amount=5), step(ADD, id=key, owner=owner, coins=0)),
                Paid(user_id="ada"),
            )
        assert caught.value.code == "unique"

    assert await coins(db) == {"a": 0}
    assert await db.all(EVENTS) == []


async def test_a_row_that_breaks_another_constraint_is_a_conflict(db: Database) -> None:
    with pytest.raises(Conflict) as caught:
        await db.apply(step(ADD, id="a", owner=None, coins=None))

    assert caught.value.code == "constraint"


async def test_a_value_that_cannot_be_stored_is_malformed(db: Database) -> None:
    """D7: what slips through every check is still not a breakdown."""
    for key, amount in (("a", 2**63), ("\ud800", 1)):
        with pytest.raises(Malformed):
            await db.apply(step(ADD, id=key, owner=None, coins=amount), Paid(user_id="ada"))
    with pytest.raises(Malformed):
        await db.find(BY_ID, id="\ud800")
    with pytest.raises(Malformed):
        await db.all(AMONG, ids=["a", "\ud800"])

    assert await db.all(EVENTS) == []


async def test_one_bad_write_does_not_harm_those_beside_it(db: Database) -> None:
    await add(db, "a")
    writes = [db.apply(step(ADD, id=key, owner=None, coins=1)) for key in ("b", "a", "c", "\ud800")]

    outcomes = await gather(*writes, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Row, Conflict, Row, Malformed]
    assert await coins(db) == {"a": 10, "b": 1, "c": 1}


async def test_values_must_fit_the_statement(db: Database) -> None:
    with pytest.raises(TypeError, match="takes"):
        await db.find(BY_ID)
    with pytest.raises(TypeError, match="takes"):
        await db.find(BY_ID, id="a", coins=3)
    with pytest.raises(TypeError, match="takes"):
        await db.apply(step(REMOVE, name="a"))


async def test_an_insert_without_values_takes_every_column(db: Database) -> None:
    every = Statement(insert(wallets))
    await db.apply(step(every, id="a", owner="ada", coins=1, stamp=b"x"))

    row = await db.apply(
        Change(
            step(PAY_IN, id="a", amount=1),
            step(every, id="b", owner="bob", coins=1, stamp=None),
        )
    )

    assert row == {}
    assert await coins(db) == {"a": 2, "b": 1}


async def test_an_insert_from_a_select_can_be_a_later_step(db: Database) -> None:
    await add(db, "a")
    copy = Statement(
        insert(wallets).from_select(
            ["id", "coins"],
            wallets.select()
            .with_only_columns(wallets.c.id + "-copy", wallets.c.coins)
            .where(wallets.c.id == "a"),
        )
    )

    assert await db.apply(Change(step(PAY_IN, id="b", amount=1), step(copy))) is None
    await add(db, "b")
    assert await db.apply(Change(step(PAY_IN, id="b", amount=1), step(copy))) is not None
    assert await coins(db) == {"a": 10, "a-copy": 10, "b": 11}


async def test_a_text_can_be_read_but_not_be_a_step(db: Database) -> None:
    statement = Statement(text("SELECT count(*) AS count FROM wallets WHERE id <> :id"))

    row = await db.find(statement, id="a")

    assert row == {"count": 0}
    if db.dialect == "postgresql":
        with pytest.raises(TypeError, match="a step cannot be"):
            await db.apply(step(statement, id="a"))


async def test_statements_and_commits_are_counted(db: Database) -> None:
    def counted() -> list[float]:
        def value(name: str, **labels: str) -> float:
            labels["source"] = "sample"
            return REGISTRY.get_sample_value(f"countersign_database_{name}_total", labels) or 0

        return [
            value("statements", kind="read"),
            value("statements", kind="write"),
            value("commits"),
        ]

    before = counted()
    await add(db, "a")
    await db.find(BY_ID, id="a")
    await db.all(AMONG, ids=["a"])
    await db.record(Paid(user_id=None))
    await db.apply(Change(step(PAY_IN, id="a", amount=1), also(REMOVE, id="b")), Paid(user_id="a"))
    await db.apply(step(PAY_OUT, id="a", amount=100), Paid(user_id="a"))  # refused
    await db.record()
    await db.ping()

    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 4, 3]


async def test_one_holds_a_lock_at_a_time(db: Database, migrated_url: str) -> None:
    other = Database(migrated_url, source="other")

    async with (
        db.exclusive("relay") as mine,
        other.exclusive("relay") as theirs,
        other.exclusive("sweep") as another,
    ):
        assert (mine, theirs, another) == (True, False, True)
    async with other.exclusive("relay") as theirs:
        assert theirs


async def test_a_write_of_another_process_rings_the_bell(db: Database, migrated_url: str) -> None:
    other = Database(migrated_url, source="other")
    async with db.listen("wallets") as bell:
        assert not await bell.wait(0)
        await add(other, "a")
        assert await bell.wait(PATIENCE)
        assert not await bell.wait(0)
        await add(other, "b", "c")
        assert await bell.wait(PATIENCE)
    await other.close()


async def test_a_database_can_be_closed_and_used_again(db: Database) -> None:
    await db.close()
    await db.close()
    await add(db, "a")
    await db.connect()
    await db.connect()

    assert await coins(db) == {"a": 10}


async def test_a_database_that_was_not_migrated_is_unavailable(database_url: str) -> None:
    db = Database(database_url, source="sample")

    with pytest.raises(Unavailable):
        await db.find(BY_ID, id="a")
    with pytest.raises(Unavailable):
        await db.apply(step(REMOVE, id="a"), Paid(user_id="ada"))

    await db.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "mysql://ada:s3cret@db/x", "postgresql+psycopg://ada@db/x"]
)
def test_a_url_of_another_kind_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database(url, source="sample")

    assert "database URL of sample" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_statement_needs_a_form_for_each_dialect() -> None:
    with pytest.raises(TypeError, match="each dialect"):
        Statement()
    with pytest.raises(TypeError, match="each dialect"):
        Statement(postgresql=wallets.select())


def test_nothing_happens_until_a_database_is_used(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path / 'test.db'}", source="sample")
    Database("postgresql://nobody@127.0.0.1:1/none", source="sample")

    assert list(tmp_path.iterdir()) == []


async def test_a_database_without_its_tables_is_not_ready(database_url: str) -> None:
    db = Database(database_url, source="sample")
    await db.connect()

    with pytest.raises(Unavailable):
        await db.ping()
    await db.close()


async def test_an_absence_is_told_once_and_so_is_its_end(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    db = Database(database_url, source="sample")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await db.find(BY_ID, id="a")
    migrate(database_url, LOCATION)
    for _ in range(3):
        await db.find(BY_ID, id="a")
    await db.close()

    told = [record.getMessage() for record in caplog.records if record.name.startswith("shared.")]
    assert [line.split(":")[0] for line in told] == ["database sample away", "database sample back"]
