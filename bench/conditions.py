"""Where, when and with what is measured."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.cluster import program


def conditions(packages: Iterable[str], rounds: str) -> dict[str, str]:
    """Return what readers of figures have to know, by name, with the versions of `packages`.

    `rounds` says how often what is measured; the load is that of before.
    """
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    postgres = subprocess.run(
        (program("postgres"), "--version"), capture_output=True, text=True, check=True
    )
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores of {processor[1] if processor else platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.1f} processes that wanted to run",
        "Python": platform.python_version(),
        "PostgreSQL": postgres.stdout.strip().partition(") ")[2].partition(" ")[0],
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "rounds": rounds,
    }
