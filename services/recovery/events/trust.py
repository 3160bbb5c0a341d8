"""What the audit trail learns of trust in browsers. No event carries a token."""

from dataclasses import dataclass

from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class TrustGiven(Event):
    """A browser is trusted from now on. Of too many, the oldest is trusted no more."""

    type = "mfa.recovery.trust_given"
    browser_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class TrustUsed(Event):
    """A browser was trusted at a login."""

    type = "mfa.recovery.trust_used"
    browser_id: str


@dataclass(frozen=True, kw_only=True)
class TrustRefused(Event):
    """A browser had tokens, and none was good. `reason` is a `Standing` of the domain."""

    type = "mfa.recovery.trust_refused"
    reason: str
    browser_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrustReplayed(Event):
    """A token was used that had been replaced: two have it. The browser is trusted no more."""

    type = "mfa.recovery.trust_replayed"
    browser_id: str


@dataclass(frozen=True, kw_only=True)
class TrustRevoked(Event):
    """A browser is trusted no more, because somebody said so."""

    type = "mfa.recovery.trust_revoked"
    browser_id: str
