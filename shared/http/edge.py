"""What every request passes on its way in and out, in one layer of plain ASGI."""

import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from shared import context
from shared.errors import CountersignError, Malformed, Unavailable
from shared.http.bodies import Bodies
from shared.http.problems import ErrorShape, describe

BODIES = 4  # awaited at once for each request that may be in flight: 64 MiB for 256
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PLAIN = re.compile(r"[\x21-\x7e]{1,64}")  # what may be answered in a header
SERVER_ERROR = 500
CLIENT_GONE = 499  # nginx's number, for logs and metrics alone: nobody is there to receive it

REQUESTS = Counter(
    "countersign_http_requests", "Requests answered.", ["service", "route", "method", "status"]
)
SECONDS = Histogram(
    "countersign_http_request_duration_seconds",
    "Time to answer a request.",
    ["service", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

log: FilteringBoundLogger = structlog.get_logger()

ContextOf = Callable[[Scope], context.Context]
"""Finds out on whose behalf a request comes."""


def from_peer(scope: Scope) -> context.Context:
    """Begin a context for a request from outside: a new id, the peer's address, its user agent."""
    peer = scope.get("client")
    agent = _header(scope, b"user-agent")
    return context.Context(
        request_id=context.new_request_id(),
        address=peer[0] if peer else None,
        user_agent=agent[: context.MAX_VALUE] if agent else None,
    )


def from_caller(scope: Scope) -> context.Context:
    """Carry on the context that another service sends along; without one, begin a new one."""
    sent = _header(scope, context.HEADER.encode())
    carried = context.from_header(sent) if sent else None
    if carried is None or not PLAIN.fullmatch(carried.request_id):
        return from_peer(scope)
    return carried


class Edge:
    """Bounds and labels requests; counts, logs and finishes answers; catches what went wrong.

    It is one layer because each costs every request, and pure ASGI because Starlette's
    `BaseHTTPMiddleware` costs more than all of this.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        errors: ErrorShape,
        context_of: ContextOf,
        max_in_flight: int,
    ) -> None:
        self._app = app
        self._service = service
        self._errors = errors
        self._context_of = context_of
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._bodies = Bodies(BODIES * max_in_flight)
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. What is not HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # In one process a service calls another within one task: its context must survive.
        before = context.current()
        try:
            await self._serve(scope, receive, send)
        finally:
            context.enter(before)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        answer = _Answer(send)
        try:
            context.enter(self._context_of(scope))
            # Before it counts as in flight: else unfinished bodies would fill all places.
            receive = await self._body(scope, receive, answer)
            await self._admit(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = CLIENT_GONE
        except Exception as error:
            await self._fail(error, scope, receive, answer)
        finally:
            self._record(scope, answer.status, perf_counter() - started)

    async def _body(self, scope: Scope, receive: Receive, answer: "_Answer") -> Receive:
        try:
            return await self._bodies.receive(scope, receive)
        except TimeoutError:
            answer.closes = True  # what is left of the body may come at any moment, or never
            raise Malformed("The body did not come in time.", code="body_too_slow") from None

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._in_flight >= self._max_in_flight:
            raise Unavailable("The service is busy.")
        self._in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1

    async def _fail(
        self, error: Exception, scope: Scope, receive: Receive, answer: "_Answer"
    ) -> None:
        problem = describe(error)
        if problem.status == SERVER_ERROR:
            log.error("request_failed", path=scope["path"], exc_info=error)
        elif isinstance(error, CountersignError) and problem.status > SERVER_ERROR:
            log.warning("unavailable", path=scope["path"], code=error.code, detail=error.detail)
        if answer.status:
            raise error  # half an answer is out; the server must cut the connection
        await self._errors(scope, problem)(scope, receive, answer.send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # The template of the route, never the path: paths are without number, and carry ids.
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        key = route, method, status
        counter = self._counters.get(key)
        if counter is None:
            counter = REQUESTS.labels(self._service, route, method, str(status))
            self._counters[key] = counter
        counter.inc()
        timer = self._timers.get(route)
        if timer is None:
            timer = self._timers[route] = SECONDS.labels(self._service, route)
        timer.observe(seconds)
        log.debug(
            "request",
            method=method,
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 2),
        )


class _Answer:
    """Adds to each answer what every answer has, and remembers its status (0: not begun).

    One that `closes` is the last on its connection.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.closes = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[Any] = list(message.get("headers", ()))
            current = context.current()
            if current is not None:
                headers.append((b"x-request-id", current.request_id.encode()))
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            headers.append((b"x-content-type-options", b"nosniff"))
            if self.closes:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return None
