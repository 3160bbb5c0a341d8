"""The bodies of requests: received whole, bounded and in time, before anything is done for them."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from shared.errors import Malformed

MAX_BODY = 65536  # bytes; security.md D7
WITHIN = 10.0  # seconds that a body has to arrive


class Bodies:
    """Receives bodies for one application, so many at once that memory is bounded.

    When there are more, those that have waited longest give way: a body that is sent in earnest
    is there within moments, so whoever opens requests and leaves them unfinished crowds out
    himself.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._awaited: dict[asyncio.Timeout, None] = {}  # in the order in which they began

    async def receive(self, scope: Scope, receive: Receive) -> Receive:
        """Return a `receive` that has the whole body at once.

        Raises TimeoutError, Malformed for a body that is too large, and ClientDisconnect.
        """
        length = _declared(scope)
        if length == b"0":
            return receive
        # A false length is caught while reading.
        if length is not None and length.isdigit() and not _fits(length):
            raise _too_large()
        limit = asyncio.timeout(WITHIN)
        async with limit:
            self._awaited[limit] = None
            self._make_room()
            try:
                body = await _whole(receive)
            finally:
                self._awaited.pop(limit, None)
        return _replayed(body, receive)

    def _make_room(self) -> None:
        if len(self._awaited) > self._most:
            oldest = next(iter(self._awaited))
            del self._awaited[oldest]
            if not oldest.expired():
                oldest.reschedule(0)  # long past: it times out now


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    received = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        part = message.get("body", b"")
        received += len(part)
        if received > MAX_BODY:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with the whole `body`."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _declared(scope: Scope) -> bytes | None:
    """Return the length that a body claims to have, or None for one that claims none.

    A request with neither a length nor a transfer coding has no body (RFC 9112 section 6.3).
    """
    length: bytes | None = b"0"
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = value
    return length


def _fits(length: bytes) -> bool:
    return len(length) <= len(str(MAX_BODY)) and int(length) <= MAX_BODY


def _too_large() -> Malformed:
    return Malformed(f"A body may have {MAX_BODY} bytes.", code="body_too_large")
