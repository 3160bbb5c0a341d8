"""How a command loads what it runs on: without looking for garbage where there is none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
