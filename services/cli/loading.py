"""How a command loads what it runs on: without looking for garbage, and ahead of its turn."""

import gc
import select
from collections.abc import Iterator
from contextlib import contextmanager

from shared.inherited import START_FD, inherited


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

    To be called once the code is there, and before anything is read, opened or listened to. Leaves
    with SystemExit if the supervisor is gone before it has said so. Raises ConfigurationError.
    """
    descriptor = inherited(START_FD)
    if descriptor is None:
        return
    pipe = select.poll()
    pipe.register(descriptor, select.POLLIN)
    ((_, seen),) = pipe.poll()
    if seen != select.POLLIN:  # its other end is closed, as is all that a killed process had
        raise SystemExit
