"""The walk-through says at once where it cannot work; that it works is shown by the journeys."""

import os
import subprocess
import sys
from pathlib import Path

from tests.suites import PATIENCE, ROOT


def test_it_says_at_once_that_it_cannot_read_the_audit_trail(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert ended.returncode == 1
    assert f"the suite in {tmp_path} cannot be read" in ended.stdout
    assert "set VAR_DIR to its folder" in ended.stdout
    assert "Sign up" not in ended.stdout
    assert "Traceback" not in ended.stderr
