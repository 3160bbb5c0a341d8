"""What processes have used: CPU to the nanosecond, and memory."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

CPUCLOCK_SCHED = 2  # of clock_gettime: all threads of a process, those that have ended too


def descend(root: int) -> list[psutil.Process]:
    """Return the process `root` and all that descend from it, as far as they live."""
    try:
        parent = psutil.Process(root)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu(process: psutil.Process) -> float:
    """Return the seconds that a process, and those of its children that have ended, have run."""
    try:
        # What the C library's clock_getcpuclockid makes of a process id, on Linux.
        own = time.clock_gettime((~process.pid << 3) | CPUCLOCK_SCHED)
        times = process.cpu_times()
    except (OSError, psutil.NoSuchProcess):
        return 0.0
    return own + times.children_user + times.children_system


def memory(process: psutil.Process) -> float:
    """Return a process's share of the memory in MiB: shared pages count in part (PSS)."""
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (OSError, psutil.NoSuchProcess):
        return 0.0
    shares = [line.split() for line in rollup.splitlines()]
    return next(int(words[1]) / 1024 for words in shares if words and words[0] == "Pss:")


def ports_of(process: psutil.Process) -> Iterator[int]:
    """Yield the ports at this end of the process's connections."""
    try:
        for connection in process.net_connections("tcp"):
            yield connection.laddr.port
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return
