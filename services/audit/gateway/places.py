"""Where checkpoints go besides the ledger's own tables: a file, an HTTP endpoint."""

import asyncio
import os
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from shared.errors import Unavailable

TIMEOUT = 10.0  # seconds


class Place(Protocol):
    """Takes checkpoints. The same may come twice: delivery is at least once."""

    name: str

    async def write(self, note: str) -> None:
        """Keep a signed note. Raises Unavailable or OSError if it cannot be kept for now."""


class FilePlace:
    """A file that notes are added to, one behind the other, with empty lines before each.

    It may be on a disk of another machine, or one that can only be added to.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"file {path}"
        self._path = path

    async def write(self, note: str) -> None:
        """Add a note, in one piece, and have it on the disk."""
        # Beside the loop: a disk that is somewhere else may not answer for long.
        await asyncio.to_thread(self._add, f"\n\n{note}".encode())

    def _add(self, raw: bytes) -> None:
        """Write `raw`, which is set apart from whatever a crash has left."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(file, raw) != len(raw):
                raise OSError("the disk is full")
            os.fsync(file)
        finally:
            os.close(file)


class HttpPlace:
    """An endpoint that takes each note by POST, as text, and says 2xx once it keeps it."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        parts = urlsplit(url)
        self.name = f"http {parts.hostname}{parts.path}"  # no password, no token
        self._url = url
        self._transport = transport

    async def write(self, note: str) -> None:
        """Send a note."""
        try:
            async with httpx.AsyncClient(
                transport=self._transport, timeout=TIMEOUT, trust_env=False
            ) as http:
                answer = await http.post(
                    self._url,
                    content=note.encode(),
                    headers={"content-type": "text/plain; charset=utf-8"},
                )
        except httpx.HTTPError as error:
            raise Unavailable(f"It does not answer ({type(error).__name__}).") from error
        if not answer.is_success:
            raise Unavailable(f"It answers {answer.status_code}.")
