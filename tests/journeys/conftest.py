"""What journeys start from."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.journeys.client import Client
from tests.journeys.suite import InProcess, in_process


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A suite in this process, with a clock of its own."""
    async with in_process(tmp_path) as running:
        yield running


@pytest.fixture(params=["app", "browser"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of client in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def client(suite: InProcess, kind: str) -> Client:
    """A client that has not asked for anything yet."""
    return suite.client(kind)
