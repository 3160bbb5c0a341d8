"""What a command loads is not searched for garbage, and is there before it may start."""

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cli.failing import EX_CONFIG
from services.cli.loading import loading, wait_for_start
from shared.inherited import START_FD
from tests.cli.running import run
from tests.suites import PATIENCE, ROOT, until

LOADED = """
import gc
from services.cli.loading import loading
with loading():
    with loading():
        assert not gc.isenabled()
    assert not gc.isenabled()
    lasting = [[] for _ in range(100_000)]
assert gc.isenabled()
assert gc.get_freeze_count() >= 100_000
"""

WATCHED = """
import faulthandler, signal, sys
from services.cli import main
stacks = open(sys.argv.pop(1), "w")
faulthandler.register(signal.SIGUSR1, file=stacks)
print("to be asked", file=stacks, flush=True)
main()
"""
"""`countersign`, which writes where it is into the file of its first argument on SIGUSR1."""

STARTING = """
from services.cli.loading import wait_for_start
print("here", flush=True)
wait_for_start()
print("started")
"""

LOADED_BY_DECLARE = """
import sys
import click
from services.cli import countersign
context = click.Context(countersign)
bus = countersign.get_command(context, "bus")
assert bus.get_command(context, "declare").name == "declare"
print(*{"fastapi", "aiohttp", "celery"} & sys.modules.keys())
"""


def test_what_is_loaded_is_left_to_itself() -> None:
    # A process of its own: what is frozen stays so.
    subprocess.run((sys.executable, "-c", LOADED), check=True)


def test_what_fails_to_load_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError

    assert gc.isenabled()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """What holds those who start with this environment: the reading and the writing end."""
    held, go = os.pipe()
    monkeypatch.setenv(START_FD, str(held))
    with os.fdopen(held), os.fdopen(go, "w"):
        yield held, go


def test_what_is_held_waits_until_it_is_told(pipe: tuple[int, int]) -> None:
    waiting = threading.Thread(target=wait_for_start, daemon=True)
    waiting.start()
    waiting.join(0.1)
    was_held = waiting.is_alive()

    os.write(pipe[1], b"x")
    waiting.join(PATIENCE)

    assert was_held
    assert not waiting.is_alive()
    wait_for_start()  # who is started again is not held


def test_what_is_held_ends_with_a_supervisor_that_is_killed(pipe: tuple[int, int]) -> None:
    held, go = pipe
    supervisor = subprocess.Popen(
        (sys.executable, "-c", "import signal; signal.pause()"), pass_fds=[go]
    )
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), go)  # from here on, only the supervisor has the pipe's end
    with subprocess.Popen(
        (sys.executable, "-c", STARTING),
        pass_fds=[held],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"

        supervisor.kill()

        assert child.communicate(timeout=PATIENCE)[0] == ""
    assert child.returncode == 0
    supervisor.wait()


@contextmanager
def watched(
    stacks: Path, *command: str, held: int, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command that is held by a pipe, and yield it when it can be asked where it is."""
    with subprocess.Popen(
        (sys.executable, "-c", WATCHED, stacks, *command),
        env={"PATH": os.environ["PATH"], START_FD: str(held), **variables},
        pass_fds=[held],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            until(lambda: stacks.exists() and stacks.read_text(), "the command")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_process_says_what_is_wrong_with_its_settings_when_it_may_start(
    tmp_path: Path, pipe: tuple[int, int], command: str
) -> None:
    held, go = pipe
    stacks = tmp_path / "stacks"
    with watched(
        stacks, command, "totp", held=held, VAR_DIR=str(tmp_path), TOTP_OPS_PORT="none"
    ) as process:

        def waits() -> bool:
            assert process.poll() is None, process.communicate()
            process.send_signal(signal.SIGUSR1)
            return "in wait_for_start" in stacks.read_text()

        until(waits, "the wait")
        os.write(go, b"x")
        said, complained = process.communicate(timeout=PATIENCE)

    assert process.returncode == EX_CONFIG
    assert said == ""
    assert complained.startswith("Error: cannot work with these settings:")


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 20])
def test_what_is_no_descriptor_is_refused(tmp_path: Path, command: str, number: str) -> None:
    ended = run(command, "totp", VAR_DIR=str(tmp_path), **{START_FD: number})

    assert ended.exit_code == EX_CONFIG
    assert f"{START_FD} must be the number of a file descriptor." in ended.stderr


def test_whose_supervisor_is_not_there_does_not_start(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    closed = os.dup(pipe[0])
    os.close(closed)
    monkeypatch.setenv(START_FD, str(closed))

    with pytest.raises(SystemExit):
        wait_for_start()


def test_without_a_supervisor_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(START_FD, raising=False)

    wait_for_start()


def test_who_declares_queues_does_not_load_what_serves_or_works() -> None:
    loaded = subprocess.run(
        (sys.executable, "-c", LOADED_BY_DECLARE),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert loaded.stdout == "\n"
