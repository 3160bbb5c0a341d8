"""Where pages are printed: in which language and dress, and what browsers are told of them."""

from dataclasses import replace
from math import ceil

import structlog
from starlette.requests import Request
from starlette.responses import Response

from services.session.api.browser import Cookie, is_csrf_token, new_csrf_token
from services.session.pages.answers import Show
from services.session.pages.assets import Assets
from services.session.pages.call import Call
from services.session.pages.site import Site
from services.session.pages.writer import Writer
from shared.clock import Clock

HTML = "text/html; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Permissions-Policy": (
        "publickey-credentials-get=(self), publickey-credentials-create=(self), "
        "clipboard-write=(self), camera=(), geolocation=(), microphone=()"
    ),
}

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Press:
    """Prints the pages of one site. `csrf_cookie` is where the token of its forms is kept."""

    def __init__(self, site: Site, csrf_cookie: Cookie, clock: Clock) -> None:
        self.site = site
        self.assets = Assets(site.brand)
        self._csrf_cookie = csrf_cookie
        self._writer = Writer(site, self.assets, clock)
        self._ours = self._writer
        if site.templates is not None:
            self._ours = Writer(replace(site, templates=None), self.assets, clock)

    def language(self, request: Request) -> str:
        """Return what somebody has chosen, or else what their browser says that they read."""
        wish = request.cookies.get(self.site.language.name)
        return self.site.languages.choose(request.headers.get("accept-language", ""), wish)

    def csrf(self, request: Request) -> str:
        """Return the token that the forms of the next page carry: the one kept, or a new one."""
        kept = request.cookies.get(self._csrf_cookie.name, "")
        return kept if is_csrf_token(kept) else new_csrf_token()

    def print(self, request: Request, show: Show, *, csrf: str, call: Call | None) -> Response:
        """Return a page. `call` is None where it is not known who asks."""
        return self._print(self._writer, request, show, csrf, call)

    def notify(self, request: Request, show: Show) -> Response:
        """Return a page for whoever asks: one of ours, if the site's own template fails."""
        csrf = self.csrf(request)
        try:
            response = self._print(self._writer, request, show, csrf, None)
        except Exception:  # whatever a template may raise that is none of ours
            log.exception("page_not_printed", template=show.template)
            response = self._print(self._ours, request, show, csrf, None)
        self._csrf_cookie.set(response, csrf)
        return response

    def _print(
        self, writer: Writer, request: Request, show: Show, csrf: str, call: Call | None
    ) -> Response:
        text = writer.write(
            show,
            self.language(request),
            csrf=csrf,
            call=call,
            path=request.url.path,
            notice=request.cookies.get(self.site.notice.name),
        )
        response = Response(text, status_code=show.status, headers=HEADERS, media_type=HTML)
        if show.retry_after is not None:
            seconds = max(1, ceil(show.retry_after.total_seconds()))
            response.headers["Retry-After"] = str(seconds)
        return response
