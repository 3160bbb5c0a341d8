"""A suite that runs has a ledger that proves itself, which operators ask by `countersign audit`."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from services.audit.domain.checkpoint import notes_in
from tests.audit import independent
from tests.suites import ROOT, Output, RunningSuite, running_suite, until

pytestmark = pytest.mark.long

PERSON = {"email": "ada@example.com", "password": "correct horse battery staple"}


@dataclass(frozen=True)
class Witness:
    """Somebody else's server, to which checkpoints are posted."""

    url: str
    notes: list[str]


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    """A server that keeps what it is sent, but for the first, at which it is out of order."""
    notes: list[str] = []
    refused: list[str] = []

    class Keeping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            note = self.rfile.read(int(self.headers["Content-Length"])).decode()
            (notes if refused else refused).append(note)
            self.send_response(201 if notes else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Keeping) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Witness(f"http://127.0.0.1:{server.server_port}/log", notes)
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, witness: Witness) -> Iterator[RunningSuite]:
    """A suite in which somebody has signed up, and whose ledger was signed after that."""
    env = {"AUDIT_CHECKPOINT_INTERVAL": "1s", "AUDIT_CHECKPOINT_URL": witness.url}
    with running_suite(tmp_path_factory.mktemp("audit") / "var", env=env) as running:
        httpx.post(f"{running.base_url}/_allauth/app/v1/auth/signup", json=PERSON, timeout=120)
        until(lambda: events(running), "an event")
        until(lambda: checkpoints(running), "a checkpoint")
        yield running


def events(suite: RunningSuite, *options: str) -> list[str]:
    """Return the lines that the command prints."""
    return suite.run("events", *options).stdout.splitlines()


def checkpoints(suite: RunningSuite) -> list[str]:
    """Return what was written to the second place."""
    path = suite.var_dir / "checkpoints"
    return list(notes_in(path.read_text())) if path.exists() else []


def test_its_ledger_is_as_it_was_signed(suite: RunningSuite) -> None:
    ended = suite.run("audit", "verify")

    assert ended.returncode == 0, ended.stdout
    assert "entries are as they were signed" in ended.stdout
    assert "No checkpoint from elsewhere" not in ended.stdout


def test_its_checkpoints_are_believed_by_others(suite: RunningSuite) -> None:
    key = suite.run("audit", "key").stdout.strip()

    found = independent.opened(checkpoints(suite)[0], key)

    assert found is not None
    assert found[1] >= 1
    assert independent.opened(suite.run("audit", "checkpoint").stdout, key) is not None


def test_its_checkpoints_are_posted_to_a_witness_too(suite: RunningSuite, witness: Witness) -> None:
    """What the witness has not taken at first it gets again; all of it is as in the file."""
    key = suite.run("audit", "key").stdout.strip()

    note = until(lambda: witness.notes[:1], "a checkpoint at the witness")[0]

    assert note == checkpoints(suite)[0]
    assert independent.opened(note, key) is not None


def test_an_entry_is_proved(suite: RunningSuite) -> None:
    proof = json.loads(suite.run("audit", "proof", "1").stdout)

    assert (proof["entry"], proof["index"]) == (1, 0)
    assert suite.run("audit", "proof", "999999").returncode == 1


def test_an_export_is_verified_without_the_suite(suite: RunningSuite, tmp_path: Path) -> None:
    file, key = tmp_path / "ledger.jsonl", suite.run("audit", "key").stdout.strip()
    ended = suite.run("audit", "export", "--format", "ledger", "--output", str(file))
    assert ended.returncode == 0, ended.stderr

    good = suite.run("audit", "verify", "--export", str(file), "--key", key)
    file.write_text(file.read_text().replace("mfa.session.signed_up", "mfa.session.logged_in"))
    bad = suite.run("audit", "verify", "--export", str(file), "--key", key)

    assert good.returncode == 0, good.stdout
    assert bad.returncode == 1
    assert "is altered" in bad.stdout


def test_events_are_exported(suite: RunningSuite) -> None:
    lines = suite.run("audit", "export").stdout.splitlines()
    table = suite.run("audit", "export", "--format", "csv").stdout

    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert {json.loads(line)["event"]["type"] for line in lines} == {row["type"] for row in rows}
    assert "mfa.session.signed_up" in {row["type"] for row in rows}


def test_nothing_is_missing(suite: RunningSuite) -> None:
    ended = suite.run("audit", "gaps")

    assert ended.returncode == 0, ended.stdout
    assert "session" in ended.stdout
    assert "missing: none" in ended.stdout


def test_events_are_found_by_what_is_wanted(suite: RunningSuite) -> None:
    wanted = events(suite, "--type", "mfa.session.signed_*", "--outcome", "success", "--json")

    assert [json.loads(line)["type"] for line in wanted] == ["mfa.session.signed_up"]
    assert events(suite, "--since", "2999-01-01T00:00Z") == []
    assert suite.run("events", "--since", "yesterday").returncode == 1


def test_what_goes_into_a_file_has_no_colours(suite: RunningSuite) -> None:
    assert "\x1b" not in suite.run("events").stdout


@pytest.mark.parametrize("colours", [True, False])
def test_whoever_follows_on_a_terminal_sees_a_coloured_line_an_event(
    suite: RunningSuite, colours: bool
) -> None:
    with terminal(suite, "events", "--follow", **({} if colours else {"NO_COLOR": "1"})) as output:
        output.wait_for("mfa.session.signed_up")
        position = output.position
        wrong = {**PERSON, "password": "wrong"}
        httpx.post(f"{suite.base_url}/_allauth/app/v1/auth/login", json=wrong, timeout=120)
        output.wait_for("mfa.session.login_failed", after=position)

    failed = [line for line in output.text.splitlines() if "login_failed" in line][-1]
    signed_up = next(line for line in output.text.splitlines() if "signed_up" in line)
    assert ("\x1b[31mmfa.session.login_failed" in failed) is colours
    assert ("\x1b[32mmfa.session.signed_up" in signed_up) is colours
    assert ("\x1b" in output.text) is colours


@contextmanager
def terminal(suite: RunningSuite, *command: str, **variables: str) -> Iterator[Output]:
    """Run a command on the suite's folder in a terminal; yields what it prints."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", *command],
        env={**suite.variables, **variables},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
    )
    os.close(theirs)
    try:
        yield Output(Terminal(ours))
    finally:
        process.kill()
        process.wait()


class Terminal(io.TextIOWrapper):
    """What is written to a terminal, which ends with an error when the last writer has gone."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(os.fdopen(descriptor, "rb"), encoding="utf-8")

    def __next__(self) -> str:  # type: ignore[override]  # as its superclass has it
        """Return the next line."""
        try:
            return super().__next__()
        except OSError:
            raise StopIteration from None


def test_who_is_forgotten_cannot_be_read_any_more(suite: RunningSuite) -> None:
    """The last of these tests: it lets go of the only person there is."""
    (event,) = [
        found
        for line in events(suite, "--json", "--type", "mfa.session.signed_up")
        if (found := json.loads(line))
    ]
    assert event["data"]["context"]["address"] == "127.0.0.1"

    ended = suite.run("audit", "forget", event["subject"], "--yes")

    assert ended.returncode == 0, ended.stderr
    (after,) = map(json.loads, events(suite, "--json", "--type", "mfa.session.signed_up"))
    assert "address" not in after["data"]["context"]
    (line,) = events(suite, "--type", "mfa.session.signed_up")
    assert line.endswith("(redacted)")
    until(lambda: events(suite, "--type", "mfa.audit.person_forgotten"), "the record of it")
    assert suite.run("audit", "verify").returncode == 0
