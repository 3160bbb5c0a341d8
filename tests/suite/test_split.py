"""Every service and every worker a process of its own, as in production."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from services.cli.environment import KEY_FILES
from services.suite import SERVICES
from tests.servers import postgresql_schema
from tests.suite.processes import processes
from tests.suites import PATIENCE, RunningSuite, is_up, running_suite, until

pytestmark = pytest.mark.long

OPS = {
    **{f"serve {name}": f"{name.upper()}_OPS_PORT" for name in SERVICES},
    **{f"worker {name}": f"{name.upper()}_WORKER_OPS_PORT" for name in SERVICES},
}


@pytest.fixture(scope="module")
def split_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """A split suite on what it brings along."""
    with running_suite(tmp_path_factory.mktemp("split") / "var", split=True) as running:
        yield running


def test_each_service_and_each_worker_is_a_process(split_suite: RunningSuite) -> None:
    assert set(processes(split_suite)) == {*OPS, "broker"}


@pytest.mark.parametrize("port", OPS.values())
def test_each_process_answers_operators_on_its_own_port(
    split_suite: RunningSuite, port: str
) -> None:
    url = split_suite.url(port)
    until(lambda: is_up(url), f"readiness of {url}")
    assert "countersign" in httpx.get(f"{url}/metrics", timeout=PATIENCE).text


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_is_handed_no_secret_of_another_service(
    split_suite: RunningSuite, service: str
) -> None:
    """A service that has been broken into cannot act as another, nor read its database."""
    strangers = [
        path for path in KEY_FILES.values() if path.split("/")[0] not in (service, "public")
    ]
    for kind in ("serve", "worker"):
        handed = processes(split_suite)[f"{kind} {service}"].environ()

        assert not [value for value in handed.values() if value.endswith(tuple(strangers))]
        assert [name for name in handed if name.endswith("_DATABASE_URL")] == [
            f"{service.upper()}_DATABASE_URL"
        ]


def test_it_ends_as_a_whole(split_suite: RunningSuite) -> None:
    everything = psutil.Process(split_suite.process.pid).children(recursive=True)

    assert split_suite.stop() == 0
    assert not [process for process in everything if process.is_running()]
    assert "Traceback" not in split_suite.output.text


def test_it_runs_on_postgresql_and_rabbitmq(
    tmp_path: Path, postgresql_database: str, rabbitmq_url: str
) -> None:
    schemas = {name: postgresql_schema(postgresql_database) for name in SERVICES}
    servers = {
        "BROKER_URL": rabbitmq_url,
        **{f"{name.upper()}_DATABASE_URL": url for name, url in schemas.items()},
    }

    with running_suite(tmp_path / "var", split=True, env=servers) as suite:
        assert set(processes(suite)) == set(OPS)
        httpx.post(
            f"{suite.base_url}/_allauth/app/v1/auth/signup",
            json={"email": "ada@example.com", "password": "correct horse battery staple"},
            timeout=PATIENCE,
        )
        assert suite.mailbox.wait_for("ada@example.com")
        assert until(
            lambda: re.search(r"mfa\.session\.\w+", suite.run("events").stdout), "an event"
        )
        assert not list((tmp_path / "var").glob("*.db"))
        for command in (("audit", "verify"), ("audit", "gaps"), ("bus", "check")):
            ended = suite.run(*command)
            assert ended.returncode == 0, ended.stdout
