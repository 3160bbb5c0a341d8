"""An app that speaks the contract, over a connection of its own: as little of one as there can be.

It shares the machine with what it measures, so it does nothing that is not needed: no headers are
understood but one, and nothing is retried.
"""

import asyncio
import json
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

Json = dict[str, Any]
ROOT = "/_allauth/app/v1/"
AGENT = "bench/1"
KEPT = 30.0  # seconds that a connection may be idle; servers keep theirs for 75
WITHIN = 60.0  # seconds that an answer may take


class Failed(Exception):
    """An answer was not what the flow needs: the run is worth nothing."""


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    body: Json = field(repr=False)
    seconds: float
    headers: str = field(default="", repr=False)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wires:
    """Connections to one server, which are kept and shared: as many as are used at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[tuple[float, Streams]] = []

    async def take(self) -> Streams:
        """Return the connection that was used last, or a new one."""
        while self._idle:
            since, streams = self._idle.pop()
            if perf_counter() - since < KEPT:
                return streams
            streams[1].close()
        return await asyncio.open_connection("127.0.0.1", self.port)

    def give_back(self, streams: Streams) -> None:
        """Keep a connection for the next request."""
        self._idle.append((perf_counter(), streams))

    def close(self) -> None:
        """Close those that are kept."""
        while self._idle:
            self._idle.pop()[1][1].close()


class Client:
    """One app, whose paths begin with `root`.

    `token` is its session's, and is kept as the contract has it.
    """

    def __init__(self, wires: Wires, root: str = ROOT) -> None:
        self._wires = wires
        self._root = root
        self.token: str | None = None
        self.seconds = 0.0  # that answers have taken since it was last set to 0

    async def ask(self, method: str, path: str, body: Json | None = None) -> Answer:
        """Make one request."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {self._root}{path} HTTP/1.1\r\nHost: localhost:{self._wires.port}\r\n"
            f"User-Agent: {AGENT}\r\n"
        )
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        if self.token is not None:
            head += f"X-Session-Token: {self.token}\r\n"
        reader, writer = streams = await self._wires.take()
        began = perf_counter()
        writer.write(head.encode() + b"\r\n" + content)
        async with asyncio.timeout(WITHIN):
            received = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            raw = await _body(reader, received)
        seconds = perf_counter() - began
        self.seconds += seconds
        if "connection: close" in received.lower():
            writer.close()
        else:
            self._wires.give_back(streams)
        answer = Answer(int(received[9:12]), json.loads(raw or b"{}"), seconds, received)
        token = answer.body.get("meta", {}).get("session_token")
        self.token = token or self.token
        return answer

    async def expect(self, status: int, method: str, path: str, body: Json | None = None) -> Answer:
        """Make one request. Raises Failed unless the answer has this status."""
        answer = await self.ask(method, path, body)
        if answer.status != status:
            raise Failed(f"{method} {path}: {answer.status} instead of {status}: {answer.body}")
        return answer


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    length = _header(head, "content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):  # a body in chunks
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


def _header(head: str, wanted: str) -> str | None:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == wanted:
            return value
    return None
