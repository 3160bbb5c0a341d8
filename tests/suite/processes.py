"""The processes of a running suite, by what they do."""

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


def _name(process: psutil.Process) -> str:
    try:
        line = process.cmdline()
    except psutil.NoSuchProcess:
        return ""
    if any("valkey" in part for part in line):
        return "broker"
    return " ".join(line[line.index("services.cli") + 1 :]) if "services.cli" in line else ""
