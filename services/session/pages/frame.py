"""What every request for a page goes through, and what every page is told to the browser with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.session.api.browser import is_foreign_request, is_own_form
from services.session.api.edge import BrowserEdge, EdgeSettings
from services.session.domain.access import Access
from services.session.flows import Flows
from services.session.flows.outcomes import Outcome, Visit
from services.session.pages.answers import Answer, File, Given, GoTo, Show
from services.session.pages.call import Call, Handler, barred
from services.session.pages.mishaps import Mishaps
from services.session.pages.paths import PATHS
from services.session.pages.press import HEADERS, Press
from shared.errors import CountersignError, Malformed, Mistake, Unavailable
from shared.http.plain import Endpoint, serve

CSRF_FIELD = "csrfmiddlewaretoken"  # as Django calls it
MAX_FIELDS = 120
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, kw_only=True)
class Route:
    """A page: by which name and method it is asked for, who may see it, and who answers.

    What `opens_session` without a proof is not for other sites to ask for.
    """

    name: str
    method: str
    access: Access
    handler: Handler
    opens_session: bool = False


class Pages:
    """The pages of one matter, collected by decorators."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def get(self, name: str, *, access: Access, opens_session: bool = False) -> Callable[[H], H]:
        """Answer GET at the page of that name."""
        return self._add("GET", name, access, opens_session=opens_session)

    def post(self, name: str, *, access: Access) -> Callable[[H], H]:
        """Answer POST at the page of that name."""
        return self._add("POST", name, access)

    def _add(
        self, method: str, name: str, access: Access, *, opens_session: bool = False
    ) -> Callable[[H], H]:
        def add(handler: H) -> H:
            route = Route(
                name=name,
                method=method,
                access=access,
                handler=handler,
                opens_session=opens_session,
            )
            self.all.append(route)
            return handler

        return add


class Frame(BrowserEdge):
    """The edge that pages share with the API for browsers: the same cookies, rules and limits.

    The CSRF token comes in a field of the form in place of a header.
    """

    def __init__(
        self, flows: Flows, settings: EdgeSettings, press: Press, mishaps: Mishaps
    ) -> None:
        super().__init__(flows, settings)
        self._press = press
        self._mishaps = mishaps

    def language(self, request: Request) -> str:
        """Return what somebody has chosen, or else what their browser says that they read."""
        return self._press.language(request)

    async def page(self, request: Request, route: Route) -> Response:
        """Return the answer to a request for `route`.

        What is our own fault is caught and logged by the edge that all services share, which has
        `Mishaps` tell of it.
        """
        sheet = Sheet(self, request, self._settings, self._press)
        told, path = self._mishaps, request.url.path
        try:
            form = await _form(request)
            if not self._is_own(request, route, form):
                return sheet.write(told.show(path, 403, "stale_form"))
            visit = await self.recognise(request, self._session_token(request))
            sheet.visit = visit
            call = self._call(request, visit, form)
            sheet.call = call
            answer = barred(call, route.access) or await route.handler(call)
        except Unavailable as error:
            log.warning("page_unavailable", page=route.name, reason=error.detail)
            return sheet.write(told.show(path, 503, "unavailable", error.retry_after))
        except Mistake as error:
            return sheet.write(told.show(path, _status_of(error), error.code))
        return sheet.write(answer)

    def _session_token(self, request: Request) -> str | None:
        return request.cookies.get(self._settings.session_cookie.name)

    def _is_own(self, request: Request, route: Route, form: Mapping[str, str]) -> bool:
        settings = self._settings
        if route.opens_session and is_foreign_request(request, settings.cors_origins):
            return False
        return is_own_form(
            request,
            form.get(CSRF_FIELD, ""),
            cookie=settings.csrf_cookie.name,
            origins=settings.origins,
            secure=settings.secure,
        )

    def _call(self, request: Request, visit: Visit, form: Mapping[str, str]) -> Call:
        return Call(
            flows=self._flows,
            visit=visit,
            site=self._press.site,
            path=request.url.path,
            parts=request.path_params,
            query=request.query_params,
            form=form,
        )


class Sheet:
    """An answer in the making, and what is known by then of who asks."""

    def __init__(
        self, frame: Frame, request: Request, settings: EdgeSettings, press: Press
    ) -> None:
        self._frame = frame
        self._request = request
        self._settings = settings
        self._press = press
        self.visit: Visit | None = None
        self.call: Call | None = None

    def write(self, answer: Answer) -> Response:
        """Return the response, with the cookies that follow from what was done."""
        csrf = self._press.csrf(self._request)
        response = self._response(answer, csrf)
        response.headers.update(HEADERS)
        if self.visit is not None:
            outcome = None if isinstance(answer, File) else answer.outcome
            self._keep(response, outcome, csrf)
        else:
            self._settings.csrf_cookie.set(response, csrf)
        response.headers["Vary"] = HEADERS["Vary"]
        self._tell(response, answer)
        return response

    def _keep(self, response: Response, outcome: Outcome | None, csrf: str) -> None:
        if self.visit is not None:
            self._frame.keep(self._request, response, self.visit, outcome, csrf)

    def _tell(self, response: Response, answer: Answer) -> None:
        """Have the next page say what was done, or forget what this one has said."""
        cookie = self._press.site.notice
        if isinstance(answer, GoTo) and answer.notice is not None:
            cookie.set(response, answer.notice)
        elif isinstance(answer, Show) and cookie.name in self._request.cookies:
            cookie.delete(response)
        if isinstance(answer, GoTo) and answer.language is not None:
            self._press.site.language.set(response, answer.language)

    def _response(self, answer: Answer, csrf: str) -> Response:
        match answer:
            case GoTo(url=url):
                return RedirectResponse(url, status_code=303)
            case Given(value=value, status=status):
                return JSONResponse(value, status_code=status)
            case File(text=text, name=name):
                disposition = f'attachment; filename="{name}"'
                response = Response(text, media_type="text/plain; charset=utf-8")
                response.headers["Content-Disposition"] = disposition
                return response
            case Show():
                return self._press.print(self._request, answer, csrf=csrf, call=self.call)


def add(app: FastAPI, frame: Frame, routes: Sequence[Route], mishaps: Mishaps) -> None:
    """Serve `routes` at their paths, and lead there who has left out the last slash.

    Who asks by another method is told so.
    """
    allowed: dict[str, list[str]] = {}
    for route in routes:
        path = PATHS[route.name]
        allowed.setdefault(path, []).append(route.method)
        serve(app, path, _serving(frame, route), [route.method])
    for path, methods in allowed.items():
        others = sorted(METHODS - set(methods))
        serve(app, path, mishaps.refusing(methods), others)
    for path in readable(routes):
        if "{" not in path and path != "/":
            serve(app, path.rstrip("/"), leading_to(path))


def readable(routes: Sequence[Route]) -> list[str]:
    """Return the paths that can be opened, with their places."""
    return sorted({PATHS[route.name] for route in routes if route.method == "GET"})


def leading_to(path: str) -> Endpoint:
    """Return what leads on to `path`, with all that stands behind it."""

    async def lead(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(
            path + query, status_code=302, headers={"Cache-Control": "no-store"}
        )

    return lead


def _serving(frame: Frame, route: Route) -> Endpoint:
    async def serve(request: Request) -> Response:
        return await frame.page(request, route)

    return serve


async def _form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, the last of each name. Raises Malformed for anything else."""
    if request.method != "POST":
        return {}
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise Malformed("The form cannot be read.", code="unreadable_form") from None
    return dict(pairs)


def _status_of(error: CountersignError) -> int:
    return 404 if error.code == "not_found" else 400
