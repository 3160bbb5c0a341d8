"""From where, and with what, a person logs in: what is new about a login, and what is not."""

import re
from dataclasses import dataclass
from hashlib import sha256

from services.session.domain.limits import network_of

DIGEST = 32  # hex digits, 128 bits
DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Origin:
    """Hashes of a network and of a kind of browser."""

    network: str
    agent: str


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Where a login began, and what of that its account had been seen with before."""

    origin: Origin
    network_known: bool
    agent_known: bool

    def is_new(self, origin: Origin) -> bool:
        """Tell whether a login that ends at `origin` is worth telling the person of."""
        return origin != self.origin or not (self.network_known and self.agent_known)

    def is_familiar(self, origin: Origin) -> bool:
        """Tell whether `origin` is in the arrival's network, and the owner was there before."""
        return self.network_known and origin.network == self.origin.network


def origin_of(address: str, user_agent: str) -> Origin:
    """Return where a request comes from.

    A browser is known by its user agent without the digits: a new version is no new browser.
    """
    return Origin(
        network=_digest(f"network {network_of(address)}"),
        agent=_digest(f"agent {DIGITS.sub('', user_agent)}"),
    )


def warning_topic(user_id: str, origin: Origin) -> str:
    """Return what a warning is about: logins of that person, from that network, left unfinished."""
    return f"{user_id}:{origin.network}"


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:DIGEST]
