"""The stacks as they are run: the embedded one, and that of production."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from tests.chaos.report import HEAD, ROWS
from tests.chaos.servers import PostgreSQL, RabbitMQ
from tests.chaos.stack import Stack
from tests.trail.valkey import Valkey


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what was measured, as docs/reliability.md has it."""
    for line in (*HEAD, *ROWS) if ROWS else ():
        terminalreporter.write_line(line)


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A node of RabbitMQ that may be killed."""
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    yield node
    node.kill()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Stack]:
    """SQLite and Valkey."""
    valkey = Valkey(tmp_path)
    outbox, ledger = (f"sqlite:///{tmp_path / name}.db" for name in ("outbox", "ledger"))
    stack = Stack(valkey.url, outbox, ledger, {"broker": valkey})
    yield stack
    await stack.close()
    valkey.kill()


@pytest.fixture
async def production(rabbitmq: RabbitMQ) -> AsyncIterator[Stack]:
    """PostgreSQL and RabbitMQ."""
    database = PostgreSQL()
    outbox, ledger = (database.url(database.create(name)) for name in ("outbox", "ledger"))
    rabbitmq.empty()
    stack = Stack(rabbitmq.url, outbox, ledger, {"broker": rabbitmq, "database": database})
    yield stack
    await stack.close()
    database.remove()


@pytest.fixture(params=["embedded", "production"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each of them."""
    found: Stack = request.getfixturevalue(request.param)
    found.name = request.param
    return found
