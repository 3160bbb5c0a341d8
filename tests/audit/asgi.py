"""An answer that does not end, read as it comes and then hung up on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI


class Following:
    """An answer under way."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.gone = asyncio.Event()
        self._parts: asyncio.Queue[str] = asyncio.Queue()
        self.text = ""

    async def send(self, message: Any) -> None:
        """Take what the application sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self._parts.put_nowait(message.get("body", b"").decode())

    async def until(self, words: str) -> str:
        """Return all that has come as soon as `words` are in it."""
        async with asyncio.timeout(20):
            while words not in self.text:
                self.text += await self._parts.get()
        return self.text


@asynccontextmanager
async def following(
    app: FastAPI, path: str, headers: Mapping[str, str]
) -> AsyncIterator[Following]:
    """Ask for `path`, and hang up at the end of the block."""
    answer, asked = Following(), False

    async def receive() -> Any:
        nonlocal asked
        if asked:
            await answer.gone.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.9", 1),
        "server": ("audit", 80),
    }
    task = asyncio.create_task(app(scope, receive, answer.send))
    try:
        yield answer
    finally:
        answer.gone.set()
        await asyncio.wait([task], timeout=10)
        assert task.done(), "the application has not noticed that nobody is there any more"
