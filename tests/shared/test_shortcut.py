"""Plain endpoints are called straight, and nobody who asks can tell."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException

import services.recovery.api
import services.totp.api
import services.webauthn.api
from shared.auth import admitted
from shared.errors import Unauthenticated
from shared.factor import Id
from shared.http import create_service, include, json_answer, json_body
from shared.http.shortcut import Shortcut, way_to


class Told(BaseModel):
    """What an endpoint was given."""

    by: str
    given: list[str]


async def guard(request: Request) -> None:
    """Let pass who gives the word."""
    if request.headers.get("word") != "friend":
        raise Unauthenticated("The word is another.")


router = APIRouter(dependencies=[Depends(guard)])


async def state(request: Request) -> str:
    """Return what the application keeps."""
    return str(request.app.state.kept)


Kept = Annotated[str, Depends(state)]
UserId = Annotated[Id, Path()]


@router.get("/v1/users/{user_id}/things/{thing_id}")
async def thing(user_id: UserId, thing_id: UserId, kept: Kept) -> Response:
    return json_answer(Told(by="thing", given=[user_id, thing_id, kept]))


@router.get("/v1/users/{user_id}/things/last")
async def last(user_id: UserId) -> Response:
    return json_answer(Told(by="last", given=[user_id]))


@router.post("/v1/users/{user_id}/things")
async def make(user_id: UserId, told: Annotated[Told, Depends(json_body(Told))]) -> Response:
    return json_answer(Told(by="make", given=[user_id, told.by]))


@router.delete("/v1/users/{user_id}/things")
async def fail(user_id: UserId) -> Response:
    raise RuntimeError(user_id)


@router.get("/v1/things")
async def query(size: Annotated[int, Query()] = 1) -> Response:
    return json_answer(Told(by="query", given=[str(size)]))


def service(own: APIRouter = router, *, straight: bool) -> FastAPI:
    """Return a service with these routes, with and without the shortcut."""
    app = create_service("sample")
    app.state.kept = "kept"
    include(app, own)
    if not straight:
        layers: list[Any] = app.user_middleware
        app.user_middleware = [layer for layer in layers if layer.cls is not Shortcut]
    return app


FRIEND = {"word": "friend"}
ANY_ID = "/v1/users/u1/things"
REQUESTS: list[tuple[str, str, dict[str, str], bytes]] = [
    ("GET", f"{ANY_ID}/t1", FRIEND, b""),
    ("GET", f"{ANY_ID}/t1?x=1", FRIEND, b""),
    ("GET", f"{ANY_ID}/last", FRIEND, b""),  # the first that fits
    ("GET", f"{ANY_ID}/t1", {}, b""),
    ("GET", f"{ANY_ID}/t1", {"word": "foe"}, b""),
    ("GET", f"{ANY_ID}/t.1", FRIEND, b""),
    ("GET", f"{ANY_ID}/t.1", {}, b""),  # who is nobody learns nothing of what is wrong
    ("GET", f"{ANY_ID}/{'t' * 65}", FRIEND, b""),
    ("GET", f"{ANY_ID}/t%2F1", FRIEND, b""),
    ("GET", f"{ANY_ID}/%741", FRIEND, b""),
    ("GET", f"{ANY_ID}/", FRIEND, b""),
    ("GET", f"{ANY_ID}/t1/", FRIEND, b""),
    ("GET", f"/{ANY_ID}/t1", FRIEND, b""),
    ("GET", "/v1/users//things/t1", FRIEND, b""),
    ("GET", f"{ANY_ID}/T1".upper(), FRIEND, b""),
    ("HEAD", f"{ANY_ID}/t1", FRIEND, b""),
    ("OPTIONS", f"{ANY_ID}/t1", FRIEND, b""),
    ("PUT", f"{ANY_ID}/t1", FRIEND, b""),
    ("BREW", f"{ANY_ID}/t1", FRIEND, b""),
    ("POST", ANY_ID, FRIEND, b'{"by": "me", "given": []}'),
    ("POST", ANY_ID, {}, b'{"by": "me", "given": []}'),
    ("POST", ANY_ID, FRIEND, b'{"by": 1}'),
    ("POST", ANY_ID, FRIEND, b"{"),
    ("POST", ANY_ID, {}, b"{"),
    ("POST", ANY_ID, FRIEND, b"x" * 70_000),
    ("DELETE", ANY_ID, FRIEND, b""),
    ("GET", "/v1/things?size=2", FRIEND, b""),
    ("GET", "/v1/things?size=x", FRIEND, b""),
    ("GET", "/v1/nothing", FRIEND, b""),
]


@pytest.mark.parametrize(("method", "path", "headers", "body"), REQUESTS)
async def test_the_answer_is_that_of_fastapi(
    method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    seen = [
        await asked(service(straight=straight), method, path, headers, body)
        for straight in (True, False)
    ]

    assert seen[0] == seen[1]


async def asked(
    app: FastAPI, method: str, path: str, headers: dict[str, str] = FRIEND, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """Return all that is answered, but for what no two answers share."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://sample"
    ) as http:
        answer = await http.request(method, path, headers=headers, content=body)
    shown = {name: text for name, text in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, shown, answer.content


async def test_what_is_plain_goes_straight() -> None:
    """Else the test above would compare FastAPI with itself."""
    app = service(straight=True)
    app.router.routes.clear()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sample") as http:
        answer = await http.get(f"{ANY_ID}/t1", headers=FRIEND)
        lost = await http.get("/v1/things", headers=FRIEND)

    assert answer.json() == {"by": "thing", "given": ["u1", "t1", "kept"]}
    assert lost.status_code == 404


async def where(request: Request) -> str:
    """Return how the request was found."""
    return f"{request.path_params} {request.scope['endpoint'].__name__}"


async def refuse_eve(request: Request) -> None:
    """Let everybody pass but one."""
    if request.path_params.get("user_id") == "eve":
        raise HTTPException(403)


async def found(user_id: UserId, at: Annotated[str, Depends(where)]) -> Response:
    return Response(user_id + at)


async def conflict(user_id: UserId) -> Response:
    raise HTTPException(409, user_id)


async def first(user_id: UserId) -> Response:
    return Response("first " + user_id)


async def second() -> Response:
    return Response("second")


async def everything(rest: str) -> Response:
    return Response("everything " + rest)


@pytest.mark.parametrize("user_id", ["ada", "eve", "last.one", "ada%0A", "%FF", "ada/more"])
@pytest.mark.parametrize(
    "routes",
    [
        pytest.param([("{user_id}", found)], id="what a dependency may ask of a request"),
        pytest.param([("{user_id}", conflict)], id="errors of HTTP"),
        pytest.param([("{user_id}", first), ("last.one", second)], id="refused by the first"),
        pytest.param([("last.one", second), ("{user_id}", first)], id="taken by the first"),
        pytest.param([("{rest:path}", everything), ("{user_id}", first)], id="behind what is not"),
    ],
)
async def test_the_route_is_the_one_that_fastapi_finds(
    routes: Sequence[tuple[str, Any]], user_id: str
) -> None:
    own = APIRouter(dependencies=[Depends(refuse_eve)])
    for path, endpoint in routes:
        own.add_api_route(f"/v1/{path}", endpoint)

    seen = [
        await asked(service(own, straight=straight), "GET", f"/v1/{user_id}")
        for straight in (True, False)
    ]

    assert seen[0] == seen[1]


def test_what_nothing_guards_is_not_served() -> None:
    own = APIRouter()
    own.add_api_route("/v1/ready", second)

    with pytest.raises(TypeError, match="nothing guards"):
        include(create_service("sample"), router, own)


async def test_where_no_guard_is_set_nobody_is_admitted() -> None:
    own = APIRouter(dependencies=[Depends(admitted)])
    own.add_api_route("/v1/ready", second)

    for straight in (True, False):
        status, _, content = await asked(service(own, straight=straight), "GET", "/v1/ready")
        assert status == 500
        assert b"second" not in content


@pytest.mark.parametrize(
    "router",
    [services.totp.api.router, services.webauthn.api.router, *services.recovery.api.routers],
)
def test_all_that_factors_serve_is_plain(router: APIRouter) -> None:
    assert [route for route in router.routes if way_to(route) is None] == []


async def gives_back() -> AsyncIterator[str]:
    """Yield what has to be cleaned up."""
    yield "held"


def blocks(request: Request) -> str:
    """Return what a thread has to wait for."""
    return request.url.path


async def asks_more(request: Request, kept: Kept) -> str:
    """Return what depends on more."""
    return request.url.path + kept


@pytest.mark.parametrize(
    "dependency",
    [
        *(Depends(each) for each in (gives_back, blocks, asks_more)),
        Depends(state, max_concurrency=1),
        Depends(state, use_cache=False),
    ],
)
def test_a_dependency_that_needs_more_is_not_plain(dependency: Any) -> None:
    async def endpoint(user_id: UserId, given: Annotated[str, dependency]) -> Response:
        return Response(user_id + given)

    own = APIRouter()
    own.add_api_route("/v1/{user_id}", endpoint)
    own.add_api_route("/v1/guarded/{user_id}", last, dependencies=[dependency])
    assert [way_to(route) for route in own.routes] == [None, None]


def test_what_fastapi_has_to_read_or_to_shape_is_not_plain() -> None:
    async def from_header(agent: Annotated[str, Header()]) -> Response:
        return Response(agent)

    async def shaped(user_id: UserId) -> Told:
        return Told(by=user_id, given=[])

    async def part_of_a_segment(user_id: UserId) -> Response:
        return Response(user_id)

    own = APIRouter()
    own.add_api_route("/header", from_header)
    own.add_api_route("/shaped/{user_id}", shaped)
    own.add_api_route("/part/{user_id:path}", part_of_a_segment)
    assert [way_to(route) for route in own.routes] == [None, None, None]
    assert way_to(router.routes[-1]) is None


class Own(APIRoute):
    """A route that may handle requests in a way of its own."""


def test_what_does_more_than_to_call_its_endpoint_is_not_plain() -> None:
    def blocking(user_id: UserId) -> Response:
        return Response(user_id)

    async def twice(one: Kept, other: Kept) -> Response:
        return Response(one + other)

    async def bare(user_id: UserId, size="1") -> Response:  # type: ignore[no-untyped-def]
        return Response(user_id + size)

    own = APIRouter()
    for endpoint in (blocking, twice, bare):
        own.add_api_route("/v1/{user_id}" if endpoint is not twice else "/v1", endpoint)
    own.add_api_route("/v1/bounded/{user_id}", first, max_body_size=1)
    own.add_api_route("/v1/own/{user_id}", first, route_class_override=Own)
    own.add_api_route("/v1/plain/{user_id}", first)
    assert [way_to(route) is None for route in own.routes] == [True] * 5 + [False]
