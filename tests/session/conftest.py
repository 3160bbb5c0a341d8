"""A house to test in, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import servers
from tests.session.house import House, open_house


@pytest.fixture
def postgresql_urls(postgresql_database: str) -> tuple[str, str]:
    """Two empty schemas: one of session, one of totp."""
    first, second = (servers.postgresql_schema(postgresql_database) for _ in range(2))
    return first, second


@pytest.fixture
def sqlite_urls(tmp_path: Path) -> tuple[str, str]:
    """Two files that are not there yet."""
    return f"sqlite:///{tmp_path / 'session.db'}", f"sqlite:///{tmp_path / 'totp.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The databases of session and totp, on SQLite and on PostgreSQL."""
    pair: tuple[str, str] = request.getfixturevalue(f"{request.param}_urls")
    return pair


@pytest.fixture
async def house(urls: tuple[str, str]) -> AsyncIterator[House]:
    """Both services over empty databases."""
    async with open_house(*urls) as house:
        yield house


@pytest.fixture
async def pg_house(postgresql_urls: tuple[str, str]) -> AsyncIterator[House]:
    """Both services on PostgreSQL, where races are real."""
    async with open_house(*postgresql_urls) as house:
        yield house
