"""Which other origins' pages may read the API's answers (CORS): an exact list, and credentials."""

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.session.api.envelope import bare

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SENT = (
    "Authorization",
    "X-Email-Verification-Key",
    "X-Password-Reset-Key",
    "X-Session-Token",
)
READ = ("Allow", "Retry-After", "X-Request-ID")


class Cors(CORSMiddleware):
    """Starlette's, for paths under `prefix` alone, and telling origins off the list nothing.

    To read is not to write: what a browser client sends still needs a trusted origin and the CSRF
    token.
    """

    def __init__(
        self, app: ASGIApp, *, prefix: str, origins: Sequence[str], csrf_header: str
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=(*SENT, csrf_header),
            expose_headers=READ,
            allow_credentials=True,
        )
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or let the request through and mark its answer."""
        if scope["type"] == "http" and scope["path"].startswith(self._prefix):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return what may be asked, or 403 to an origin, a method or a header off the lists."""
        answer = super().preflight_response(request_headers)
        if answer.status_code != 200:  # noqa: PLR2004
            return bare(403, headers={"Vary": "Origin"})
        return bare(
            200,
            headers={
                name: value
                for name, value in answer.headers.items()
                if name == "vary" or name.startswith("access-control-")
            },
        )

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Let a listed origin read, and say to all that it depends on the origin."""
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            origin = request_headers.get("origin")
            if origin is not None and self.is_allowed_origin(origin):
                headers.update(self.simple_headers)
                headers["Access-Control-Allow-Origin"] = origin
            headers.add_vary_header("Origin")
        await send(message)
