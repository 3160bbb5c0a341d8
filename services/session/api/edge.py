"""What every public request goes through: who sent it, may they, and what does it say."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from services.session.api import envelope, fields
from services.session.api.address import client_address
from services.session.api.browser import (
    SEPARATOR,
    Cookie,
    is_csrf_token,
    is_foreign_request,
    is_own_request,
    new_csrf_token,
    origin_of,
    trust_tokens_of,
)
from services.session.api.cors import Cors
from services.session.api.directory import Directory, Entry, Served
from services.session.api.envelope import Shown
from services.session.api.headers import SecurityHeaders, TransportSecurity
from services.session.api.hosts import AllowedHosts
from services.session.api.openapi import (
    STANDING,
    Answers,
    Body,
    Codes,
    Operation,
    Switches,
    describe,
)
from services.session.domain.access import Access
from services.session.domain.faults import Fault
from services.session.domain.languages import Languages
from services.session.domain.sessions import Client
from services.session.flows import Flows
from services.session.flows.outcomes import (
    Asked,
    Gone,
    LoginNeeded,
    Outcome,
    Standing,
    TrustedBrowsers,
    Visit,
)
from services.session.flows.spoken import speak
from shared import context
from shared.errors import Malformed, Mistake
from shared.http import describe as describe_error
from shared.http import parse_json
from shared.http.plain import Endpoint

T = TypeVar("T")

ROOT = "/_allauth/"
PREFIX = ROOT + "{client}/v1"
TOKEN_HEADER = "x-session-token"  # noqa: S105 - the name of a header


@dataclass(frozen=True, kw_only=True)
class EdgeSettings:
    """Everything about the outside that is configured.

    `trusted_origins` are origins of pages besides that of `public_url`, and `cors_origins` those
    that may read answers from elsewhere; `csrf_header` is a header's name, in lower case;
    without a `trust_cookie` no browser is trusted; without a `bearer_scheme` no access token opens
    anything; `ways` are the flows by which anybody may log
    in;
    `client_ip_header` and `trusted_proxy_count` as in `client_address`; `transport` is said only
    where people come by HTTPS; `languages` are those that people are written to in.
    """

    public_url: str
    clients: frozenset[Client]
    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    session_cookie: Cookie
    csrf_cookie: Cookie
    trust_cookie: Cookie | None = None
    csrf_header: str = "x-csrftoken"
    bearer_scheme: str | None = None
    ways: tuple[str, ...] = envelope.WAYS
    trusted_proxy_count: int = 0
    client_ip_header: str | None = None
    transport: TransportSecurity = field(default_factory=TransportSecurity)
    languages: Languages = field(default_factory=Languages)

    @cached_property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may write: an exact list."""
        urls = (self.public_url, *self.trusted_origins)
        return frozenset(origin for origin in map(origin_of, urls) if origin is not None)

    @property
    def secure(self) -> bool:
        """Whether people reach the service by HTTPS, whatever a proxy makes of it."""
        return self.public_url.lower().startswith("https://")


class Invalid(Exception):
    """Members of the request are missing or unusable; becomes 400 with all of `faults`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(", ".join(fault.code for fault in faults))
        self.faults = tuple(faults)


def sound(value: T | Fault) -> T:
    """Return what was read of a member. Raises Invalid if it is a fault."""
    if isinstance(value, Fault):
        raise Invalid([value])
    return value


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, as a route gets it: recognised, admitted and read.

    `asked` are the names in the query, whatever their values.
    """

    flows: Flows
    visit: Visit
    members: Mapping[str, object] = field(repr=False)
    takes: tuple[fields.Text, ...]
    asked: frozenset[str] = frozenset()

    def form(self) -> dict[str, str]:
        """Return the members that the route takes, by name. Raises Invalid with every fault."""
        values, faults = self.read()
        if faults:
            raise Invalid(faults)
        return values

    def read(self) -> tuple[dict[str, str], list[Fault]]:
        """Return the members that are right, by name, and what is wrong with the others."""
        return fields.read(self.takes, self.members)


Handler = Callable[[Call], Awaitable[Outcome | Shown]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """An endpoint: what it is called by, who may call it, and the members that it takes.

    `answers` are the bodies that its flow can lead to, for the API's description; so is `body`,
    the schema of the members of a route that reads them by itself, so are `switches`, names in the
    query, and so are `codes`, those of the errors that are told by status, but for the ones of
    what cannot be read, which follow from `takes`. A route that is read takes its one member from
    the header `in_header`. What `opens_session` without a proof is not for other sites to ask for.
    """

    method: str
    path: str
    access: Access
    takes: tuple[fields.Text, ...]
    answers: Answers
    handler: Handler
    body: Body | None = None
    codes: Codes | None = None
    switches: Switches | None = None
    in_header: str | None = None
    opens_session: bool = False
    clients: frozenset[Client] = frozenset(Client)

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or self.handler.__name__).strip().partition("\n")[0]


class Routes:
    """The endpoints of one resource, collected by decorators.

    Paths are given without the prefix of the client. They are for all kinds of clients, or for
    `clients` alone.
    """

    def __init__(self, clients: Iterable[Client] = Client) -> None:
        self.all: list[Route] = []
        self._clients = frozenset(clients)

    def get(
        self,
        path: str,
        *,
        access: Access,
        takes: tuple[fields.Text, ...] = (),
        in_header: str | None = None,
        answers: Answers = STANDING,
        codes: Codes | None = None,
        switches: Switches | None = None,
        opens_session: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Answer GET at `path`. What it `takes` is one member, `in_header`."""
        return self._add(
            "GET",
            path,
            access,
            takes,
            answers,
            codes=codes,
            switches=switches,
            in_header=in_header,
            opens_session=opens_session,
        )

    def post(
        self,
        path: str,
        *,
        access: Access,
        takes: tuple[fields.Text, ...] = (),
        answers: Answers = STANDING,
        body: Body | None = None,
        codes: Codes | None = None,
    ) -> Callable[[Handler], Handler]:
        """Answer POST at `path`."""
        return self._add("POST", path, access, takes, answers, body=body, codes=codes)

    def put(
        self,
        path: str,
        *,
        access: Access,
        takes: tuple[fields.Text, ...] = (),
        answers: Answers = STANDING,
        body: Body | None = None,
        codes: Codes | None = None,
    ) -> Callable[[Handler], Handler]:
        """Answer PUT at `path`."""
        return self._add("PUT", path, access, takes, answers, body=body, codes=codes)

    def patch(
        self,
        path: str,
        *,
        access: Access,
        answers: Answers = STANDING,
        body: Body | None = None,
        codes: Codes | None = None,
    ) -> Callable[[Handler], Handler]:
        """Answer PATCH at `path`."""
        return self._add("PATCH", path, access, (), answers, body=body, codes=codes)

    def delete(
        self,
        path: str,
        *,
        access: Access,
        takes: tuple[fields.Text, ...] = (),
        answers: Answers = STANDING,
        body: Body | None = None,
        codes: Codes | None = None,
    ) -> Callable[[Handler], Handler]:
        """Answer DELETE at `path`."""
        return self._add("DELETE", path, access, takes, answers, body=body, codes=codes)

    def _add(
        self,
        method: str,
        path: str,
        access: Access,
        takes: tuple[fields.Text, ...],
        answers: Answers,
        *,
        body: Body | None = None,
        codes: Codes | None = None,
        switches: Switches | None = None,
        in_header: str | None = None,
        opens_session: bool = False,
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.all.append(
                Route(
                    method=method,
                    path=path,
                    access=access,
                    takes=takes,
                    answers=answers,
                    handler=handler,
                    body=body,
                    codes=codes,
                    switches=switches,
                    in_header=in_header,
                    opens_session=opens_session,
                    clients=self._clients,
                )
            )
            return handler

        return add


def mount(
    app: FastAPI, resources: Iterable[Routes], flows: Flows, settings: EdgeSettings
) -> list[Operation]:
    """Serve every route for each of the configured clients, and only for the allowed hosts.

    Returns how each of them is described. FastAPI is not told: for each route it would look into
    the endpoint's signature, and for each answer it would make a schema, at every start; that
    takes longer than all the rest of starting.
    """
    entries: dict[tuple[str, str], Entry] = {}
    operations = []
    for route in [route for resource in resources for route in resource.all]:
        for client in sorted(settings.clients & route.clients):
            path = PREFIX.format(client=client.value) + route.path
            edge = (BrowserEdge if client is Client.BROWSER else AppEdge)(flows, settings)
            endpoint = _endpoint(edge, route)
            entries[route.method, path] = Entry(path, endpoint)
            app.router.routes.append(Served(path, route.method, endpoint))
            operations.append(_described(client, path, route))
    app.router.redirect_slashes = False  # the redirect would repeat the Host header
    app.add_exception_handler(HTTPException, _http_errors(entries))
    # Within everything that a request passes; `add_middleware` would put it around all that.
    app.user_middleware.append(Middleware(Directory, entries=entries))
    _guard(app, settings)
    return operations


def _described(client: Client, path: str, route: Route) -> Operation:
    return describe(
        client=client,
        path=path,
        method=route.method,
        name=route.handler.__name__,
        summary=route.summary,
        access=route.access,
        takes=route.takes,
        body=route.body,
        codes=route.codes,
        switches=route.switches,
        in_header=route.in_header,
        opens_session=route.opens_session,
        answers=route.answers,
    )


def _guard(app: FastAPI, settings: EdgeSettings) -> None:
    """Put around the application what every request passes; each is added outside of the last."""
    app.add_middleware(AllowedHosts, allowed=settings.allowed_hosts)
    if settings.cors_origins:
        app.add_middleware(
            Cors, prefix=ROOT, origins=settings.cors_origins, csrf_header=settings.csrf_header
        )
    said = settings.transport if settings.secure else TransportSecurity()
    app.add_middleware(SecurityHeaders, transport=said)


class AppEdge:
    """The edge for clients that carry their session token in a header. Cookies mean nothing."""

    client = Client.APP

    def __init__(self, flows: Flows, settings: EdgeSettings) -> None:
        self._flows = flows
        self._settings = settings

    async def answer(self, request: Request, route: Route) -> Response:
        """Return the answer to a request for `route`; see `serve` for the order of things."""
        try:
            _, outcome = await self.serve(request, route, request.headers.get(TOKEN_HEADER))
        except (Mistake, Invalid) as error:
            return self.failed(request, error)
        token = outcome.token if isinstance(outcome, Standing | Asked) else None
        return envelope.render(outcome, token=token, ways=self._settings.ways)

    async def serve(
        self, request: Request, route: Route, token: str | None
    ) -> tuple[Visit, Outcome | Shown]:
        """Recognise the session, admit it to the route, read the body, and run the route.

        In this order, so that a session that may not call an endpoint learns nothing from it.
        """
        visit = await self.recognise(request, token)
        barred = self._flows.visits.admit(visit, route.access)
        if barred is not None:
            return visit, barred
        call = Call(
            flows=self._flows,
            visit=visit,
            members=await _members(request, route),
            takes=route.takes,
            asked=frozenset(request.query_params),
        )
        return visit, await route.handler(call)

    async def recognise(self, request: Request, token: str | None) -> Visit:
        """Return who asks, from where and in which session, and have logs and mails know it."""
        settings = self._settings
        address = client_address(
            request,
            proxies=settings.trusted_proxy_count,
            header=settings.client_ip_header,
        )
        user_agent = request.headers.get("user-agent", "")[: context.MAX_VALUE]
        _enter_context(self.client, address, user_agent)
        speak(self.language(request))
        visit = await self._flows.visits.recognise(
            self.client,
            token or None,
            address=address,
            user_agent=user_agent,
            access_token=self.access_token(request),
        )
        return replace(visit, trust_tokens=self.trust_tokens(request))

    def language(self, request: Request) -> str:
        """Return the language that the caller reads, of those that are spoken here."""
        return self._settings.languages.choose(request.headers.get("accept-language", ""))

    def access_token(self, request: Request) -> str | None:
        """Return the access token that an app shows, which counts where there is no other token."""
        given = request.headers.get("authorization", "").split()
        scheme = (self._settings.bearer_scheme or "").lower()
        return given[1] if [word.lower() for word in given[:-1]] == [scheme] else None

    def trust_tokens(self, _request: Request) -> tuple[str, ...]:
        """Return what a browser shows where it is trusted. An app never is."""
        return ()

    def failed(self, request: Request, error: Mistake | Invalid) -> Response:
        """Return the answer to a mistake of the caller's.

        What is our own fault is caught, logged and told by the edge that all services share.
        """
        if isinstance(error, Invalid):
            return envelope.refused(error.faults)
        if isinstance(error, Gone):
            return envelope.gone(self._settings.ways)
        return envelope.shape(request.scope, describe_error(error))


class BrowserEdge(AppEdge):
    """The edge for browsers: cookies, and proof that our own pages ask. No token headers."""

    client = Client.BROWSER

    async def answer(self, request: Request, route: Route) -> Response:
        """Return the answer to a request for `route`, with the cookies that it changes."""
        settings = self._settings
        if not is_own_request(
            request,
            cookie=settings.csrf_cookie.name,
            header=settings.csrf_header,
            origins=settings.origins,
            secure=settings.secure,
        ):
            return envelope.bare(403)
        if route.opens_session and is_foreign_request(request, settings.cors_origins):
            return envelope.bare(403)
        kept = request.cookies.get(settings.csrf_cookie.name, "")
        token = request.cookies.get(settings.session_cookie.name)
        try:
            visit, outcome = await self.serve(request, route, token)
        except (Mistake, Invalid) as error:
            response = self.failed(request, error)
            self._keep_csrf(response, kept)
            return response
        response = envelope.render(outcome, token=None, ways=settings.ways)
        self.keep(request, response, visit, outcome)
        return response

    def keep(
        self,
        request: Request,
        response: Response,
        visit: Visit,
        outcome: Outcome | Shown | None,
        csrf: str | None = None,
    ) -> None:
        """Have the browser keep what follows from an outcome: its session, its trust, its token.

        `csrf` is the token that is in the answer already, if one is.
        """
        settings = self._settings
        kept = request.cookies.get(settings.csrf_cookie.name, "") if csrf is None else csrf
        if isinstance(outcome, Standing | TrustedBrowsers):
            self._keep_trust(response, outcome.trust_tokens)
        token = outcome.token if isinstance(outcome, Standing | Asked) else None
        if token is not None:
            settings.session_cookie.set(response, token)
        if token is not None and isinstance(outcome, Standing):
            # A token that was planted before the login must not be good after it.
            kept = new_csrf_token()
        standing = outcome.visit if isinstance(outcome, Standing | LoginNeeded) else visit
        over = token is None and standing.session is None
        if over and settings.session_cookie.name in request.cookies:
            settings.session_cookie.delete(response)
        self._keep_csrf(response, kept)

    def access_token(self, _request: Request) -> str | None:
        """Return none: a browser's session is in its cookie, and nowhere else."""
        return None

    def trust_tokens(self, request: Request) -> tuple[str, ...]:
        """Return the tokens in the cookie of trust."""
        cookie = self._settings.trust_cookie
        return () if cookie is None else trust_tokens_of(request.cookies.get(cookie.name, ""))

    def _keep_trust(self, response: Response, tokens: Sequence[str] | None) -> None:
        cookie = self._settings.trust_cookie
        if cookie is None or tokens is None:
            return
        if tokens:
            cookie.set(response, SEPARATOR.join(tokens))
        else:
            cookie.delete(response)

    def _keep_csrf(self, response: Response, kept: str) -> None:
        value = kept if is_csrf_token(kept) else new_csrf_token()
        self._settings.csrf_cookie.set(response, value)
        response.headers["Vary"] = "Cookie"


def _endpoint(edge: AppEdge, route: Route) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await edge.answer(request, route)

    return endpoint


async def _members(request: Request, route: Route) -> Mapping[str, object]:
    if route.in_header is not None:
        return {field.name: request.headers.get(route.in_header) for field in route.takes}
    raw = b"" if request.method == "GET" else await request.body()
    if not raw:
        return {}
    value = parse_json(raw)
    if not isinstance(value, dict):
        raise Malformed("The body has to be a JSON object.", code="not_an_object")
    return value


def _enter_context(client: Client, address: str, user_agent: str) -> None:
    present = context.current()
    request_id = present.request_id if present else context.new_request_id()
    context.enter(
        context.Context(
            request_id=request_id, address=address, user_agent=user_agent, client=client.value
        )
    )


def _http_errors(
    listed: Iterable[tuple[str, str]],
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        allowed = [method for method, path in listed if path == request.url.path]
        headers = {"Allow": ", ".join(allowed)} if status == 405 and allowed else None  # noqa: PLR2004
        return envelope.bare(status, headers=headers)

    return answer
