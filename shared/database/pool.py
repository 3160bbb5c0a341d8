"""Connections to PostgreSQL, kept for the next statement.

asyncpg's own pool starts a task for each release and asks the server to reset the connection:
twice the work of the statement itself. Ours hands over a connection and takes it back, no more,
which is enough for statements in autocommit: they leave nothing behind.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]

WAIT = 2.0  # seconds until a caller without a connection gives up
GOODBYE_TIMEOUT = 1.0  # seconds
AGE = 600.0  # seconds; so that a new replica, primary or password is taken up


@dataclass(slots=True)
class _Held:
    connection: Any
    opened_at: float  # monotonic seconds


class Pool:
    """At most `size` connections; the one that was used last is used next."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], size: int) -> None:
        self._connect = connect
        self._idle: list[_Held] = []
        self._size = size
        self._places = asyncio.Semaphore(size)
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def fetch(self, text: str, arguments: Sequence[object]) -> list[Any]:
        """Run one statement and return its records. TimeoutError if no connection gets free.

        The connection is kept unless the statement was broken off: only an error that the server
        itself reports leaves it in a known state.
        """
        await self._place()
        try:
            held = self._take() or _Held(await self._connect(), time.monotonic())
            try:
                records: list[Any] = await held.connection.fetch(text, *arguments)
            except asyncpg.PostgresError:
                self._give_back(held)
                raise
            except BaseException:
                self._let_go(held)
                raise
            self._give_back(held)
            return records
        finally:
            self._places.release()

    async def close(self, patience: float) -> None:
        """Close all connections, and wait up to `patience` seconds for those in use."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                for _ in range(self._size):
                    await self._places.acquire()
        while self._idle:
            self._let_go(self._idle.pop())
        await asyncio.gather(*self._goodbyes)

    async def _place(self) -> None:
        if self._places.locked():
            async with asyncio.timeout(WAIT):
                await self._places.acquire()
        else:
            await self._places.acquire()

    def _take(self) -> _Held | None:
        while self._idle:
            held = self._idle.pop()
            if _is_good(held):
                return held
            self._let_go(held)
        return None

    def _give_back(self, held: _Held) -> None:
        if _is_good(held):
            self._idle.append(held)
        else:
            self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        """Close a connection without making anybody wait for it."""
        goodbye = asyncio.create_task(say_goodbye(held.connection))
        self._goodbyes.add(goodbye)
        goodbye.add_done_callback(self._goodbyes.discard)


async def say_goodbye(connection: Any) -> None:
    """Close a connection; if it was broken off, the server is told to stop what it does for it."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.close(timeout=GOODBYE_TIMEOUT)


def _is_good(held: _Held) -> bool:
    return not held.connection.is_closed() and time.monotonic() - held.opened_at < AGE
