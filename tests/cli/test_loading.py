"""What a command loads is not searched for garbage; what it makes from then on is."""

import gc
import subprocess
import sys

import pytest

from services.cli.loading import loading

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
