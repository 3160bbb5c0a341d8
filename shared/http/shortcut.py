"""Calls plain endpoints straight, without what FastAPI does for those that need more."""

import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast, get_args, get_type_hints

from fastapi import APIRouter, FastAPI
from fastapi.params import Depends as Depending
from fastapi.params import Path
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Dependency = Callable[[Request], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Way:
    """The way to an endpoint that takes whole segments of the path, and what `given` finds out.

    `guards` come before, and what they find out is not asked for.
    """

    route: APIRoute
    guards: tuple[Dependency, ...]
    segments: tuple[str | None, ...]  # None where there is a parameter
    parameters: tuple[tuple[int, str, TypeAdapter[Any]], ...]  # number of the segment, name, type
    given: tuple[tuple[str, Dependency], ...]

    def fits(self, sent: Sequence[str]) -> bool:
        """Tell whether the path is one of the route's, whatever its parameters are worth."""
        for own, other in zip(self.segments, sent, strict=True):
            if own != other if own is not None else not other:
                return False
        return True

    def arguments(self, sent: Sequence[str]) -> dict[str, object] | None:
        """Return what the endpoint takes of a path, by name, or None if it is to be refused."""
        try:
            return {
                name: kind.validate_python(sent[number]) for number, name, kind in self.parameters
            }
        except ValidationError:
            return None


class Shortcut:
    """Answers where there is a way, and leaves all else to the application: refusals, above all.

    To match a path, to solve dependencies and to clean up after them takes FastAPI about as long
    as a factor takes for all the rest. Its endpoints have ids in their paths, and dependencies
    that take the request and leave nothing to clean up.
    """

    def __init__(self, app: ASGIApp, *, ways: Iterable[Way]) -> None:
        self._app = app
        self._ways: dict[tuple[str, int], list[Way]] = defaultdict(list)
        for way in ways:
            for method in way.route.methods or ():
                self._ways[method, len(way.segments)].append(way)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. What is raised is for the edge that all services share."""
        found = self._find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        way, arguments = found
        scope["route"], scope["endpoint"] = way.route, way.route.endpoint
        request = Request(scope, receive, send)
        for guard in way.guards:
            await guard(request)
        for name, dependency in way.given:
            arguments[name] = await dependency(request)
        response: Response = await way.route.endpoint(**arguments)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Way, dict[str, object]] | None:
        if scope["type"] != "http" or scope["root_path"]:
            return None
        sent = scope["path"].split("/")
        ways = self._ways.get((scope["method"], len(sent)), ())
        way = next((way for way in ways if way.fits(sent)), None)
        arguments = None if way is None else way.arguments(sent)
        if way is None or arguments is None:
            return None
        scope["path_params"] = {name: sent[number] for number, name, _ in way.parameters}
        return way, arguments


def include(app: FastAPI, *routers: APIRouter) -> None:
    """Serve the routes of `routers`: plain ones by a shortcut.

    Raises TypeError if there is one that nothing guards.
    """
    routes = [route for router in routers for route in router.routes]
    for route in routes:
        if not getattr(route, "dependencies", ()):
            raise TypeError(f"nothing guards {route}")
    app.router.routes.extend(routes)
    ways = list(_ways_to(app.router.routes))
    # Within everything that a request passes; `add_middleware` would put it around all that.
    app.user_middleware.append(Middleware(Shortcut, ways=ways))


def _ways_to(routes: Iterable[object]) -> Iterator[Way]:
    """Return the ways up to the first route that is not plain: that may be the one that fits."""
    for route in routes:
        way = way_to(route)
        if way is None:
            return
        yield way


def way_to(route: object) -> Way | None:
    """Return the way to an endpoint, or None if it is not plain."""
    if not _is_plain(route):
        return None
    texts = route.path.split("/")
    numbers = {text[1:-1]: number for number, text in enumerate(texts) if text.startswith("{")}
    parameters, given = [], []
    for name, hint in _hints(route).items():
        marks = get_args(hint)[1:]
        if name in numbers and any(isinstance(mark, Path) for mark in marks):
            parameters.append((numbers.pop(name), name, TypeAdapter(hint)))
        elif len(marks) == 1 and _is_simple(marks[0]):
            given.append((name, cast("Dependency", marks[0].dependency)))
        else:
            return None
    guards = [cast("Dependency", guard.dependency) for guard in route.dependencies]
    called = [*guards, *(dependency for _, dependency in given)]
    if numbers or len(set(called)) < len(called):  # FastAPI calls what is there twice but once
        return None
    segments = tuple(None if text.startswith("{") else text for text in texts)
    return Way(route, tuple(guards), segments, tuple(parameters), tuple(given))


def _is_plain(route: object) -> TypeGuard[APIRoute]:
    """Tell whether a route has nothing of its own, and its endpoint awaits and makes a response."""
    if type(route) is not APIRoute or route.max_body_size is not None:
        return False
    signature = inspect.signature(route.endpoint, eval_str=True)
    return (
        inspect.iscoroutinefunction(route.endpoint)
        and inspect.isclass(signature.return_annotation)
        and issubclass(signature.return_annotation, Response)
        and signature.parameters.keys() == _hints(route).keys()
        and all(map(_is_simple, route.dependencies))
    )


def _hints(route: APIRoute) -> dict[str, Any]:
    hints = get_type_hints(route.endpoint, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "return"}


def _is_simple(mark: object) -> TypeGuard[Depending]:
    """Tell whether a dependency takes the request, nothing else, and is over when it returns."""
    if not isinstance(mark, Depending) or mark != Depending(mark.dependency):
        return False
    if not inspect.iscoroutinefunction(mark.dependency):
        return False
    taken = inspect.signature(mark.dependency, eval_str=True).parameters.values()
    return [parameter.annotation for parameter in taken] == [Request]
