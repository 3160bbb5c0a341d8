"""What a command loads is not searched for garbage, and is there before it may start."""

import gc
import os
import subprocess
import sys
import threading

import pytest

from services.cli.loading import START_FD, loading, wait_for_start

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


def test_what_is_loaded_is_left_to_itself() -> None:
    # A process of its own: what is frozen stays so.
    subprocess.run((sys.executable, "-c", LOADED), check=True)


def test_what_fails_to_load_leaves_the_collector_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)

    with pytest.raises(ImportError), loading():
        raise ImportError

    assert gc.isenabled()


def test_what_is_held_waits_until_the_other_end_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, go = os.pipe()
    monkeypatch.setenv(START_FD, str(held))
    waiting = threading.Thread(target=wait_for_start)
    waiting.start()
    waiting.join(0.1)
    was_held = waiting.is_alive()

    os.close(go)
    waiting.join(10)

    assert was_held
    assert not waiting.is_alive()
    wait_for_start()  # who is started again is not held
    os.close(held)


def test_without_a_supervisor_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(START_FD, raising=False)

    wait_for_start()
