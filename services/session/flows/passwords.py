"""Passwords hashed off the event loop, by a pool that turns work away rather than fall behind."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import Unavailable

MEMORY = 19456  # KiB; with two passes and one lane OWASP's first choice for argon2id
PASSES = 2
LANES = 1
STRONG = ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))
"""OWASP's choices for argon2id with one lane, each as strong: KiB of memory, and passes."""
RETRY_AFTER = timedelta(seconds=1)

T = TypeVar("T")


def is_strong(memory: int, passes: int) -> bool:
    """Tell whether argon2id with `memory` KiB and `passes` is at least one of OWASP's choices."""
    return any(memory >= least and passes >= fewest for least, fewest in STRONG)


class PasswordHasher:
    """Hashes with argon2id, in as many threads as there are cores.

    `queue` is how many may wait for each thread: argon2 cannot be hurried, so a longer queue only
    makes everybody wait. Beyond it every method raises Unavailable. The threads let go of the
    interpreter lock, so the event loop goes on.
    """

    def __init__(
        self, *, queue: int, threads: int | None = None, memory: int = MEMORY, passes: int = PASSES
    ) -> None:
        width = threads or os.cpu_count() or 1
        self._argon2 = Argon2(time_cost=passes, memory_cost=memory, parallelism=LANES)
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="argon2")
        self._room = width * (1 + queue)
        self._nobody = self._argon2.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """Return the hash to be stored, with its parameters and salt in it."""
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, password: str, hash: str | None) -> bool:
        """Tell whether `password` is right. Without a hash the answer is no, after equal work."""
        matches = await self._run(lambda: self._matches(hash or self._nobody, password))
        return matches and hash is not None

    def is_outdated(self, hash: str) -> bool:
        """Tell whether `hash` was made with other parameters than those of now."""
        try:
            return self._argon2.check_needs_rehash(hash)
        except InvalidHashError:
            return False

    def close(self) -> None:
        """Finish what runs, and stop the threads."""
        self._pool.shutdown(cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._room <= 0:
            raise Unavailable("Too many passwords are being checked.", retry_after=RETRY_AFTER)
        self._room -= 1
        future = self._pool.submit(work)
        # Given back when the thread is done, not when the caller has lost patience.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._give_back))
        return await asyncio.wrap_future(future)

    def _give_back(self) -> None:
        self._room += 1

    def _matches(self, hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(hash, password)
        except (VerificationError, InvalidHashError):
            return False
