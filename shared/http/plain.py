"""Routes beside an API, such as pages: served as they are, without schema or dependencies."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

Endpoint = Callable[[Request], Awaitable[Response]]


class PlainRoute(Route):
    """A route that names itself to what counts requests, as FastAPI's own do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether this is the route of a request, and what is known of that then."""
        match, found = super().matches(scope)
        return match, found if match is Match.NONE else {**found, "route": self}


def serve(app: FastAPI, path: str, endpoint: Endpoint, methods: Sequence[str] = ("GET",)) -> None:
    """Have `endpoint` answer at `path`, behind all routes that there are already."""
    route = PlainRoute(path, endpoint, methods=list(methods), include_in_schema=False)
    app.router.routes.append(route)
