"""The eight processes, started once for all races, and a house to watch them from."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.races.house import House, opened
from tests.races.replicas import SERVICES, Replicas, running_replicas
from tests.servers import postgresql_schema


@pytest.fixture(scope="package")
def replicas(
    postgresql_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    """Two of each service, running."""
    urls = {service: postgresql_schema(postgresql_database) for service in SERVICES}
    with running_replicas(tmp_path_factory.mktemp("races"), urls) as running:
        yield running


@pytest.fixture
async def house(replicas: Replicas) -> AsyncIterator[House]:
    """The replicas, from outside and from below."""
    async with opened(replicas) as house:
        yield house
