"""What an operator may decide: who asks, from where, and which authenticators are let in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from urllib.parse import urlsplit

from services.webauthn.domain.metadata import Metadata
from services.webauthn.domain.origins import is_domain, is_local

CHALLENGE_LIFETIME = timedelta(minutes=5)  # the longest that is allowed (security.md 1.3, step 8)


class Use(StrEnum):
    """What a challenge is made for. It is good for nothing else."""

    ENROL = "enrol"
    AUTHENTICATE = "authenticate"
    REAUTHENTICATE = "reauthenticate"
    LOGIN = "login"


class Conveyance(StrEnum):
    """How much an authenticator is asked to tell of itself. All but `none` has to be proved."""

    NONE = "none"
    DIRECT = "direct"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True)
class RelyingParty:
    """Whom credentials are made for, and the pages that may ask for them: exact origins.

    `any_localhost` lets in the pages of this machine too, on any port: for development.
    """

    id: str
    name: str
    origins: frozenset[str]
    allow_cross_origin: bool = False
    top_origins: frozenset[str] = frozenset()
    any_localhost: bool = False

    @cached_property
    def id_hash(self) -> bytes:
        """The hash by which authenticators know us."""
        return sha256(self.id.encode()).digest()

    def expects(self, origin: str) -> bool:
        """Tell whether a page of `origin` may ask."""
        return origin in self.origins or (self.any_localhost and _is_localhost(origin))


@dataclass(frozen=True)
class Verification:
    """When an authenticator has to verify its user: PIN, fingerprint, face.

    `preference` is what is asked for; `required_for` names the uses for which it is a condition.
    """

    preference: str = "preferred"
    required_for: frozenset[Use] = frozenset()

    def requirement(self, use: Use) -> str:
        """Return `required`, `preferred` or `discouraged`. What serves alone is always verified."""
        if use is Use.LOGIN or use in self.required_for:
            return "required"
        return self.preference


@dataclass(frozen=True)
class Policy:
    """Which authenticators are let in. AAGUIDs are UUIDs in lower case, as texts.

    With `at_use`, one that was registered before is refused too.
    """

    algorithms: tuple[str, ...] = ("ES256", "EdDSA", "RS256")
    conveyance: Conveyance = Conveyance.NONE
    allowed_aaguids: frozenset[str] = frozenset()
    denied_aaguids: frozenset[str] = frozenset()
    allow_synced: bool = True
    at_use: bool = True
    refuse_counter_regression: bool = True
    hints: tuple[str, ...] = ()
    challenge_lifetime: timedelta = CHALLENGE_LIFETIME

    def admits(self, aaguid: str) -> bool:
        """Tell whether authenticators of this make are let in."""
        if aaguid in self.denied_aaguids:
            return False
        return not self.allowed_aaguids or aaguid in self.allowed_aaguids


@dataclass(frozen=True)
class Rules:
    """Everything that a ceremony is held against.

    `names` are those of makes, by AAGUID. `metadata` is FIDO's: without, no maker can vouch.
    """

    party: RelyingParty
    verification: Verification = Verification()
    policy: Policy = Policy()
    names: Mapping[str, str] = field(default_factory=dict, repr=False)
    metadata: Metadata = field(default_factory=Metadata, repr=False)


def _is_localhost(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        whole = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")
    except ValueError:  # a port that is none
        return False
    known = is_domain(host) and is_local(host)
    return parts.scheme in ("http", "https") and known and whole == origin
