"""Ports for what tests start: nobody else is given them meanwhile, and no connection takes them."""

import fcntl
import os
import socket
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import gettempdir

import pytest

# Below what the system hands out by itself, to servers that do not care and to every client.
FIRST, RANGES, LENGTH = 16000, 30, 500

_next = count()


def free_port() -> int:
    """Return a port where nobody listens; it is this process's until hundreds more were asked for.

    Whatever is started there has all the time that it takes, and may be killed and started again.
    """
    first = _first()
    while True:
        port = first + next(_next) % LENGTH
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


@cache
def _first() -> int:
    """Return where a range of ports begins that no other process of ours has, for as long as it is.

    Each process that runs tests has one, of whichever run; the lock goes with the process.
    """
    for number in range(RANGES):
        path = Path(gettempdir(), f"countersign_test_ports_{number}.lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return FIRST + number * LENGTH
    pytest.fail("every range of ports is taken")
