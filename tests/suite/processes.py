"""The processes of a running suite, by what they do."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psutil

from tests.suites import RunningSuite, until


def processes(suite: RunningSuite) -> dict[str, psutil.Process]:
    """Return the suite's processes by name: `serve session`, `worker totp`, `broker` …"""
    children = psutil.Process(suite.process.pid).children()
    return {name: child for child in children if (name := _name(child))}


def successor(suite: RunningSuite, name: str, before: psutil.Process) -> psutil.Process:
    """Wait until another process does what `before` did, and return it."""

    def look() -> psutil.Process | None:
        found = processes(suite).get(name)
        return found if found is not None and found != before else None

    process = until(look, f"a successor of {name}")
    assert process is not None
    return process


def suspend_at_rest(suite: RunningSuite, process: psutil.Process) -> None:
    """Have a process stand still where it holds up nobody: in no write to an embedded database."""

    def stand_still() -> bool:
        process.suspend()
        if all(map(_may_be_written, suite.var_dir.glob("*.db"))):
            return True
        process.resume()
        return False

    until(stand_still, f"a rest of {process.pid}")


def _may_be_written(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


def _name(process: psutil.Process) -> str:
    try:
        line = process.cmdline()
    except psutil.NoSuchProcess:
        return ""
    if any("valkey" in part for part in line):
        return "broker"
    return " ".join(line[line.index("services.cli") + 1 :]) if "services.cli" in line else ""
