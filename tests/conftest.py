"""Databases and brokers for every test: fresh, isolated, gone afterwards."""

import gc
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from shared.bus import topology
from shared.database import pool, postgresql
from shared.http import connect
from tests import servers
from tests.contract.plugin import Plugin
from tests.ports import free_port
from tests.trail import PATIENCE
from tests.trail.plugin import Plugin as TrailPlugin
from tests.trail.valkey import Valkey

# How long an example takes depends on what else the machine does; times are for benchmarks.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ALONE = ("tests/browser/test_accessibility.py",)
"""Tests that take minutes each, and have nothing in common but a browser."""
FILES, FOLDERS = (
    ("tests/suite/", "tests/browser/test_pages.py", "tests/reference/test_running.py"),
    ("tests/races/", "tests/browser/"),
)
"""Where the tests of one file, or of the whole folder, share processes that take long to start."""


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each test to whichever process is free, but keeps together what shares processes.

    What is together is begun first, the largest first, so that the rest fills up the other
    processes meanwhile and nobody waits for it in the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(ALONE):
            return nodeid
        if nodeid.startswith(FILES):
            return nodeid.split("::", maxsplit=1)[0]
        return next(filter(nodeid.startswith, FOLDERS), nodeid)


# These start servers to kill them, which takes minutes: `make chaos-audit`.
collect_ignore = [] if os.environ.get("CHAOS") else ["chaos"]


def pytest_configure(config: pytest.Config) -> None:
    """Have every answer of the public API, and every event, watched in whichever test it comes.

    And give brokers, databases and services that many tests share the time that they take: how
    many of a crowd would be turned away before it is their turn depends on the machine.
    """
    topology.CONNECT_WITHIN = PATIENCE
    pool.WAIT = postgresql.CONNECT_TIMEOUT = postgresql.STATEMENT_TIMEOUT = PATIENCE
    postgresql.COMMAND_TIMEOUT = PATIENCE + 1
    defaults: dict[str, object] = connect.__kwdefaults__  # type: ignore[assignment]
    defaults["timeout"] = timedelta(seconds=PATIENCE)
    config.pluginmanager.register(Plugin(), "contract")
    config.pluginmanager.register(TrailPlugin(), "trail")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Say how tests are spread over processes."""
    return Scheduling(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one process more than there are cores: some tests wait for what is stopped."""
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers the tests ran with: a skipped half should not pass for a whole."""
    terminalreporter.write_line(f"servers: {servers.report()}")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Have the collector see again what a command hid from it: it tells what was left unclosed."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[str]:
    """A database of this test process."""
    with servers.postgresql_database() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_database: str) -> str:
    """An empty schema in PostgreSQL."""
    return servers.postgresql_schema(postgresql_database)


@pytest.fixture
def unused_tcp_port() -> int:
    """A port where nobody listens; pytest-asyncio would return one that any client may get."""
    return free_port()


@pytest.fixture
def unused_tcp_port_factory() -> Callable[[], int]:
    """As many of them as are wanted."""
    return free_port


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database: each test runs on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def rabbitmq_hosts() -> Iterator[servers.VirtualHosts]:
    """Virtual hosts of this test process."""
    hosts = servers.VirtualHosts()
    yield hosts
    hosts.remove()


@pytest.fixture
def rabbitmq_url(rabbitmq_hosts: servers.VirtualHosts) -> Iterator[str]:
    """An empty virtual host of RabbitMQ."""
    url = rabbitmq_hosts.next()
    yield url
    rabbitmq_hosts.leave(url)


@pytest.fixture(scope="session")
def redis_database() -> Iterator[str]:
    """A numbered database of Redis that this test process has to itself."""
    with servers.redis_database() as url:
        yield url


@pytest.fixture
def redis_url(redis_database: str) -> str:
    """An empty Redis database."""
    return servers.emptied(redis_database)


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The embedded broker of this test process."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()


@pytest.fixture
def valkey(valkey_server: Valkey) -> Valkey:
    """The embedded broker, running and empty."""
    valkey_server.empty()
    return valkey_server


@pytest.fixture
def valkey_url(valkey: Valkey) -> str:
    """Where the embedded broker is."""
    return valkey.url


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """An empty broker: each test runs on the embedded one and on RabbitMQ."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite-valkey", "postgresql-rabbitmq"])
def stack(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A database and a broker as they are run together: for tests that start processes."""
    database, broker = request.param.split("-")
    return request.getfixturevalue(f"{database}_url"), request.getfixturevalue(f"{broker}_url")
