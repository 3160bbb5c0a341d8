"""The client for calls between services: credential, context, errors, and fresh connections."""

import asyncio
import json
import ssl
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import unquote

import aiohttp
import httpx
import structlog
from httpx_aiohttp import AiohttpTransport
from starlette.types import ASGIApp, Message, Scope
from structlog.typing import FilteringBoundLogger

from shared import context
from shared.auth import Caller
from shared.errors import (
    Conflict,
    CountersignError,
    Malformed,
    NotFound,
    TooManyAttempts,
    Unavailable,
)
from shared.http.problems import MEDIA_TYPE

TIMEOUT = timedelta(seconds=5)
MAX_CONNECTIONS = 100
KEEP_ALIVE = 30.0  # seconds; the servers keep theirs for 75, so that no request meets a closing one
MAX_AGE = 60.0  # seconds; then the address is looked up again, and new replicas get their share
NAMES_KEPT = 10  # seconds that a looked-up address is good for
MAX_WAIT = 3600  # seconds of Retry-After that are believed

log: FilteringBoundLogger = structlog.get_logger()


def connect(
    base_url: str,
    *,
    caller: Caller,
    audience: str,
    transport: httpx.AsyncBaseTransport | None = None,
    timeout: timedelta = TIMEOUT,
) -> httpx.AsyncClient:
    """Return the client with which `caller` calls `audience`; one per process, to be closed.

    Only success is returned. The callee's refusals are raised as NotFound, Conflict, Malformed and
    TooManyAttempts, and everything else as Unavailable: a service that is away, slow, broken, or
    that does not accept our credential (which is not the fault of whoever asked us).
    Nothing is ever sent twice. `transport` stands in for the network, to call an application in
    the same process.
    """
    calls = ServiceTransport(transport or FreshTransport(), caller, audience, timeout)
    return ServiceClient(base_url, calls, timeout.total_seconds())


class ServiceClient(httpx.AsyncClient):
    """httpx's client, less what only browsing needs: cookies, redirects, authentication flows.

    They take longer than all the rest of a call.
    """

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport, timeout: float) -> None:
        super().__init__(base_url=base_url, transport=transport, timeout=timeout, trust_env=False)
        self._calls = transport

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """Send a request. How it is sent is not the caller's to choose: `_` is ignored."""
        response = await self._calls.handle_async_request(request)
        response.request = request
        return response


class ServiceTransport(httpx.AsyncBaseTransport):
    """Signs requests, and turns answers into values or errors."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, caller: Caller, audience: str, timeout: timedelta
    ) -> None:
        self._inner = inner
        self._caller = caller
        self._audience = audience
        self._timeout = timeout.total_seconds()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, once, and read all of the answer."""
        request.headers["authorization"] = f"Bearer {self._caller.token_for(self._audience)}"
        current = context.current()
        if current is not None:
            request.headers[context.HEADER] = context.to_header(current)
        try:
            # The transport's time-outs are per step; a slow drip would pass them all.
            async with asyncio.timeout(self._timeout):
                response = await self._inner.handle_async_request(request)
                await response.aread()
        except (TimeoutError, httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            log.warning("call_failed", audience=self._audience, reason=type(error).__name__)
            raise Unavailable(f"{self._audience} does not answer.") from error
        if not response.is_success:
            raise self._error(response)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _error(self, response: httpx.Response) -> CountersignError:
        problem = _problem(response)
        status = response.status_code
        code, detail = _text(problem, "code"), _text(problem, "detail") or ""
        if code:
            if status == HTTPStatus.BAD_REQUEST:
                return Malformed(detail, code=code, field=_text(problem, "field"))
            if status == HTTPStatus.NOT_FOUND:
                return NotFound(detail, code=code)
            if status == HTTPStatus.CONFLICT:
                return Conflict(detail, code=code)
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                return TooManyAttempts(detail, retry_after=_wait(response))
        log.warning("call_refused", audience=self._audience, status=status, code=code)
        return Unavailable(f"{self._audience} cannot answer.", retry_after=_wait(response))


class InProcess(httpx.AsyncBaseTransport):
    """Hands requests to an application in the same process, without a socket.

    httpx's own does the same at three times the cost. What the application raises counts as a
    lost connection, as it would between processes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Have the application answer."""
        exchange = _Exchange(await request.aread())
        path, _, query = request.url.raw_path.partition(b"?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": None,
            "server": (request.url.host, request.url.port),
        }
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            raise httpx.RemoteProtocolError("The application failed.") from error
        return exchange.response()


class _Exchange:
    """One request and its answer, as an ASGI application sees them."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._ended = asyncio.Event()

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._ended.set()

    def response(self) -> httpx.Response:
        if self._start is None or not self._ended.is_set():
            raise httpx.RemoteProtocolError("The application did not answer.")
        return httpx.Response(
            self._start["status"],
            headers=self._start.get("headers", []),
            content=b"".join(self._parts),
        )


class FreshTransport(httpx.AsyncBaseTransport):
    """aiohttp's transport, replaced once a minute by a new one.

    Connections that live as long as there is traffic would never reach a replica that was
    started after them. The old transport is closed when its last request has been answered.
    """

    def __init__(self, max_age: float = MAX_AGE, clock: Callable[[], float] = monotonic) -> None:
        self._max_age = max_age
        self._clock = clock
        self._trust = _trust()
        self._generation: _Generation | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request over the present generation of connections."""
        generation = await self._present()
        generation.in_flight += 1
        try:
            response = await generation.transport.handle_async_request(request)
            try:
                await response.aread()  # until then it needs its connection
            except BaseException:
                await response.aclose()  # cut off by the time-out, with half an answer read
                raise
            return response
        finally:
            generation.in_flight -= 1
            await generation.close_if_idle()

    async def aclose(self) -> None:
        """Close the connections, as soon as they are idle."""
        generation, self._generation = self._generation, None
        if generation is not None:
            await generation.retire()

    async def _present(self) -> "_Generation":
        now = self._clock()
        old = self._generation
        if old is not None and now - old.born < self._max_age:
            return old
        present = self._generation = _Generation(now, self._trust)
        if old is not None:
            await old.retire()
        return present


@cache
def _trust() -> ssl.SSLContext:
    """Return the certificates of the system: reading them takes long, so once for a process."""
    return httpx.create_ssl_context()


class _Generation:
    """Connections that were opened within the same minute."""

    def __init__(self, born: float, trust: ssl.SSLContext) -> None:
        self.born = born
        self.transport = AiohttpTransport(verify=trust, client=lambda: _new_session(trust))
        self.in_flight = 0
        self._retired = False

    async def retire(self) -> None:
        self._retired = True
        await self.close_if_idle()

    async def close_if_idle(self) -> None:
        if self._retired and self.in_flight == 0:
            await self.transport.aclose()


def _new_session(trust: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=NAMES_KEPT, ssl=trust
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )


def _problem(response: httpx.Response) -> dict[str, object]:
    """Return the problem details in an answer. A proxy's error page has none."""
    if not response.headers.get("content-type", "").startswith(MEDIA_TYPE):
        return {}
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _text(problem: dict[str, object], name: str) -> str | None:
    value = problem.get(name)
    return value if isinstance(value, str) else None


def _wait(response: httpx.Response) -> timedelta:
    sent = response.headers.get("retry-after", "")
    known = sent.isascii() and sent.isdigit() and len(sent) < len(str(MAX_WAIT)) + 1
    return timedelta(seconds=min(int(sent), MAX_WAIT) if known else 2)
