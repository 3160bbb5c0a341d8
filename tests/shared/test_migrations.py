"""Tables come up to date however often and from however many processes at once."""

import asyncio

import pytest
import sqlalchemy as sa

from shared.database import Database, Statement
from shared.errors import Unavailable
from shared.migrations import differences, migrate
from tests.shared.conftest import Start
from tests.shared.sample import LOCATION, metadata, outbox_source

VERSION = Statement(sa.text("SELECT version_num FROM alembic_version"))


def test_migrated_tables_are_as_the_metadata_says(migrated_url: str) -> None:
    assert differences(migrated_url, metadata) == []


def test_a_difference_is_found(database_url: str) -> None:
    assert "add_table" in {change[0] for change in differences(database_url, metadata)}

    migrate(database_url, LOCATION)
    other = sa.MetaData()
    sa.Table("wallets", other, sa.Column("id", sa.Text, primary_key=True))
    found = {change[0] for change in differences(database_url, other)}

    assert "remove_column" in found
    assert "remove_table" in found


async def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    migrate(migrated_url, LOCATION)
    migrate(migrated_url, LOCATION)

    db = Database(migrated_url, source="sample")
    assert await db.all(VERSION) == [{"version_num": "0002"}]
    assert await db.all(Statement(outbox_source.select())) == [{"id": 1, "last_number": 0}]
    await db.close()


async def test_many_processes_may_migrate_at_once(database_url: str, start: Start) -> None:
    processes = [start(database_url, "migrate") for _ in range(3)]

    codes = await asyncio.gather(*(asyncio.to_thread(p.wait) for p in processes))

    assert codes == [0, 0, 0]
    assert await asyncio.to_thread(differences, database_url, metadata) == []


async def test_many_threads_may_migrate_at_once(database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, database_url, LOCATION) for _ in range(4)))

    assert differences(database_url, metadata) == []


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/at/all.db"]
)
def test_a_database_that_is_away_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable, match="cannot be migrated"):
        migrate(url, LOCATION)
