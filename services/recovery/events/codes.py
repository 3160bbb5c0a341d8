"""What the audit trail learns of recovery codes. No event carries a code."""

from dataclasses import dataclass

from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class CodesGenerated(Event):
    """A set was made. Whether it counts is for the register to say."""

    type = "mfa.recovery.codes_generated"
    authenticator_id: str
    total: int


@dataclass(frozen=True, kw_only=True)
class CodesViewed(Event):
    """The unused codes of a set were shown."""

    type = "mfa.recovery.codes_viewed"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class CodeAccepted(Event):
    """A code was right, and is spent."""

    type = "mfa.recovery.code_accepted"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class CodesConfirmed(Event):
    """The first code of a set was spent: somebody has saved them."""

    type = "mfa.recovery.codes_confirmed"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class CodesLow(Event):
    """Few codes of a set are left."""

    type = "mfa.recovery.codes_low"
    authenticator_id: str
    unused: int


@dataclass(frozen=True, kw_only=True)
class CodeReplayed(Event):
    """A code was right, but had been used before."""

    type = "mfa.recovery.code_replayed"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class CodeFailed(Event):
    """A code was wrong."""

    type = "mfa.recovery.code_failed"


@dataclass(frozen=True, kw_only=True)
class CodesRemoved(Event):
    """A set is gone, with all its codes."""

    type = "mfa.recovery.codes_removed"
    authenticator_id: str
