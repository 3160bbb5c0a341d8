"""What only PostgreSQL shows: races, and a server that goes away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import text

from shared.database import Change, Database, Row, Statement, also, pool, postgresql, step
from shared.database.chain import MAX_REMEMBERED, compose
from shared.errors import Conflict, Unavailable
from shared.migrations import migrate
from tests import servers
from tests.shared.conftest import Start
from tests.shared.proxy import Proxy
from tests.shared.sample import ADD, BY_ID, EVENTS, LOCATION, PAY_IN, PAY_OUT, REMOVE, Paid
from tests.trail import PATIENCE


@pytest.fixture
def migrated_url(postgresql_url: str) -> str:
    migrate(postgresql_url, LOCATION)
    return postgresql_url


@asynccontextmanager
async def row_locked(url: str, id: str) -> AsyncIterator[Any]:
    """Hold the row of a wallet in a transaction, which is committed in the end."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM wallets WHERE id = $1 FOR UPDATE", id)
            yield connection
    finally:
        await connection.close()


async def until_blocked(connection: Any, count: int = 1) -> None:
    """Wait until just `count` others wait for a lock of this connection's transaction."""
    waiting = (
        "SELECT count(DISTINCT pid) FROM pg_locks "
        "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )
    async with asyncio.timeout(PATIENCE):
        while await connection.fetchval(waiting) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def coins(db: Database, id: str) -> int:
    row = await db.find(BY_ID, id=id)
    assert row is not None
    return int(row.coins)


async def test_of_two_conditional_updates_one_wins(db: Database, migrated_url: str) -> None:
    other = Database(migrated_url, source="other")
    for number in range(30):
        key = f"w{number}"
        await db.apply(step(ADD, id=key, owner=None, coins=10))

        outcomes = await asyncio.gather(
            *(
                base.apply(step(PAY_OUT, id=key, amount=10), Paid(user_id=key))
                for base in (db, other, db, other)
            )
        )

        assert [o for o in outcomes if o is not None] == [{"id": key, "coins": 0}]
    assert len(await db.all(EVENTS)) == 30
    await other.close()


async def test_of_two_inserts_with_one_key_one_wins(db: Database, migrated_url: str) -> None:
    other = Database(migrated_url, source="other")
    for number in range(30):
        new = step(ADD, id=f"w{number}", owner=None, coins=1)

        outcomes = await asyncio.gather(
            *(base.apply(new, Paid(user_id=None)) for base in (db, other)), return_exceptions=True
        )

        assert {type(o) for o in outcomes} == {Row, Conflict}
    assert len(await db.all(EVENTS)) == 30
    await other.close()


@pytest.mark.parametrize(("taken", "left"), [(9, None), (2, 3)])
async def test_a_later_step_sees_what_was_committed_while_it_waited(
    db: Database, migrated_url: str, taken: int, left: int | None
) -> None:
    """The condition of a step is checked again on the row as it has become, or all is undone."""
    await db.apply(step(ADD, id="a", owner=None, coins=10))
    await db.apply(step(ADD, id="b", owner=None, coins=0))

    async with row_locked(migrated_url, "a") as connection:
        change = Change(step(PAY_IN, id="b", amount=5), step(PAY_OUT, id="a", amount=5))
        ours = asyncio.create_task(db.apply(change, Paid(user_id="ada")))
        await until_blocked(connection)
        await connection.execute("UPDATE wallets SET coins = coins - $1 WHERE id = 'a'", taken)
    row = await ours

    if left is None:
        assert row is None
        assert (await coins(db, "a"), await coins(db, "b")) == (1, 0)
        assert await db.all(EVENTS) == []
    else:
        assert row == {"id": "a", "coins": left}
        assert (await coins(db, "a"), await coins(db, "b")) == (left, 5)
        assert len(await db.all(EVENTS)) == 1


async def test_a_statement_that_takes_too_long_writes_nothing(
    db: Database, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.apply(step(ADD, id="a", owner=None, coins=10))
    monkeypatch.setattr(postgresql, "STATEMENT_TIMEOUT", 0.2)
    hasty = Database(migrated_url, source="sample")

    async with row_locked(migrated_url, "a"):
        with pytest.raises(Unavailable):
            await hasty.apply(step(PAY_IN, id="a", amount=1), Paid(user_id="ada"))
    await hasty.close()

    assert await coins(db, "a") == 10
    assert await db.all(EVENTS) == []


async def test_a_caller_without_a_connection_gives_up(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "WAIT", 0.05)
    db = Database(migrated_url, source="sample", connections=3)
    await db.apply(step(ADD, id="a", owner=None, coins=10))

    async with row_locked(migrated_url, "a") as connection:
        pay_in = [db.apply(step(PAY_IN, id="a", amount=1)) for _ in range(3)]
        writes = asyncio.gather(*pay_in)
        await until_blocked(connection)
        with pytest.raises(Unavailable):
            await db.find(BY_ID, id="a")
    await writes

    assert await coins(db, "a") == 10 + 3
    await db.close()


async def test_a_cancelled_call_is_cancelled_at_the_server_too(
    db: Database, migrated_url: str
) -> None:
    await db.apply(step(ADD, id="a", owner=None, coins=10))
    async with row_locked(migrated_url, "a") as connection:
        for _ in range(9):  # more than there are connections
            call = asyncio.create_task(db.apply(step(PAY_IN, id="a", amount=1)))
            await until_blocked(connection, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await until_blocked(connection, 0)

    assert await coins(db, "a") == 10


async def test_connections_are_renewed_in_time(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Statement(text("SELECT pg_backend_pid() AS pid"))
    first, second = [await db.find(backend) for _ in range(2)]
    monkeypatch.setattr(pool, "AGE", 0.0)
    third = await db.find(backend)

    assert first == second
    assert third != first


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    db = Database("postgresql://nobody@127.0.0.1:1/none", source="sample")
    await db.connect()

    with pytest.raises(Unavailable):
        await db.ping()
    with pytest.raises(Unavailable):
        await db.apply(step(REMOVE, id="a"))
    with pytest.raises(Unavailable):
        async with db.exclusive("relay"):
            pytest.fail("nobody can hold this")
    with pytest.raises(Unavailable):
        async with db.listen("wallets"):
            pytest.fail("nobody can hear this")
    await db.close()


async def test_a_database_that_does_not_exist_is_unavailable(migrated_url: str) -> None:
    db = Database(migrated_url.replace(servers.MINE, "not_there"), source="sample")

    with pytest.raises(Unavailable):
        await db.ping()

    await db.close()


async def test_a_server_that_comes_back_is_used_again(proxy: Proxy) -> None:
    db = Database(proxy.url, source="sample")
    await db.apply(step(ADD, id="a", owner=None, coins=10))

    await proxy.cut()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await db.find(BY_ID, id="a")
    await proxy.open()

    assert await coins(db, "a") == 10
    await db.close()


async def test_a_call_that_is_cut_off_is_unavailable(proxy: Proxy, postgresql_url: str) -> None:
    db = Database(proxy.url, source="sample")
    await db.apply(step(ADD, id="a", owner=None, coins=10))

    async with row_locked(postgresql_url, "a") as connection:
        call = asyncio.create_task(db.apply(step(PAY_IN, id="a", amount=1)))
        await until_blocked(connection)
        await proxy.cut()
        with pytest.raises(Unavailable):
            await call

    await db.close()


async def test_a_server_that_does_not_answer_is_unavailable(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "COMMAND_TIMEOUT", 2.0)  # of one that answers, too
    db = Database(proxy.url, source="sample")
    await db.ping()

    monkeypatch.setattr(postgresql, "CONNECT_TIMEOUT", 0.3)
    proxy.freeze()
    for _ in range(2):  # over the connection that is there, and over a new one
        with pytest.raises(Unavailable):
            await db.ping()

    await db.close()


async def test_a_listener_learns_that_it_hears_nothing_any_more(proxy: Proxy) -> None:
    db = Database(proxy.url, source="sample")

    async with db.listen("wallets") as bell:
        await proxy.cut()
        with pytest.raises(Unavailable):
            await bell.wait(PATIENCE)

    await db.close()


async def test_what_runs_under_a_lock_that_is_lost_is_broken_off(proxy: Proxy) -> None:
    db = Database(proxy.url, source="sample")

    async def hold() -> None:
        async with db.exclusive("relay") as held:
            assert held
            await proxy.cut()
            await asyncio.Event().wait()

    with pytest.raises(Unavailable):
        await hold()
    await asyncio.sleep(0)  # the task itself is not left cancelled
    await db.close()


async def test_a_holder_of_a_lock_can_be_cancelled(db: Database) -> None:
    holding = asyncio.Event()

    async def hold() -> None:
        async with db.exclusive("relay") as held:
            assert held
            holding.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    async with asyncio.timeout(PATIENCE):
        await holding.wait()
    assert not await is_free(db)
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder

    assert await is_free(db)


async def is_free(db: Database) -> bool:
    async with db.exclusive("relay") as held:
        return held


async def test_a_bell_does_not_ring_for_another_schema(
    db: Database, postgresql_database: str
) -> None:
    elsewhere = servers.postgresql_schema(postgresql_database)
    migrate(elsewhere, LOCATION)
    other = Database(elsewhere, source="other")

    async with db.listen("wallets") as bell, other.listen("wallets") as theirs:
        await other.apply(step(ADD, id="a", owner=None, coins=1))
        assert await theirs.wait(PATIENCE)
        assert not await bell.wait(0)

    async with db.exclusive("relay") as mine, other.exclusive("relay") as others:
        assert (mine, others) == (True, True)
    await other.close()


async def test_a_lock_is_free_when_its_holder_is_killed(
    db: Database, migrated_url: str, start: Start
) -> None:
    holder = start(migrated_url, "hold")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    async with db.exclusive("relay") as held:
        assert not held

    holder.kill()

    async with asyncio.timeout(PATIENCE):
        while not await is_free(db):
            pass


async def test_no_message_or_log_repeats_the_password(caplog: pytest.LogCaptureFixture) -> None:
    db = Database("postgresql://ada:s3cret@127.0.0.1:1/none?sslmode=disable", source="sample")

    with pytest.raises(Unavailable) as caught:
        await db.find(BY_ID, id="a")

    assert "s3cret" not in repr(caught.value) + repr(caught.value.__cause__) + caplog.text
    assert "database sample away" in caplog.text
    await db.close()


async def test_a_refusal_that_had_to_be_undone_leaves_the_connection_usable(db: Database) -> None:
    await db.apply(step(ADD, id="a", owner=None, coins=10))
    refused = Change(also(PAY_IN, id="a", amount=1), step(REMOVE, id="nobody"))

    for _ in range(3):
        assert await db.apply(refused, Paid(user_id="ada")) is None

    assert await coins(db, "a") == 10


def test_no_more_changes_are_remembered_than_fit() -> None:
    """Who has many browsers ends any of them: that is as many shapes as there are selections."""
    assert compose.cache_parameters()["maxsize"] == MAX_REMEMBERED
    assert compose(((PAY_IN, True), (PAY_OUT, False))) is compose(
        ((PAY_IN, True), (PAY_OUT, False))
    )
