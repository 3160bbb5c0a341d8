"""Runs a command as if nothing else had been set."""

import os
import subprocess
import sys
from contextvars import copy_context
from unittest.mock import patch

from click.testing import CliRunner, Result

from services.cli import countersign
from tests.suites import PATIENCE, ROOT


def run(*command: str, **variables: str) -> Result:
    """Run a command in this process, with `variables` for its whole environment.

    Whom it acts for is forgotten afterwards, as where the process ends with it.
    """
    with patch.dict(os.environ, variables, clear=True):
        return copy_context().run(CliRunner().invoke, countersign, command)


def run_apart(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that starts processes, in one of its own."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *command],
        env={"PATH": os.environ["PATH"], **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
