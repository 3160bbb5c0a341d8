"""What only SQLite shows: a file, shared by processes, that must survive them."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest

from shared.database import Database, sqlite, step
from shared.errors import Unavailable
from shared.migrations import migrate
from tests.shared.conftest import Start
from tests.shared.sample import ADD, BY_ID, EVENTS, LOCATION, PAY_IN, Paid


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def no_database(path: Path) -> None:
    path.write_text("this is no database, and long enough to be taken for one" * 20)


@pytest.fixture
def migrated_url(sqlite_url: str) -> str:
    migrate(sqlite_url, LOCATION)
    return sqlite_url


async def test_what_was_acknowledged_survives_a_kill(migrated_url: str, start: Start) -> None:
    """What `apply` has returned for is on disk, its event beside it, and the file is whole."""
    writer = start(migrated_url, "write")
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(500)]
    writer.kill()
    told += writer.stdout.readlines()
    acknowledged = {line.strip() for line in told if line.endswith("\n")}

    db = Database(migrated_url, source="sample")
    events = {event.subject for event in await db.all(EVENTS)}
    found = [key for key in acknowledged if await db.find(BY_ID, id=key)]
    await db.close()

    assert len(acknowledged) >= 500
    assert set(found) == acknowledged
    assert acknowledged <= events


async def test_a_program_that_looks_in_and_leaves_takes_no_commit_along(
    migrated_url: str, path: Path, start: Start
) -> None:
    """The last one to close a database removes its log: the locks say who is the last one.

    The writer has opened the file twice, to read and to write, and must still have its locks.
    """
    writer = start(migrated_url, "write")
    assert writer.stdout is not None
    for _ in range(50):
        writer.stdout.readline()

    looking = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
    looking += "c.execute('SELECT * FROM wallets').fetchone(); c.close()"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", looking, path)
    assert await other.wait() == 0

    assert path.with_name(f"{path.name}-wal").exists()
    for _ in range(500):
        last = writer.stdout.readline().strip()
    writer.kill()
    writer.wait()
    db = Database(migrated_url, source="sample")
    assert await db.find(BY_ID, id=last)
    await db.close()


def test_a_commit_waits_for_the_disk(path: Path) -> None:
    """T1: a spent code stays spent through a power cut, so every commit is synced."""
    connection = sqlite.connect(path, patience=1)

    pragmas = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    ]
    connection.close()

    assert pragmas == ["wal", 2, 1]


async def test_many_writes_share_a_commit(db: Database, path: Path) -> None:
    await db.apply(step(ADD, id="a", owner=None, coins=0))
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    writes = [asyncio.create_task(db.apply(step(PAY_IN, id="a", amount=1))) for _ in range(50)]
    await asyncio.sleep(0)  # let all of them queue up
    before = _commits(path)
    blocker.execute("COMMIT")
    blocker.close()

    rows = await asyncio.gather(*writes)

    assert sorted(row.coins for row in rows if row) == list(range(1, 51))
    assert _commits(path) - before <= 3


async def test_writes_of_one_turn_share_a_commit(db: Database, path: Path) -> None:
    await db.apply(step(ADD, id="a", owner=None, coins=0))
    before = _commits(path)

    rows = await asyncio.gather(*(db.apply(step(PAY_IN, id="a", amount=1)) for _ in range(16)))

    assert sorted(row.coins for row in rows if row) == list(range(1, 17))
    assert _commits(path) - before == 1


async def test_what_is_written_in_the_turn_of_the_end_is_finished(
    db: Database, migrated_url: str
) -> None:
    writing = asyncio.create_task(db.apply(step(ADD, id="a", owner=None, coins=7)))
    await asyncio.sleep(0)

    await db.close()

    assert await asyncio.wait_for(writing, 60) is not None
    again = Database(migrated_url, source="sample")
    row = await again.find(BY_ID, id="a")
    await again.close()
    assert row is not None
    assert row.coins == 7


def _commits(path: Path) -> int:
    """Count the commits in the write-ahead log: frames that say how large the database is.

    https://www.sqlite.org/fileformat2.html#the_write_ahead_log
    """
    log = path.with_name(f"{path.name}-wal").read_bytes()
    size = int.from_bytes(log[8:12], "big")
    frames = range(32, len(log), 24 + size)
    return sum(log[at + 4 : at + 8] != bytes(4) for at in frames)


async def test_two_processes_write_one_file(migrated_url: str, start: Start) -> None:
    db = Database(migrated_url, source="sample")
    await db.apply(step(ADD, id="shared", owner=None, coins=0))

    processes = [start(migrated_url, "pay_in") for _ in range(2)]
    for _ in range(200):
        await db.apply(step(PAY_IN, id="shared", amount=1))
    said = await asyncio.gather(*(asyncio.to_thread(p.communicate) for p in processes))

    row = await db.find(BY_ID, id="shared")
    await db.close()
    assert [out for out, _ in said] == ["done\n", "done\n"]
    assert row is not None
    assert row.coins == 600


async def test_a_reader_does_not_wait_for_a_writer(db: Database, path: Path) -> None:
    await db.apply(step(ADD, id="a", owner=None, coins=3))
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE wallets SET coins = 4")

    row = await db.find(BY_ID, id="a")

    writer.execute("ROLLBACK")
    writer.close()
    assert row is not None
    assert row.coins == 3


async def test_a_file_that_stays_locked_is_unavailable(
    db: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITER_PATIENCE", 0.1)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable):
        await db.apply(step(ADD, id="a", owner=None, coins=1), Paid(user_id="ada"))

    blocker.execute("COMMIT")
    blocker.close()
    assert await db.all(EVENTS) == []
    await db.apply(step(ADD, id="a", owner=None, coins=1))


async def test_a_full_disk_is_unavailable_and_spares_what_was_there(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.apply(step(ADD, id="a", owner="ada", coins=1))
    await db.close()
    opened = sqlite.connect

    def small(path: Path, *, patience: float) -> sqlite3.Connection:
        connection = opened(path, patience=patience)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "connect", small)
        with pytest.raises(Unavailable):
            await db.apply(step(ADD, id="b" * 100_000, owner=None, coins=1), Paid(user_id="ada"))
        await db.apply(step(PAY_IN, id="a", amount=1))
        await db.close()

    row = await db.find(BY_ID, id="a")
    assert row is not None
    assert row.coins == 2
    assert await db.all(EVENTS) == []


async def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'missing' / 'test.db'}", source="sample")
    await db.connect()

    with pytest.raises(Unavailable):
        await db.ping()
    with pytest.raises(Unavailable):
        await db.apply(step(ADD, id="a", owner=None, coins=1))
    (tmp_path / "missing").mkdir()
    with pytest.raises(Unavailable):
        await db.ping()  # there is no table yet
    assert (tmp_path / "missing" / "test.db").exists()

    await db.close()


@pytest.mark.usefixtures("no_database")
async def test_a_file_that_is_no_database_is_unavailable(sqlite_url: str) -> None:
    db = Database(sqlite_url, source="sample")

    with pytest.raises(Unavailable):
        await db.find(BY_ID, id="a")

    await db.close()


async def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises(Unavailable):
        await db.find(PAY_IN, id="a", amount=1)


async def test_a_cancelled_write_does_not_disturb_the_others(db: Database) -> None:
    writes = [
        asyncio.create_task(db.apply(step(ADD, id=f"w{number}", owner=None, coins=number)))
        for number in range(20)
    ]
    await asyncio.sleep(0)
    for write in writes[::2]:
        write.cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    assert all(isinstance(o, asyncio.CancelledError) for o in outcomes[::2])
    assert all(o == {} for o in outcomes[1::2])


def test_a_new_file_is_for_its_owner_alone(migrated_url: str, path: Path) -> None:
    connection = sqlite.connect(path, patience=1)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    connection.close()

    assert modes
    assert set(modes.values()) == {0o600}


async def test_a_lock_is_free_when_its_holder_is_killed(
    db: Database, migrated_url: str, start: Start
) -> None:
    holder = start(migrated_url, "hold")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    async with db.exclusive("relay") as held:
        assert not held

    holder.kill()
    holder.wait()

    async with db.exclusive("relay") as held:
        assert held
