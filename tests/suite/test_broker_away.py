"""While the broker is away people log in as ever, and what they did is in the ledger afterwards."""

import asyncio
import re
import time
from pathlib import Path

import httpx
import pytest

from tests.journeys.person import Person
from tests.journeys.suite import Running
from tests.suites import PATIENCE, RunningSuite, running_suite, until
from tests.trail.valkey import Valkey

BACKLOG = re.compile(r'^countersign_outbox_backlog\{source="session"\} (\d+)', re.MULTILINE)
LOGINS = 5


async def log_in(suite: RunningSuite) -> float:
    """Have somebody sign up and log in a few times; return how long the quickest took.

    Others may have waited for whatever else the machine does; a broker holds up every one.
    """
    async with Running(base_url=suite.base_url) as running:
        person = Person(suite=running, client=running.client("app"))
        await person.sign_up()
        seconds = []
        for _ in range(LOGINS):
            await person.log_out()
            started = time.perf_counter()
            answer = await person.log_in()
            seconds.append(time.perf_counter() - started)
            assert answer.status == 200
    return min(seconds)


def backlog(suite: RunningSuite) -> int:
    """Return how many events wait, as the worker's metrics say."""
    text = httpx.get(f"{suite.url('SESSION_WORKER_OPS_PORT')}/metrics", timeout=PATIENCE).text
    found = BACKLOG.search(text)
    return int(found[1]) if found else 0


@pytest.mark.long
def test_a_broker_that_is_away_is_nobodys_business_but_the_operators(tmp_path: Path) -> None:
    """D5: killed with -9 and left so: logins go on, an alarm shows it, nothing is lost."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    valkey = Valkey(folder)
    with running_suite(tmp_path / "var", env={"BROKER_URL": valkey.url}) as suite:
        with_broker = asyncio.run(log_in(suite))
        until(lambda: backlog(suite) == 0, "what was before")
        valkey.kill()
        without = asyncio.run(log_in(suite))
        assert without < 3 * with_broker + 0.5
        until(lambda: backlog(suite) > 2 * LOGINS, "the alarm")
        valkey.start()
        until(lambda: backlog(suite) == 0, "the end of the backlog")
        told = until(lambda: all_of(suite), "all of them in the ledger")
    valkey.kill()
    assert told.count("mfa.session.signed_up") == 2


def all_of(suite: RunningSuite) -> str:
    """Return what the ledger has, once every login is in it: two by sign-up, the rest by hand."""
    told = suite.run("events").stdout
    return told if told.count("mfa.session.logged_in") == 2 * LOGINS + 2 else ""
