"""Where a request comes from: the peer, or what trusted proxies say of it."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

REMEMBERED = 1024  # peers, which mostly are proxies
UNKNOWN = "0.0.0.0"  # noqa: S104 - an address that nobody has, not one to listen on
"""Stands for a peer without an IP address, such as a Unix socket."""


def client_address(request: Request, *, proxies: int, header: str | None) -> str:
    """Return the client's IP address in its shortest form.

    With `header`, a proxy puts the address there by itself, and once. Otherwise `proxies` is how
    many proxies stand in front, each of which appends its peer to X-Forwarded-For: the address is
    that many from the right, since anything further left was written by the client. Where that
    cannot be read, the peer itself counts, so that a forged value never shares or dodges a limit.
    """
    peer = _parse(request.client.host if request.client else "") or UNKNOWN
    if header:
        named = request.headers.getlist(header)
        # Of several, all but one were written by the client, and nobody can tell which.
        return (_parse(named[0]) if len(named) == 1 else None) or peer
    if proxies <= 0:
        return peer
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    return (_parse(hops[-proxies]) if len(hops) >= proxies else None) or peer


@lru_cache(maxsize=REMEMBERED)
def _parse(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):  # "[2001:db8::1]:443"
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # "192.0.2.1:443"
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    # One machine, one spelling: no scope, and IPv4 seen through an IPv6 socket is IPv4.
    return str(address.ipv4_mapped or IPv6Address(int(address)))
