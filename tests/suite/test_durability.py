"""What was answered is kept, whoever else opens the databases and however the suite dies."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from services.session.gateway.postbox import text_of
from services.suite import SERVICES
from tests.suite.processes import processes, successor
from tests.suites import RunningSuite, is_up, running_suite, until

PASSWORD = "correct horse battery staple"
PARTS = {
    f"serve {' '.join(SERVICES)}": "SESSION_OPS_PORT",
    f"worker {' '.join(SERVICES)}": "SESSION_WORKER_OPS_PORT",
}
BESIDE = (("doctor",), ("migrate",))
"""Commands that open every database, and close it again."""


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[RunningSuite]:
    """A suite that nobody else opens."""
    with running_suite(tmp_path / "var") as running:
        yield running


@pytest.mark.long
def test_accounts_outlive_commands_beside_the_suite_and_its_death(suite: RunningSuite) -> None:
    """D5: what a request was told is done stays done, and its mail is sent."""
    tokens = {}
    for moment in ("before", "after"):
        tokens[moment] = sign_up(suite, moment)
        with ThreadPoolExecutor() as pool:
            ran = list(pool.map(lambda command: suite.run(*command), BESIDE))
        assert [(done.returncode, done.stderr) for done in ran] == [(0, "")] * len(ran)
    tokens["last"] = sign_up(suite, "last")

    kill_and_await(suite)

    for moment, token in tokens.items():
        verified = call(suite, "auth/email/verify", {"key": mailed_code(suite, moment)}, token)
        assert verified.status_code == 200, verified.text
        logged_in = call(suite, "auth/login", credentials(moment))
        assert logged_in.status_code == 200, logged_in.text


def kill_and_await(suite: RunningSuite) -> None:
    """Kill web and worker with -9, both at once, and return when others are in their place."""
    before = {name: processes(suite)[name] for name in PARTS}
    for process in before.values():
        process.kill()
    for name, port in PARTS.items():
        successor(suite, name, before[name])
        until(lambda port=port: is_up(suite.url(port)), f"readiness of {name}")  # type: ignore[misc]


def sign_up(suite: RunningSuite, name: str) -> str:
    """Sign up, and return the token of the pending session."""
    pending = call(suite, "auth/signup", credentials(name))
    assert pending.status_code == 401, pending.text
    token: str = pending.json()["meta"]["session_token"]
    return token


def mailed_code(suite: RunningSuite, name: str) -> str:
    """Return the code that was mailed for a sign-up."""
    text = text_of(suite.mailbox.wait_for(credentials(name)["email"]))
    found = re.search(r"(?m)^[A-Z]{4}-[A-Z]{4}$", text)
    assert found, text
    return found.group()


def credentials(name: str) -> dict[str, str]:
    """Return what somebody signs up and logs in with."""
    return {"email": f"{name}@example.com", "password": PASSWORD}


def call(suite: RunningSuite, path: str, body: dict[str, str], token: str = "") -> httpx.Response:
    """Ask as an app does."""
    headers = {"X-Session-Token": token} if token else {}
    url = f"{suite.base_url}/_allauth/app/v1/{path}"
    return httpx.post(url, json=body, headers=headers, timeout=120)
