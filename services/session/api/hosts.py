"""Which hosts this service answers for, by an exact list: never what a Host header claims."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from services.session.api.envelope import refused
from services.session.domain.faults import Fault

FOREIGN_HOST = Fault(code="invalid_host", message="No such host is served here.")
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def default_hosts(public_url: str, *, development: bool) -> tuple[str, ...]:
    """Return the hosts to answer for when none are configured: that of `public_url`.

    In development also the names of this machine's loopback.
    """
    host = urlsplit(public_url).hostname or ""
    own = f"[{host}]" if ":" in host else host
    return (own, *LOOPBACK) if development else (own,)


def is_allowed(host: str, allowed: Sequence[str]) -> bool:
    """Tell whether a Host header is on the list, whatever its port.

    The list is in Django's notation: `.example.org` means that domain and everything below it,
    `*` any host.
    """
    name = _without_port(host.lower())
    return bool(name) and any(_matches(name, pattern.lower()) for pattern in allowed)


class AllowedHosts:
    """Middleware that answers 400 to every request meant for some other host.

    A foreign name means a forged header, or another site's name that was pointed at this address
    (DNS rebinding), which would put that site's scripts on our origin.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = tuple(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or refuse it."""
        if scope["type"] == "http" and not is_allowed(_host_of(scope), self._allowed):
            await refused([FOREIGN_HOST])(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host_of(scope: Scope) -> str:
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    # Two Host headers are read differently by different proxies; no client sends them.
    return hosts[0].decode("latin-1") if len(hosts) == 1 else ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        literal, bracket, rest = host.partition("]")
        name, between, port = literal + bracket, rest[:1], rest[1:]
    else:
        name, between, port = host.partition(":")
    if between and not (between == ":" and port.isascii() and port.isdigit()):
        return ""
    return name.removesuffix(".")


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("."):
        return name == pattern[1:] or name.endswith(pattern)
    return pattern in ("*", name)
