"""How a command loads what it runs on: without looking for garbage, and ahead of its turn."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

START_FD = "COUNTERSIGN_START_FD"
"""Names the descriptor of a pipe whose other end the supervisor closes when it is time to start."""


@contextmanager
def loading() -> Iterator[None]:
    """Keep the collector away from what is made inside, now and later.

    Modules, and the applications made of them, last as long as the process. Going through them
    again and again while they become more takes a fifth of the time to load them.
    """
    if not gc.isenabled():
        yield  # within another
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def wait_for_start() -> None:
    """Wait until keys, tables and queues have been made; without a supervisor, they have been.

    To be called once the code is there, and before anything is read, opened or listened to.
    """
    number = os.environ.get(START_FD)
    if number is not None:
        with suppress(OSError):  # the descriptor is no pipe of ours: whoever set it is not there
            os.read(int(number), 1)
