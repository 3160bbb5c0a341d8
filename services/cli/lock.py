"""Lock files: held by whoever has them open, and by the processes that inherited them.

The system lets go of a lock when the last of its holders is gone, however they ended; so a lock is
never left behind.
"""

import fcntl
import os
import time
from pathlib import Path

POLL = 0.02  # seconds


def open_lock(path: Path) -> int:
    """Open a lock file, making it if need be, and return its descriptor; it is not taken yet."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def take(lock: int, seconds: float = 0) -> bool:
    """Take the lock, waiting so long for others to let go of it; False if they do not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL)
        else:
            return True
