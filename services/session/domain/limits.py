"""How often a proof may fail, and what happens then.

The second factor rests for ever after LAST_FAILURE failures in a row, until it is reset: by binding
it anew (NIST SP 800-63B-4 section 3.2.2). Whoever is logged in and proves themselves by password
removes the authenticators, and the count starts again with the last of them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True)
class Limit:
    """At most `count` within `window`, counted from the first."""

    count: int
    window: timedelta


PASSWORD_PER_ACCOUNT = Limit(5, timedelta(minutes=5))  # allauth's `login_failed`, per key
PASSWORD_PER_ADDRESS = Limit(10, timedelta(minutes=1))  # the same, per IP address
SIGNUPS_PER_ADDRESS = Limit(20, timedelta(minutes=1))  # allauth's `signup`

MAILS_PER_ACCOUNT = Limit(5, timedelta(minutes=5))  # nobody is to be flooded by strangers

FREE_FAILURES = 5  # of the second factor, before it rests
FIRST_REST = timedelta(minutes=5)
LONGEST_REST = timedelta(days=1)
LAST_FAILURE = 100  # NIST SP 800-63B-4 section 3.2.2: then it rests until it is reset
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def rest_after(failures: int) -> timedelta:
    """Return how long the second factor rests after so many failures in a row.

    For less than LAST_FAILURE; from there on it rests for ever.
    """
    if failures < FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - FREE_FAILURES, 16)  # more would only be capped
    return min(FIRST_REST * (1 << doublings), LONGEST_REST)


def network_of(address: str) -> str:
    """Return what counts as one origin: an IPv4 address, or the /64 around an IPv6 one.

    A household gets a whole /64, so that single addresses of it are free to an attacker. What is
    no address at all counts as itself.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(IPv6Address(int(ip) >> 64 << 64)) + "/64"
    return str(ip)


def origin_key(action: str, address: str) -> bytes:
    """Return the SHA-256 under which `action` is counted for an origin."""
    return sha256(f"{action}:{network_of(address)}".encode()).digest()
