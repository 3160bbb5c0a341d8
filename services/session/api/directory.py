"""Finds the endpoint of a request by its path alone, before anything is tried in turn."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.plain import Endpoint, PlainRoute


@dataclass(frozen=True)
class Entry:
    """An endpoint, and the path that it is counted by."""

    path: str
    endpoint: Endpoint


class Served(PlainRoute):
    """A route for whatever is not listed: it has one method, and `HEAD` does not come with `GET`.

    Refusals are counted by it: a method that it does not have is asked of a path that there is.
    """

    def __init__(self, path: str, method: str, endpoint: Endpoint) -> None:
        super().__init__(path, endpoint, include_in_schema=False)
        self.methods = {method}


class Directory:
    """Answers what is listed, and leaves all else to the application.

    The API's paths have no parameters, and what its endpoints need is in the request. So there is
    nothing to match, no dependency to solve and nothing to clean up, which takes FastAPI as long
    as the cheapest endpoint takes for its work. Methods that a path does not have, paths that there
    are not, and errors that FastAPI makes answers of, are the application's as before.
    """

    def __init__(self, app: ASGIApp, *, entries: Mapping[tuple[str, str], Entry]) -> None:
        """Take what is listed, by method and path."""
        self._app = app
        self._entries = entries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. What is raised is for the edge that all services share."""
        entry = None
        if scope["type"] == "http" and not scope["root_path"]:
            entry = self._entries.get((scope["method"], scope["path"]))
        if entry is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = entry
        response = await entry.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
