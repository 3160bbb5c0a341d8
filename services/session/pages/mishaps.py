"""Pages for what goes wrong before a page of ours is reached, within it, or in its place."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Scope

from services.session.api import edge, envelope
from services.session.pages.answers import Show
from services.session.pages.paths import ROOT
from services.session.pages.press import Press
from shared import context
from shared.http import describe
from shared.http.problems import Problem

SCRIPTS = (edge.ROOT, "/.well-known/")
"""Where programs ask, whatever they say that they read."""
BROKEN = 500  # from here on it is none of the asker's doing, and whoever runs the site looks it up
READING = frozenset({"GET", "HEAD"})


class Mishaps:
    """Tells people in a page what programs are told in an envelope.

    `readable` are the paths, with their places, that can be opened again.
    """

    def __init__(self, press: Press, readable: Sequence[str]) -> None:
        self._press = press
        self._readable = [compile_path(path)[0] for path in readable]

    def shape(self, scope: Scope, problem: Problem) -> Response:
        """Return what whoever asks is told of a problem."""
        if not is_for_people(scope):
            return envelope.shape(scope, problem)
        wait = None if problem.retry_after is None else timedelta(seconds=problem.retry_after)
        path = scope["path"]
        return self.tell(Request(scope), self.show(path, problem.status, problem.code, wait))

    def tell(self, request: Request, show: Show) -> Response:
        """Return the page to somebody of whom nothing is known."""
        return self._press.notify(request, show)

    def show(self, path: str, status: int, code: str, wait: timedelta | None = None) -> Show:
        """Return a page that says what went wrong at `path`, and how to go on."""
        again = path if any(page.match(path) for page in self._readable) else None
        present = context.current() if status >= BROKEN else None
        return Show(
            template="error.html",
            status=status,
            retry_after=wait,
            facts={
                "problem": code,
                "again": again,
                "reference": None if present is None else present.request_id,
            },
        )

    def stand_in(self, app: FastAPI) -> None:
        """Answer people where no route does, or none for that method."""
        for_programs = app.exception_handlers[HTTPException]

        async def answer(request: Request, error: Exception) -> Response:
            if is_for_people(request.scope):
                return self.shape(request.scope, describe(error))
            told: Awaitable[Response] = for_programs(request, error)  # type: ignore[assignment]
            return await told

        app.add_exception_handler(HTTPException, answer)

    def refusing(self, allowed: Sequence[str]) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers where only the methods `allowed` are understood."""

        async def refuse(request: Request) -> Response:
            show = self.show(request.url.path, 405, "method_not_allowed")
            response = self.tell(request, show)
            response.headers["Allow"] = ", ".join(sorted(allowed))
            return response

        return refuse


def is_for_people(scope: Scope) -> bool:
    """Tell whether somebody is looking: at a page of ours, or anywhere with a browser."""
    path = scope["path"]
    if path.startswith(ROOT) or path == ROOT.rstrip("/"):
        return True
    accepted = (value for name, value in scope["headers"] if name == b"accept")
    return not path.startswith(SCRIPTS) and any(b"text/html" in value for value in accepted)
