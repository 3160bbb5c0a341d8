"""Asks whether a broker is there, without a client of it: for readiness, and where none is used."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from shared.errors import Unavailable

PORTS = {"amqp": 5672, "amqps": 5671, "pyamqp": 5672, "redis": 6379, "rediss": 6379}


def reachable(url: str) -> Callable[[], Awaitable[None]]:
    """Return a probe that raises Unavailable unless something listens where the broker should."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or PORTS.get(parts.scheme, 5672)

    async def probe() -> None:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            raise Unavailable(f"No broker listens at {host}:{port}.") from None
        writer.close()
        with suppress(OSError):  # it hung up first, but it was there
            await writer.wait_closed()

    return probe
