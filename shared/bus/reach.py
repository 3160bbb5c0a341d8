"""Asks whether a broker is there, without a client of it: for readiness, and where none is used."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from shared.errors import Unavailable

PORTS = {"amqp": 5672, "amqps": 5671, "pyamqp": 5672, "redis": 6379, "rediss": 6379}


GREETINGS = {
    "amqp": b"AMQP\x00\x00\x09\x01",
    "pyamqp": b"AMQP\x00\x00\x09\x01",
    "redis": b"PING\r\n",
}
"""What a broker answers even to a stranger. Over TLS it is enough that somebody listens."""


def reachable(url: str) -> Callable[[], Awaitable[None]]:
    """Return a probe that raises Unavailable unless a broker answers; it may wait for ever."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or PORTS.get(parts.scheme, 5672)
    greeting = GREETINGS.get(parts.scheme)

    async def probe() -> None:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            raise Unavailable(f"No broker listens at {host}:{port}.") from None
        try:
            await _greet(reader, writer, greeting)
        except OSError:
            raise Unavailable(f"The broker at {host}:{port} does not answer.") from None
        finally:
            writer.close()
            with suppress(OSError):  # it hung up first, but it was there
                await writer.wait_closed()

    return probe


async def _greet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes | None
) -> None:
    if greeting is None:
        return
    writer.write(greeting)
    await writer.drain()
    if not await reader.read(1):
        raise ConnectionError
