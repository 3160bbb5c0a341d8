"""One command runs everything, in two processes and a broker, and nothing is lost when they die."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.suite import FACTORS, SERVICES
from shared.bus.wire import SOURCE_PREFIX
from tests.suite.processes import processes, successor
from tests.suites import PATIENCE, RunningSuite, is_up, running_suite, start_suite, until

WEB, WORKER = (f"{command} {' '.join(SERVICES)}" for command in ("serve", "worker"))
SESSION, SIGNED_UP = f"{SOURCE_PREFIX}session", "mfa.session.signed_up"
OVERDUE = "graceful shutdown exceeded"  # what uvicorn says of a request that does not end by itself
PERSON = {"email": "ada@example.com", "password": "correct horse battery staple"}


@pytest.fixture(scope="module")
def own_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """A suite for these tests alone: they kill parts of it."""
    with running_suite(tmp_path_factory.mktemp("embedded") / "var") as running:
        yield running


def sign_up(suite: RunningSuite, email: str) -> httpx.Response:
    return httpx.post(
        f"{suite.base_url}/_allauth/app/v1/auth/signup",
        json=PERSON | {"email": email},
        timeout=PATIENCE,
    )


def test_it_is_one_process_for_requests_and_one_for_work(own_suite: RunningSuite) -> None:
    assert set(processes(own_suite)) == {WEB, WORKER, "broker"}


def test_both_processes_say_that_they_are_ready(own_suite: RunningSuite) -> None:
    for port in ("SESSION_OPS_PORT", "SESSION_WORKER_OPS_PORT"):
        url = own_suite.url(port)
        until(lambda url=url: is_up(url), url)  # type: ignore[misc]


@pytest.mark.parametrize("factor", FACTORS)
def test_the_factors_are_on_no_port(own_suite: RunningSuite, factor: str) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(own_suite.url(f"{factor.upper()}_PORT"))


@pytest.mark.parametrize("factor", FACTORS)
def test_session_reaches_the_factors_all_the_same(own_suite: RunningSuite, factor: str) -> None:
    url = f"{own_suite.url('SESSION_OPS_PORT')}/readyz"

    def reached() -> bool:
        checks = httpx.get(url, timeout=PATIENCE).json()["checks"]
        return bool(checks[f"session_{factor}"]["ok"])

    until(reached, f"{factor} at {url}")  # within two seconds, or it is asked again


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/metrics", "/healthz", "/readyz"])
def test_what_operators_see_is_not_on_the_public_port(own_suite: RunningSuite, path: str) -> None:
    """D6: documentation, metrics and health are on a port of their own."""
    assert httpx.get(f"{own_suite.base_url}{path}", timeout=PATIENCE).status_code == 404


def test_a_second_start_on_the_same_folder_says_so(own_suite: RunningSuite) -> None:
    second = start_suite(own_suite.var_dir)

    assert second.process.wait(PATIENCE) == 1
    second.output.wait_for(f"already runs on {own_suite.var_dir}")
    second.output.wait_for(f"process {own_suite.process.pid}")
    until(lambda: is_up(own_suite.url("SESSION_OPS_PORT")), "the first, as before")


def test_what_is_done_reaches_the_ledger_and_the_inbox(own_suite: RunningSuite) -> None:
    assert sign_up(own_suite, "events@example.com").status_code == 401

    assert own_suite.mailbox.wait_for("events@example.com")
    told = until(lambda: _told(own_suite, "mfa.session."), "an event of session")
    assert "mfa.session." in told
    assert "events@example.com" in own_suite.run("mail", "--last", "100").stdout


@pytest.mark.parametrize(
    ("name", "port"),
    [(WEB, "SESSION_OPS_PORT"), (WORKER, "SESSION_WORKER_OPS_PORT"), ("broker", "")],
)
def test_a_part_that_is_killed_comes_back(own_suite: RunningSuite, name: str, port: str) -> None:
    before, so_far = processes(own_suite)[name], own_suite.output.position

    before.kill()

    successor(own_suite, name, before)
    own_suite.output.wait_for("ended (SIGKILL)", after=so_far)
    if port:
        until(lambda: is_up(own_suite.url(port)), f"readiness of {name}")


def test_events_arrive_once_though_what_carries_them_is_killed(own_suite: RunningSuite) -> None:
    """D5: losing the broker or a worker loses no event."""
    requests = []
    with own_suite.follow() as ledger:
        for name in ("broker", WORKER):
            requests += [sign_up(own_suite, f"{n}-{name[:6]}@example.com") for n in range(3)]
            processes(own_suite)[name].kill()  # with some of their events on the way
            requests += [sign_up(own_suite, f"{n}-{name[:6]}@example.com") for n in range(3, 6)]
        ids = [request.headers["X-Request-ID"] for request in requests]
        for request_id in ids:
            ledger.wait_for(request_id)
        events = [json.loads(line) for line in ledger.text.splitlines()]

    assert [asked_by(events, request_id) for request_id in ids] == [[SIGNED_UP]] * len(ids)
    numbers = [int(event["sequence"]) for event in events if event["source"] == SESSION]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_doctor_finds_nothing_wrong_with_it(own_suite: RunningSuite) -> None:
    examined = own_suite.run("doctor")

    assert (examined.returncode, examined.stdout.count("\n")) == (0, 1), examined.stdout


@pytest.mark.long
def test_killed_and_started_again_it_goes_on_where_it_was(tmp_path: Path) -> None:
    with running_suite(tmp_path / "any folder") as first:
        sign_up(first, "ada@example.com")
        first.mailbox.wait_for("ada@example.com")
        left_behind = list(processes(first).values())
        broker = processes(first)["broker"]
        first.kill()

    # The second mail to one address would come too soon after the first.
    env = {**first.variables, "ACCOUNT_RATE_LIMITS": '{"confirm_email": null}'}
    with running_suite(tmp_path / "any folder", env=env) as second:
        assert not [process for process in left_behind if process.is_running()]
        assert not broker.is_running()
        assert second.mailbox.messages("ada@example.com")
        # The address is taken: this goes to the same account.
        assert sign_up(second, "ada@example.com").status_code == 401
        assert second.mailbox.wait_for("ada@example.com", 2)

        everything = psutil.Process(second.process.pid).children(recursive=True)
        assert second.stop() == 0

    assert not [process for process in everything if process.is_running()]
    assert "Traceback" not in second.output.text


@pytest.mark.long
def test_whoever_follows_the_ledger_does_not_hold_up_its_end(tmp_path: Path) -> None:
    with running_suite(tmp_path / "var") as suite, suite.follow() as ledger:
        sign_up(suite, "ada@example.com")
        ledger.wait_for("mfa.session.")  # so it waits for the next one

        assert suite.stop() == 0

    assert OVERDUE not in suite.output.text
    assert "Traceback" not in suite.output.text


@pytest.mark.long
@pytest.mark.parametrize("while_it_makes", ["lock", "keys/public/events.json", "session.db"])
def test_ctrl_c_ends_it_cleanly_while_it_starts(tmp_path: Path, while_it_makes: str) -> None:
    starting = start_suite(tmp_path / "var")
    until((tmp_path / "var" / while_it_makes).exists, while_it_makes)

    starting.process.send_signal(signal.SIGINT)

    assert starting.process.wait(PATIENCE) == 0
    starting.output.wait_for("Countersign has ended.")
    assert "Traceback" not in starting.output.text


def asked_by(events: list[dict[str, Any]], request_id: str) -> list[str]:
    """Return the types of what a request has left in the ledger."""
    return [
        event["type"] for event in events if event["data"]["context"]["request_id"] == request_id
    ]


def _told(suite: RunningSuite, words: str) -> str:
    printed = suite.run("events").stdout
    return printed if words in printed else ""
