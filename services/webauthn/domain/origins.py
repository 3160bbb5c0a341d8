"""Which pages and apps can be named as ones that may ask (section 5.8.1; RFC 6454)."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from fido2.rpid import verify_rp_id

ANDROID = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}", re.ASCII)  # SHA-256, base64url
DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*",
    re.ASCII,
)
NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)  # a host that ends in one is an address
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
    if origin_of(origin) != origin or not (is_domain(host) or is_address(host)):
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
    """Tell whether `text` is a domain as an RP ID has to be: no port, no IP address.

    Names beyond ASCII are written as browsers compare them, in punycode.
    """
    labels = text.split(".")
    if DOMAIN.fullmatch(text) is None or NUMBER.fullmatch(labels[-1]):
        return False
    return all(_unicode(label) is not None for label in labels)


def is_public_suffix(domain: str) -> bool:
    """Tell whether anybody can have a domain below this one, as below `com` or `co.uk`.

    By the list that fido2 brings along, which has no punycode. Browsers refuse such RP IDs.
    """
    readable = ".".join(_unicode(label) or label for label in domain.split("."))
    return any(not verify_rp_id(name, f"https://www.{name}") for name in (domain, readable))


def is_within(host: str, domain: str) -> bool:
    """Tell whether pages of `host` can use the credentials of `domain`: it, or one below it."""
    return host == domain or host.endswith(f".{domain}")


def _unicode(label: str) -> str | None:
    """Return what a label of a domain reads as, or None for one that is no punycode."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode().decode("punycode")
    except UnicodeError:
        return None


def is_address(text: str) -> bool:
    """Tell whether `text` is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
