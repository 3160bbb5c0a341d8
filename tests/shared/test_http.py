"""What every service's edge does, and what the client makes of the answers."""

import asyncio
import json
import socket
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp.web
import httpx
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from shared import context
from shared.auth import Caller, PrivateKey, PublicKey, require_caller
from shared.errors import (
    ConfigurationError,
    Conflict,
    CountersignError,
    Forbidden,
    Malformed,
    Mistake,
    NotFound,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from shared.http import (
    Check,
    InProcess,
    Problem,
    bodies,
    closing,
    connect,
    create_operations,
    create_service,
    describe,
    json_body,
    parse_json,
)
from shared.http.bodies import MAX_BODY
from shared.http.client import FreshTransport
from shared.http.plain import serve
from shared.http.problems import STATUSES
from shared.http.strict import MAX_DEPTH

KEY = PrivateKey(id="session-1", issuer="session", key=Ed25519PrivateKey.generate())
KEYS = {"session-1": PublicKey("session", KEY.key.public_key())}


class Thing(BaseModel):
    """A body."""

    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    parts: list[int] = []


def service(**options: Any) -> FastAPI:
    """Return a service with a route for every fate."""
    app = create_service("test", **options)
    errors: dict[str, Exception] = {
        "malformed": Malformed("no", code="bad", field="a.b"),
        "unauthenticated": Unauthenticated("no"),
        "forbidden": Forbidden("no"),
        "not_found": NotFound("no", code="gone"),
        "conflict": Conflict("no"),
        "too_many": TooManyAttempts("no", retry_after=timedelta(seconds=1.5)),
        "unavailable": Unavailable("no", retry_after=timedelta(seconds=7)),
        "broken": RuntimeError("the password is hunter2"),
        "misconfigured": ConfigurationError(["the password is hunter2"]),
        "teapot": HTTPException(418),
    }

    @app.get("/raise/{name}")
    async def fail(name: str) -> Response:
        raise errors[name]

    @app.get("/context")
    async def tell(request: Request) -> dict[str, Any]:
        found = context.current()
        assert found is not None
        return {"id": found.request_id, "address": found.address, "agent": found.user_agent}

    @app.post("/things")
    async def take(thing: Thing = Depends(json_body(Thing))) -> dict[str, Any]:  # noqa: B008
        return thing.model_dump()

    @app.get("/numbered/{number}")
    async def numbered(number: int) -> dict[str, int]:
        return {"number": number}

    return app


def calling(app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> httpx.AsyncClient:
    """Return a plain client of `app`."""
    return httpx.AsyncClient(base_url="http://test", transport=httpx.ASGITransport(app))


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("malformed", 400, "bad"),
        ("unauthenticated", 401, "unauthenticated"),
        ("forbidden", 403, "forbidden"),
        ("not_found", 404, "gone"),
        ("conflict", 409, "conflict"),
        ("too_many", 429, "too_many_attempts"),
        ("unavailable", 503, "unavailable"),
        ("teapot", 418, "i'm_a_teapot"),
    ],
)
async def test_each_error_has_its_status(name: str, status: int, code: str) -> None:
    async with calling(service()) as client:
        answer = await client.get(f"/raise/{name}")

    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["title"]
    assert answer.headers["cache-control"] == "no-store"


async def test_who_has_to_wait_is_told_how_long() -> None:
    async with calling(service()) as client:
        too_many = await client.get("/raise/too_many")
        unavailable = await client.get("/raise/unavailable")
        other = await client.get("/raise/conflict")

    assert too_many.headers["retry-after"] == "2"
    assert unavailable.headers["retry-after"] == "7"
    assert "retry-after" not in other.headers


@pytest.mark.parametrize("name", ["broken", "misconfigured"])
async def test_the_unexpected_is_logged_once_and_told_to_nobody(name: str) -> None:
    """D6: a last-resort handler; no stack trace, no message."""
    with structlog.testing.capture_logs() as logs:
        async with calling(service()) as client:
            answer = await client.get(f"/raise/{name}")

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "hunter2" not in answer.text
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert "hunter2" in str(line["exc_info"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("DELETE", "/things", 405, "method_not_allowed"),
        ("GET", "/numbered/x", 400, "invalid"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/openapi.json", 404, "not_found"),
        ("GET", "/metrics", 404, "not_found"),
    ],
)
async def test_what_the_framework_refuses_has_the_same_shape(
    method: str, path: str, status: int, code: str
) -> None:
    """D6: generic errors; documentation and metrics are not on this port."""
    async with calling(service()) as client:
        answer = await client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_service_may_shape_errors_itself() -> None:
    def envelope(scope: Scope, problem: Problem) -> Response:
        return Response(f"{scope['path']} {problem.status}", problem.status)

    app = service(errors=envelope)
    async with calling(app) as client, AsyncExitStack():
        answers = [
            await client.get("/raise/conflict"),
            await client.get("/raise/broken"),
            await client.get("/nothing"),
            await client.get("/numbered/x"),
            await client.post("/things", content=b" " * (MAX_BODY + 1)),
        ]

    assert [answer.text for answer in answers] == [
        "/raise/conflict 409",
        "/raise/broken 500",
        "/nothing 404",
        "/numbered/x 400",
        "/things 400",
    ]


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_has_a_bound(size: int, chunked: bool) -> None:
    """D7: 64 KiB, whether the length is announced or not."""
    body = b'{"name": "' + b"x" * (size - 12) + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 1000):
            yield body[start : start + 1000]

    async with calling(service()) as client:
        answer = await client.post("/things", content=chunks() if chunked else body)

    assert len(body) == size
    assert answer.status_code == (200 if size <= MAX_BODY else 400)
    if size > MAX_BODY:
        assert answer.json()["code"] == "body_too_large"


@pytest.mark.parametrize("length", ["-1", "x", "9" * 5000, "\u0661", ""])
async def test_a_false_length_does_no_harm(length: str) -> None:
    """D7: the announced length is a hint."""
    async with calling(service()) as client:
        answer = await client.post(
            "/things",
            content=b'{"name": "x"}',
            headers=[(b"content-length", length.encode("utf-8"))],
        )

    assert answer.status_code in {200, 400}


async def test_a_busy_service_says_so_at_once() -> None:
    app = create_service("test", max_in_flight=2)
    gate = asyncio.Event()
    arrivals: asyncio.Queue[None] = asyncio.Queue()

    @app.get("/")
    async def wait() -> Response:
        arrivals.put_nowait(None)
        await gate.wait()
        return Response()

    async with calling(app) as client:
        accepted = [asyncio.create_task(client.get("/")) for _ in range(2)]
        for _ in accepted:
            await arrivals.get()
        refused = await client.get("/")
        gate.set()
        answers = await asyncio.gather(*accepted)
        after = await client.get("/")

    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert [answer.status_code for answer in (*answers, after)] == [200, 200, 200]


async def unfinished(opened: asyncio.Queue[asyncio.Event]) -> AsyncIterator[bytes]:
    """Begin a body, and finish it when the event comes true that is put into `opened`."""
    end = asyncio.Event()
    opened.put_nowait(end)
    yield b'{"name": '
    await end.wait()
    yield b'"x"}'


class Dripping(httpx.AsyncBaseTransport):
    """Calls an application whose `receive` waits for each part of the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        parts = aiter(request.stream)
        sent: list[Any] = []

        async def receive() -> Any:
            part = await anext(parts, None)
            return {"type": "http.request", "body": part or b"", "more_body": part is not None}

        async def send(message: Any) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http",
            "method": request.method,
            "path": request.url.path,
            "query_string": b"",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
        }
        await self._app(scope, receive, send)
        return httpx.Response(
            sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"]
        )


async def test_unfinished_bodies_take_no_place_from_others() -> None:
    """D7: only a request that is there counts as in flight."""
    opened: asyncio.Queue[asyncio.Event] = asyncio.Queue()
    transport = Dripping(service(max_in_flight=1))
    async with httpx.AsyncClient(base_url="http://test", transport=transport) as client:
        begun = (client.post("/things", content=unfinished(opened)) for _ in range(3))
        waiting = [asyncio.create_task(request) for request in begun]
        ends = [await opened.get() for _ in waiting]

        other = await client.post("/things", content=b'{"name": "y"}')
        for end in ends:
            end.set()
        answers = await asyncio.gather(*waiting)

    assert other.status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WITHIN", 0.05)
    transport = Dripping(service())
    async with httpx.AsyncClient(base_url="http://test", transport=transport) as client:
        answer = await client.post("/things", content=unfinished(asyncio.Queue()))

    assert (answer.status_code, answer.json()["code"]) == (400, "body_too_slow")
    assert answer.headers["connection"] == "close"


async def test_of_too_many_unfinished_bodies_the_oldest_give_way() -> None:
    """D7: their number has a bound, and whoever is honest gets in."""
    opened: asyncio.Queue[asyncio.Event] = asyncio.Queue()
    waiting, ends = [], []
    transport = Dripping(service(max_in_flight=1))
    async with httpx.AsyncClient(base_url="http://test", transport=transport) as client:
        for _ in range(6):
            request = client.post("/things", content=unfinished(opened))
            waiting.append(asyncio.create_task(request))
            ends.append(await opened.get())
        await asyncio.gather(*waiting[:2])
        for end in ends:
            end.set()
        answers = await asyncio.gather(*waiting)

    assert [answer.status_code for answer in answers] == [400, 400, 200, 200, 200, 200]


@pytest.mark.parametrize(
    "payload", [b"[" * 5000, b'{"a":' * 1000, b'{"request_id":"' + b"a" * 9000 + b'"}', b"\xff"]
)
async def test_a_context_that_cannot_be_read_is_as_none(payload: bytes) -> None:
    """It comes before the guard, so anyone may have sent it."""
    header = {"x-countersign-context": urlsafe_b64encode(payload).decode()}
    async with calling(service(trust_context=True)) as client:
        answer = await client.get("/context", headers=header)

    assert answer.status_code == 200
    assert answer.json()["id"] == answer.headers["x-request-id"]


def test_a_deep_or_large_context_is_none() -> None:
    deep = urlsafe_b64encode(b"[" * 5000).decode()
    large = urlsafe_b64encode(json.dumps({"request_id": "a", "x": "x" * 9000}).encode()).decode()

    assert context.from_header(deep) is None
    assert context.from_header(large) is None


async def test_whatever_fails_before_the_application_is_answered_too() -> None:
    def fail(scope: Scope) -> context.Context:
        raise RuntimeError("no context")

    async with calling(service(context_of=fail)) as client:
        answer = await client.get("/context")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


async def test_a_request_from_outside_gets_an_id_of_its_own() -> None:
    forged = context.to_header(context.Context(request_id="forged", address="203.0.113.9"))
    async with calling(service()) as client:
        answers = [
            await client.get("/context", headers={"user-agent": "a" * 2000, context.HEADER: forged})
            for _ in range(2)
        ]

    first, second = (answer.json() for answer in answers)
    assert first["id"] not in {"forged", second["id"]}
    assert answers[0].headers["x-request-id"] == first["id"]
    assert first["address"] == "127.0.0.1"
    assert len(first["agent"]) == context.MAX_VALUE


async def test_between_services_the_context_is_carried_on() -> None:
    app = service(trust_context=True)
    client = connect(
        "http://test",
        caller=Caller(KEY),
        audience="test",
        transport=httpx.ASGITransport(app),
    )
    mine = context.Context(request_id="r1", address="192.0.2.7")
    context.enter(mine)
    async with client:
        answer = await client.get("/context")

    assert answer.json()["id"] == "r1"
    assert answer.json()["address"] == "192.0.2.7"
    assert context.current() == mine  # though it was one task


@pytest.mark.parametrize("id", ["", "a\nb", "\xe9", "x" * 65, "a b"])
async def test_a_request_id_that_is_no_id_is_not_answered(id: str) -> None:
    header = context.to_header(context.Context(request_id=id))
    async with calling(service(trust_context=True)) as client:
        answer = await client.get("/context", headers={context.HEADER: header})
        garbage = await client.get("/context", headers={context.HEADER: "!"})

    assert len(answer.headers["x-request-id"]) == 32
    assert garbage.status_code == 200


async def test_requests_are_counted_by_route() -> None:
    labels = {"service": "counted", "route": "/numbered/{number}", "method": "GET", "status": "200"}
    app = create_service("counted")

    @app.get("/numbered/{number}")
    async def numbered(number: int) -> Response:
        return Response()

    async def shown(request: Request) -> Response:
        return Response()

    serve(app, "/pages/{name}", shown)

    async with calling(app) as client:
        for number in range(3):
            await client.get(f"/numbered/{number}")
            await client.get(f"/pages/{number}")
        await client.request("BREW", "/nowhere/at/all")

    def count(**labels: str) -> float | None:
        return REGISTRY.get_sample_value("countersign_http_requests_total", labels)

    assert count(**labels) == 3
    assert count(**{**labels, "route": "/pages/{name}"}) == 3
    assert count(service="counted", route="unknown", method="OTHER", status="404") == 1


async def test_a_request_is_logged_without_its_query() -> None:
    """D4: a line per request at DEBUG, and nothing of the query in it."""
    with structlog.testing.capture_logs() as logs:
        async with calling(service()) as client:
            await client.get("/context?code=271828")

    (line,) = [line for line in logs if line["event"] == "request"]
    assert (line["log_level"], line["status"], line["path"]) == ("debug", 200, "/context")
    assert "271828" not in str(logs)


def test_every_error_has_a_place_in_the_table() -> None:
    def kinds(kind: type[CountersignError]) -> set[type[CountersignError]]:
        return {kind}.union(*(kinds(sub) for sub in kind.__subclasses__()))

    ours = {kind for kind in kinds(Mistake) | {Unavailable} if kind.__module__ == "shared.errors"}
    unplaced = ours - STATUSES.keys()  # a service places errors of its own itself

    assert len(set(STATUSES.values())) == len(STATUSES)
    assert unplaced == {Mistake}


def test_a_validation_error_never_repeats_the_value() -> None:
    error = RequestValidationError(
        [{"type": "missing", "loc": ("body", "a", 0), "msg": "hunter2", "input": "hunter2"}]
    )

    problem = describe(error)

    assert (problem.code, problem.field) == ("required", "a.0")
    assert "hunter2" not in str(problem)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text().filter(lambda text: "\0" not in text),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text().filter(lambda text: "\0" not in text), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(json_values, st.booleans())
def test_good_json_is_read_as_it_is(value: Any, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary() | st.text(alphabet='{}[]":,\\u0dD8e1-+. ').map(str.encode))
def test_bad_json_is_refused_and_never_breaks_the_parser(raw: bytes) -> None:
    """D7: whatever the bytes, the answer is a value or Malformed."""
    try:
        value = parse_json(raw)
    except Malformed:
        return
    assert json.loads(raw) == value


def nested(depth: int, kind: str) -> bytes:
    """Return JSON that is `depth` deep."""
    opening, closing_ = ("[", "]") if kind == "list" else ('{"a":', "}")
    return (opening * depth + "1" + closing_ * depth).encode()


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 900, 10_000])
def test_depth_has_a_bound(kind: str, depth: int) -> None:
    """D7: 20 levels."""
    if depth <= MAX_DEPTH:
        assert parse_json(nested(depth, kind))
        return
    with pytest.raises(Malformed) as caught:
        parse_json(nested(depth, kind))
    assert caught.value.code == "too_deep"


def test_many_brackets_are_not_depth() -> None:
    assert parse_json(json.dumps([["[" * 50]] * 50).encode())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"9223372036854775807", None),
        (b"-9223372036854775808", None),
        (b"9223372036854775808", "number_out_of_range"),
        (b"-9223372036854775809", "number_out_of_range"),
        (b"1" * 60_000, "number_out_of_range"),
        (b"1e400", "number_out_of_range"),
        (b"-1e400", "number_out_of_range"),
        (b"NaN", "invalid_json"),
        (b"Infinity", "invalid_json"),
        (b'"\\ud83d\\ude00"', None),
        (b'"\\ud83d"', "lone_surrogate"),
        (b'"\\ude00\\ud83d"', "lone_surrogate"),
        (b'"\\u0000"', "nul"),
        (b'"a\0b"', "invalid_json"),
        (b'{"\\u0000": 1}', "nul"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_member"),
        (b'{"a": {"b": 1, "b": 1}}', "duplicate_member"),
        (b"\xed\xa0\x80", "invalid_utf8"),
        ('"\\u00e9"'.encode("utf-16"), "invalid_utf8"),
        ("{}".encode("utf-16-le"), "invalid_json"),
    ],
)
def test_what_parsers_disagree_on_is_refused(raw: bytes, code: str | None) -> None:
    """D7: NaN, infinities, huge integers, NUL, half characters, members named twice."""
    if code is None:
        assert parse_json(raw)
        return
    with pytest.raises(Malformed) as caught:
        parse_json(raw)
    assert caught.value.code == code


async def test_operations_tell_what_is_wrong_and_nothing_secret() -> None:
    async def fine() -> None:
        return

    async def away() -> None:
        raise Unavailable("Nothing there.")

    async def broken() -> None:
        raise RuntimeError("the password is hunter2")

    async def slow() -> None:
        await asyncio.sleep(60)

    async def ask(*checks: Check) -> tuple[int, Any]:
        async with calling(create_operations("test", checks)) as client:
            answer = await client.get("/readyz")
            assert (await client.get("/healthz")).status_code == 200
            return answer.status_code, answer.json()

    ready = await ask(Check("database", fine))
    degraded = await ask(Check("database", fine), Check("broker", away, required=False))
    unavailable = await ask(Check("database", broken), Check("other", slow))

    assert (ready[0], ready[1]["status"]) == (200, "ready")
    assert (degraded[0], degraded[1]["status"]) == (200, "degraded")
    assert degraded[1]["checks"]["broker"]["detail"] == "Nothing there."
    assert (unavailable[0], unavailable[1]["status"]) == (503, "unavailable")
    assert "hunter2" not in str(unavailable)
    assert "2 seconds" in unavailable[1]["checks"]["other"]["detail"]


async def test_operations_serve_metrics_and_the_description() -> None:
    app = service()
    async with calling(create_operations("test", (), openapi_of=app)) as client:
        metrics = await client.get("/metrics")
        described = await client.get("/openapi.json")
    async with calling(create_operations("test", ())) as client:
        undescribed = await client.get("/openapi.json")

    assert "countersign_http_requests_total" in metrics.text
    assert "/things" in described.json()["paths"]
    assert undescribed.status_code == 404


async def test_resources_are_closed_in_reverse() -> None:
    seen: list[str] = []

    class Thing:
        def __init__(self, name: str) -> None:
            self.name = name

        async def connect(self) -> None:
            seen.append(f"+{self.name}")

        async def close(self) -> None:
            seen.append(f"-{self.name}")

    app = create_service("test", lifespan=closing(Thing("a"), Thing("b")))
    async with app.router.lifespan_context(app):
        pass

    assert seen == ["+a", "+b", "-b", "-a"]


def client_of(
    answer: Callable[[httpx.Request], httpx.Response], timeout: float = 60
) -> httpx.AsyncClient:
    """Return a service's client of somebody who answers like that."""
    return connect(
        "http://totp",
        caller=Caller(KEY, lambda: datetime.now(UTC)),
        audience="totp",
        transport=httpx.MockTransport(answer),
        timeout=timedelta(seconds=timeout),
    )


def problem(status: int, code: str, **more: Any) -> httpx.Response:
    content = json.dumps({"status": status, "code": code, "detail": "why", **more})
    headers = {"content-type": "application/problem+json", "retry-after": "9"}
    return httpx.Response(status, content=content, headers=headers)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (problem(400, "bad", field="a.b"), Malformed, "bad"),
        (problem(404, "gone"), NotFound, "gone"),
        (problem(409, "taken"), Conflict, "taken"),
        (problem(429, "too_many_attempts"), TooManyAttempts, "too_many_attempts"),
        (problem(503, "unavailable"), Unavailable, "unavailable"),
        # What is wrong between services is nothing that a person could set right.
        (problem(401, "unauthenticated"), Unavailable, "unavailable"),
        (problem(403, "forbidden"), Unavailable, "unavailable"),
        (problem(500, "internal_error"), Unavailable, "unavailable"),
        (problem(418, "teapot"), Unavailable, "unavailable"),
        (httpx.Response(404, text="<h1>nginx</h1>"), Unavailable, "unavailable"),
        (httpx.Response(409, content=b"[" * 5000), Unavailable, "unavailable"),
        (httpx.Response(302, headers={"location": "http://x"}), Unavailable, "unavailable"),
        (
            httpx.Response(
                404, content=b"[" * 50_000, headers={"content-type": "application/problem+json"}
            ),
            Unavailable,
            "unavailable",
        ),
        (
            httpx.Response(
                409, content=b"{}", headers={"content-type": "application/problem+json"}
            ),
            Unavailable,
            "unavailable",
        ),
    ],
)
async def test_refusals_come_back_as_our_errors(
    answer: httpx.Response, kind: type[CountersignError], code: str
) -> None:
    """O4: whatever is not a plain success or a plain refusal is a breakdown."""
    async with client_of(lambda _: answer) as client:
        with pytest.raises(kind) as caught:
            await client.get("/")

    assert type(caught.value) is kind
    assert caught.value.code == code
    if isinstance(caught.value, Malformed):
        assert caught.value.field == "a.b"
    if isinstance(caught.value, TooManyAttempts):
        assert caught.value.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), OSError("x"), TimeoutError()]
)
async def test_a_service_that_is_away_is_unavailable(error: Exception) -> None:
    """O4: and it was asked only once."""
    calls = 0

    def away(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        raise error

    async with client_of(away) as client:
        with pytest.raises(Unavailable):
            await client.post("/v1/users/ada/verifications")

    assert calls == 1


async def test_the_client_adds_a_credential_that_the_service_accepts() -> None:
    app = create_service("totp")

    @app.get("/", dependencies=[Depends(require_caller(KEYS, "totp"))])
    async def guarded() -> Response:
        return Response("in")

    client = connect(
        "http://totp", caller=Caller(KEY), audience="totp", transport=httpx.ASGITransport(app)
    )
    async with client:
        assert (await client.get("/")).text == "in"


def in_process(app: ASGIApp, timeout: float = 60) -> httpx.AsyncClient:
    """Return a service's client of an application in this process."""
    return connect(
        "http://test",
        caller=Caller(KEY),
        audience="test",
        transport=InProcess(app),
        timeout=timedelta(seconds=timeout),
    )


async def test_an_application_in_the_process_is_called_like_any_other() -> None:
    app = service(trust_context=True)

    @app.post("/echo/{name}")
    async def echo(name: str, request: Request) -> StreamingResponse:
        body = await request.body()

        async def parts() -> AsyncIterator[bytes]:
            yield name.encode()
            yield b"|" + request.url.query.encode() + b"|"
            yield body

        return StreamingResponse(parts())

    async with in_process(app) as client:
        answer = await client.post("/echo/%C3%A9%20x", params={"a": "b"}, content=b"body")
        with pytest.raises(NotFound):
            await client.get("/raise/not_found")
        with pytest.raises(Unavailable):
            await client.get("/raise/broken")
        with pytest.raises(Malformed):
            await client.post("/things", content=b" " * (MAX_BODY + 1))

    assert answer.content == "é x|a=b|body".encode()


async def test_an_application_that_fails_or_hangs_is_unavailable() -> None:
    """O4: in one process as between two."""

    async def raises(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})

    async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    for app in (raises, silent, half, hangs):
        async with in_process(app, timeout=1) as client:
            with pytest.raises(Unavailable):
                await client.get("/")


async def test_no_cookie_is_kept_and_no_redirect_followed() -> None:
    answer = httpx.Response(200, headers={"set-cookie": "a=b"})
    async with client_of(lambda _: answer) as client:
        await client.get("/")
        assert not client.cookies


class Server:
    """A real server on a port of its own, which counts connections."""

    def __init__(self) -> None:
        self.connections: set[int] = set()
        self.requests = 0
        self.arrivals: asyncio.Queue[None] = asyncio.Queue()
        self.hold = asyncio.Event()
        self.hold.set()

    async def answer(self, request: aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse:
        """Answer, and remember over which connection."""
        self.requests += 1
        self.arrivals.put_nowait(None)
        assert request.transport is not None
        self.connections.add(id(request.transport))
        if request.path == "/drip":
            response = aiohttp.web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.02)
        if request.path == "/cut":
            request.transport.close()
        await self.hold.wait()
        return aiohttp.web.Response(text="ok")


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    counting = Server()
    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(counting.answer), shutdown_timeout=0.1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        site = aiohttp.web.SockSite(runner, bound)
        await site.start()
        yield counting, f"http://127.0.0.1:{bound.getsockname()[1]}"
        await runner.cleanup()


async def test_connections_are_kept_and_renewed_after_a_minute(
    server: tuple[Server, str],
) -> None:
    counting, url = server
    now = 0.0
    transport = FreshTransport(clock=lambda: now)
    async with connect(url, caller=Caller(KEY), audience="x", transport=transport) as client:
        for _ in range(5):
            await client.get("/")
        kept = len(counting.connections)
        now = 61.0
        for _ in range(5):
            await client.get("/")

    assert (kept, len(counting.connections)) == (1, 2)


async def test_a_request_in_flight_outlives_its_generation(server: tuple[Server, str]) -> None:
    counting, url = server
    now = 0.0
    transport = FreshTransport(clock=lambda: now)
    async with connect(url, caller=Caller(KEY), audience="x", transport=transport) as client:
        counting.hold.clear()
        old = asyncio.create_task(client.get("/"))
        await counting.arrivals.get()
        now = 61.0
        new = asyncio.create_task(client.get("/"))
        await counting.arrivals.get()
        counting.hold.set()
        answers = await asyncio.gather(old, new)

    assert [answer.text for answer in answers] == ["ok", "ok"]


@pytest.mark.parametrize("path", ["/drip", "/cut"])
async def test_a_drip_or_a_cut_is_unavailable_and_not_repeated(
    server: tuple[Server, str], path: str
) -> None:
    """O4: time-outs hold for the whole answer, and a verification is never sent twice."""
    counting, url = server
    timeout = timedelta(seconds=2)  # in which the question reaches the server, whatever else runs
    async with connect(url, caller=Caller(KEY), audience="x", timeout=timeout) as client:
        with pytest.raises(Unavailable):
            await client.post(path)

    assert counting.requests == 1


async def test_nobody_listening_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    async with connect(f"http://127.0.0.1:{port}", caller=Caller(KEY), audience="x") as client:
        with pytest.raises(Unavailable):
            await client.get("/")
