"""The four processes, started once for all races, and a house to watch them from."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.races.house import House, opened
from tests.races.replicas import Replicas, running_replicas
from tests.servers import postgresql_schema


@pytest.fixture(scope="package")
def replicas(
    postgresql_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    """Two of session and two of totp, running."""
    session_url, totp_url = (postgresql_schema(postgresql_database) for _ in range(2))
    with running_replicas(tmp_path_factory.mktemp("races"), session_url, totp_url) as running:
        yield running


@pytest.fixture
async def house(replicas: Replicas) -> AsyncIterator[House]:
    """The replicas, from outside and from below."""
    async with opened(replicas) as house:
        yield house
