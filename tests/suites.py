"""Runs the suite as a person would, by `countersign up`, on ports and in a folder of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import IO, TypeVar

import httpx

from services.cli.environment import SETTINGS
from services.session.gateway.postbox import Inbox
from tests.hashing import QUICK
from tests.ports import free_port

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
DEVELOPMENT = ROOT / "deploy" / "development.env"

PATIENCE = 240.0  # seconds for a suite to be up or down on the busiest machine
POLL = 0.02  # seconds


class Output:
    """What a process prints, line by line, to be waited for."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    @property
    def text(self) -> str:
        """Everything so far."""
        with self._news:
            return "".join(self._lines)

    @property
    def position(self) -> int:
        """How many lines there are so far."""
        with self._news:
            return len(self._lines)

    def wait_for(self, words: str, seconds: float = PATIENCE, *, after: int = 0) -> None:
        """Return once `words` have been printed; fail if the output ends without, or is late.

        `after` is the position behind which they count.
        """
        with self._news:
            self._news.wait_for(lambda: self._ended or self._has(words, after), timeout=seconds)
            assert self._has(words, after), f"{words!r} was not printed:\n{''.join(self._lines)}"

    def _has(self, words: str, after: int) -> bool:
        return any(words in line for line in self._lines[after:])

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@dataclass(frozen=True)
class Mailbox:
    """The development inbox of a suite."""

    directory: Path

    def messages(self, to: str | None = None) -> list[EmailMessage]:
        """Return the mails so far, or those to one address, oldest first."""
        found = reversed(Inbox(self.directory).messages(1000))
        return [message for message in found if to is None or message["To"] == to]

    def wait_for(self, to: str, number: int = 1) -> EmailMessage:
        """Return the `number`th mail to an address, as soon as it is there."""
        return until(lambda: self.messages(to)[number - 1 :][:1], f"mail {number} to {to}")[0]


@dataclass(frozen=True)
class RunningSuite:
    """A suite that is up, or was: `variables` is what it was told."""

    process: subprocess.Popen[str]
    output: Output
    variables: Mapping[str, str] = field(repr=False)

    @property
    def var_dir(self) -> Path:
        """Its folder."""
        return Path(self.variables["VAR_DIR"])

    @property
    def base_url(self) -> str:
        """Where people reach it."""
        return f"http://localhost:{self.variables['PORT']}"

    @property
    def audit_url(self) -> str:
        """Where the ledger is read."""
        return self.url("AUDIT_PORT")

    @property
    def mailbox(self) -> Mailbox:
        """What it mails."""
        return Mailbox(self.var_dir / "inbox")

    def url(self, port: str) -> str:
        """Return the address of an inner port, by the setting that names it."""
        return f"http://127.0.0.1:{self.variables[port]}"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run another `countersign` command on the same folder."""
        return subprocess.run(
            [sys.executable, "-m", "services.cli", *command],
            env=self.variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    @contextmanager
    def follow(self) -> Iterator[Output]:
        """Follow the ledger, each event as a line of JSON, until the end of the block."""
        follower = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "events", "--follow", "--json"],
            env=self.variables,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert follower.stdout is not None
        try:
            yield Output(follower.stdout)
        finally:
            follower.kill()
            follower.wait()

    def kill(self) -> None:
        """Kill the supervisor, and nothing else, without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """End it as a service manager would, and return its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)


@contextmanager
def running_suite(
    var: Path, *, split: bool = False, env: Mapping[str, str] | None = None
) -> Iterator[RunningSuite]:
    """Start a suite on the folder `var` and yield it when it is ready; end it afterwards.

    `env` is what it is told beyond `deploy/development.env`, its folder, and free ports.
    """
    suite = start_suite(var, split=split, env=env)
    try:
        suite.output.wait_for("Countersign is up")
        yield suite
    finally:
        if suite.process.poll() is None:
            suite.stop()


def start_suite(
    var: Path, *, split: bool = False, env: Mapping[str, str] | None = None
) -> RunningSuite:
    """Start a suite and return at once; the caller ends it."""
    variables = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "VAR_DIR": str(var),
        "DATABASE_CONNECTIONS": "3",  # many suites share one server
        **{name.upper(): str(value) for name, value in QUICK.items()},
        **free_ports(),
        **(env or {}),
    }
    arguments = ["up", "--env-file", str(DEVELOPMENT), *(["--split"] if split else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", *arguments],
        env=variables,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    return RunningSuite(process, Output(process.stdout), variables)


def free_ports() -> dict[str, str]:
    """Return a free port for every setting that names one."""
    names = [setting.name for setting in SETTINGS if setting.name.endswith("PORT")]
    return {name: str(free_port()) for name in names if name != "BROKER_PORT"}


def until(found: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Return what `found` returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(POLL)
    return result


def is_up(url: str) -> bool:
    """Return whether a process says that it is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=PATIENCE).is_success
    except httpx.TransportError:
        return False
