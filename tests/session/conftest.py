"""A house to test in, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.session.house import SERVICES, House, Urls, open_house
from tests.session.making import MakeApi, making
from tests.tables import create_tables, with_tables

LOCATIONS = [f"services.{service}.migrations" for service in SERVICES]


@pytest.fixture
def postgresql_urls(postgresql_database: str) -> Iterator[Urls]:
    """A schema for each of the services, with its tables."""
    with ExitStack() as stack:
        yield _urls(
            stack.enter_context(with_tables(postgresql_database, location))
            for location in LOCATIONS
        )


@pytest.fixture
def sqlite_urls(tmp_path: Path) -> Urls:
    """A file for each of the services, with its tables."""
    urls = _urls(f"sqlite:///{tmp_path / service}.db" for service in SERVICES)
    for location, url in zip(LOCATIONS, urls, strict=True):
        create_tables(url, location)
    return urls


def _urls(found: Iterable[str]) -> Urls:
    session, totp, recovery, webauthn = found
    return session, totp, recovery, webauthn


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest) -> Urls:
    """The databases of all services, on SQLite and on PostgreSQL."""
    found: Urls = request.getfixturevalue(f"{request.param}_urls")
    return found


@pytest.fixture
async def house(urls: Urls) -> AsyncIterator[House]:
    """All services over empty databases."""
    async with open_house(urls) as house:
        yield house


@pytest.fixture
async def pg_house(postgresql_urls: Urls) -> AsyncIterator[House]:
    """All services on PostgreSQL, where races are real."""
    async with open_house(postgresql_urls) as house:
        yield house


@pytest.fixture(params=["app", "browser"])
async def make_api(request: pytest.FixtureRequest, house: House) -> AsyncIterator[MakeApi]:
    """What makes a client of an application with these settings."""
    async with making(house, request.param) as make:
        yield make
