"""What every public answer tells browsers, so that they make no more of it than it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Of no effect on what CORS has allowed: it bars images, scripts and the like of other sites.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, kw_only=True)
class TransportSecurity:
    """How long browsers come by HTTPS alone (RFC 6797), in Django's terms; 0 seconds: unsaid."""

    seconds: int = 0
    include_subdomains: bool = False
    preload: bool = False

    def headers(self) -> Mapping[str, str]:
        """Return the header that says so, if it is said."""
        if not self.seconds:
            return {}
        parts = [f"max-age={self.seconds}"]
        parts += ["includeSubDomains"] if self.include_subdomains else []
        parts += ["preload"] if self.preload else []
        return {"Strict-Transport-Security": "; ".join(parts)}


class SecurityHeaders:
    """Middleware that adds to each answer what it does not say itself: a page has its own policy.

    Outermost, for answers of other middleware too.
    """

    def __init__(self, app: ASGIApp, transport: TransportSecurity) -> None:
        self._app = app
        self._headers = [
            (name.lower().encode(), value.encode())
            for name, value in {**HEADERS, **transport.headers()}.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and complete its answer."""

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = list(message.get("headers", ()))
                names = {name for name, _ in said}
                said += [header for header in self._headers if header[0] not in names]
                message = {**message, "headers": said}
            await send(message)

        await self._app(scope, receive, complete)
