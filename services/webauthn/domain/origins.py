"""Which pages and apps can be named as ones that may ask (section 5.8.1; RFC 6454)."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

ANDROID = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}", re.ASCII)  # SHA-256, base64url
DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*",
    re.ASCII,
)
DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str | None:
    """Return the origin of a URL as browsers write it, or None for what is no web address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    if parts.scheme.lower() not in DEFAULT_PORTS or not host:
        return None
    scheme = parts.scheme.lower()
    bracketed = f"[{host}]" if ":" in host else host
    is_default = port is None or port == DEFAULT_PORTS[scheme]
    return f"{scheme}://{bracketed}" + ("" if is_default else f":{port}")


def is_exact(origin: str) -> bool:
    """Tell whether `origin` is written as browsers write it, and may use WebAuthn at all.

    That is a secure page, a page of this machine, or an Android app by the hash of its key.
    """
    if ANDROID.fullmatch(origin):
        return True
    host = host_of(origin)
    if origin_of(origin) != origin or not (is_domain(host) or _is_address(host)):
        return False
    return origin.startswith("https:") or is_local(host)


def host_of(url: str) -> str:
    """Return the host in a URL, or nothing."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_local(host: str) -> bool:
    """Tell whether browsers take a page of `host` to be one of this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_domain(text: str) -> bool:
    """Tell whether `text` is a domain as an RP ID has to be: no port, no IP address."""
    return DOMAIN.fullmatch(text) is not None and not _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
