"""HTTP off a socket: uvicorn's protocol, with the bounds that it lacks.

uvicorn lets the head of a request be of any size and take any time, and so it does a connection on
which nothing comes at all. A head may have 64 KiB here and take ten seconds, from the beginning of
the connection or from its first byte on; what follows it may take twice that, of which the
application waits for the first half (shared.http.bodies), and is then cut off.
"""

import asyncio
from enum import Enum, auto

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024  # bytes of URL and headers
MAX_REQUEST = 1024 * 1024  # bytes; 64 KiB of body have sixteen times as many in chunks of one byte
HEAD_WITHIN = 10.0  # seconds
REST_WITHIN = 20.0  # seconds
HEADER_FRAME = 4  # bytes around a name and its value: colon, space and line end


class Part(Enum):
    """How far a request has come."""

    NOTHING = auto()
    HEAD = auto()
    REST = auto()  # the body, and what a chunked one may have behind it


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that is too large, and ends a connection whose request does not."""

    _part = Part.NOTHING
    _received = 0  # bytes since the request began, but for those that came along with its beginning
    _to_answer = 0  # requests whose head is there
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._part is Part.HEAD and self._received > MAX_HEAD:
            self.send_400_response("The request's head is too large.")
        elif self._part is Part.REST and self._received > MAX_REQUEST:
            self.transport.close()
        elif self._deadline is None and self._unfinished():
            self._limit()

    def on_message_begin(self) -> None:
        self._part, self._received = Part.HEAD, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes behind a body is no header: the guards have looked at those already.
        if self._part is Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(n) + len(v) + HEADER_FRAME for n, v in self.headers)
        if size > MAX_HEAD:
            raise ValueError("the head is too large")  # uvicorn answers 400 and closes
        self._part = Part.REST
        self._to_answer += 1
        self._settle()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._part = Part.NOTHING
        self._settle()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._to_answer -= 1
        super().on_response_complete()

    def _unfinished(self) -> bool:
        """Whether more of a request is to come before there is anything else to wait for."""
        return self._part is not Part.NOTHING or not self._to_answer

    def _limit(self) -> None:
        seconds = REST_WITHIN if self._part is Part.REST else HEAD_WITHIN
        self._deadline = self.loop.call_later(seconds, self._end)

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        self._deadline = None
        self.transport.abort()
