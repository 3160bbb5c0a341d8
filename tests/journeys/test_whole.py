"""The whole journey, in this process and through running suites."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from services.suite import SERVICES
from tests import servers
from tests.journeys.client import Client
from tests.journeys.person import Person
from tests.journeys.suite import PERIOD, SHORT_CODES, InProcess, Running
from tests.journeys.walk import walk
from tests.leftovers import none_left
from tests.suites import ROOT, RunningSuite, running_suite

ENV = {
    **SHORT_CODES,
    # All of them come from one address, and log in more often than one is meant to.
    "ACCOUNT_RATE_LIMITS": '{"login": "300/m/ip"}',
}


async def test_a_person_goes_all_the_way(suite: InProcess, client: Client) -> None:
    await walk(Person(suite=suite, client=client))


def test_people_go_all_the_way_through_the_embedded_suite(tmp_path: Path) -> None:
    with running_suite(tmp_path / "var", env=ENV) as running:
        _go_all_the_way(running)


def test_people_go_all_the_way_through_split_processes(tmp_path: Path) -> None:
    with running_suite(tmp_path / "var", split=True, env=ENV) as running:
        _go_all_the_way(running)


@pytest.mark.long
def test_people_go_all_the_way_with_the_servers_of_production(
    tmp_path: Path, postgresql_database: str, rabbitmq_url: str
) -> None:
    env = {
        **ENV,
        "BROKER_URL": rabbitmq_url,
        **{
            f"{service.upper()}_DATABASE_URL": servers.postgresql_schema(postgresql_database)
            for service in SERVICES
        },
    }
    with running_suite(tmp_path / "var", split=True, env=env) as running:
        _go_all_the_way(running)


def _go_all_the_way(running: RunningSuite) -> None:
    """Have both kinds of client walk, and the demonstration too, all at once."""
    demo = subprocess.Popen(
        [sys.executable, "examples/demo.py"],
        cwd=ROOT,
        env={**running.variables, "BASE_URL": running.base_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        asyncio.run(_walk_side_by_side(running.base_url))
        said, _ = demo.communicate(timeout=200)
    finally:
        demo.kill()
    assert demo.returncode == 0, said


async def _walk_side_by_side(base_url: str) -> None:
    async with Running(base_url=base_url, period=PERIOD) as suite, none_left():
        people = [Person(suite=suite, client=suite.client(kind)) for kind in ("app", "browser")]
        await asyncio.gather(*(walk(person) for person in people))


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_two_people_do_not_get_into_each_others_way(suite: InProcess, kind: str) -> None:
    people = [Person(suite=suite, client=suite.client(kind)) for _ in range(2)]
    for person in people:
        await person.sign_up()
        await person.reauthenticate()
        await person.turn_on_totp()
        await person.log_out()
        await person.log_in()
    ada, bob = people

    foreign = await ada.client.post("auth/2fa/authenticate", {"code": await bob.fresh_code()})
    own = await ada.client.post("auth/2fa/authenticate", {"code": await ada.fresh_code()})

    assert (foreign.status, foreign.codes) == (400, ["incorrect_code"])
    assert own.body["data"]["user"]["email"] == ada.email
