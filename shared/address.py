"""Addresses of databases and brokers: whether they can be read, before anything connects to them.

A character that is not percent-encoded ends a password early. What is left of it is then taken for
a port or a path, and told in messages that nobody expects to hold a secret.
"""

import re
from urllib.parse import SplitResult, parse_qs, urlsplit

BROKERS = frozenset({"amqp", "amqps", "pyamqp", "redis", "rediss"})
FILE = re.compile(r"sqlite:///[^?\x00-\x1f]+")
PLAIN = re.compile(r"[\x21-\x7e]+")
ENCODED = "characters such as / ? # @ in a password are written as %2F %3F %23 %40"


def check_database(url: str) -> None:
    """Raise ValueError, which does not repeat `url`, unless a database can be found by it."""
    if FILE.fullmatch(url):
        return
    parts = _split(url)
    if parts is None or parts.scheme != "postgresql":
        raise ValueError(
            "must be sqlite:////absolute/path or postgresql://user:password@host:port/name; "
            + ENCODED
        )


def check_broker(url: str) -> None:
    """Raise ValueError, which does not repeat `url`, unless a broker can be found by it."""
    parts = _split(url)
    if parts is None or parts.scheme not in BROKERS or not parts.hostname:
        raise ValueError(
            "must be amqp://user:password@host:port/vhost or redis://:password@host:port/number; "
            + ENCODED
        )


def _split(url: str) -> SplitResult | None:
    """Return the parts of `url`, or None if they are not where they should be."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a number, or ValueError
        if parts.query:
            parse_qs(parts.query, strict_parsing=True)
    except ValueError:
        return None
    displaced = "#" in url or "@" in parts.path + parts.query
    return parts if PLAIN.fullmatch(url) and not displaced else None
