"""What the audit trail learns of TOTP. No event carries a secret or a code."""

from dataclasses import dataclass

from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class TotpEnrolmentStarted(Event):
    """A secret was shown, for a device to be enrolled."""

    type = "mfa.totp.enrolment_started"
    enrolment_id: str


@dataclass(frozen=True, kw_only=True)
class TotpActivated(Event):
    """The device has proved that it holds the secret."""

    type = "mfa.totp.activated"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class TotpActivationFailed(Event):
    """A wrong code was given for a device to be enrolled."""

    type = "mfa.totp.activation_failed"
    enrolment_id: str


@dataclass(frozen=True, kw_only=True)
class TotpAccepted(Event):
    """A code was right, and is spent. `bypass` marks the code of development settings."""

    type = "mfa.totp.accepted"
    authenticator_id: str
    bypass: bool | None = None


@dataclass(frozen=True, kw_only=True)
class TotpReplayed(Event):
    """A code was right, but had been used before."""

    type = "mfa.totp.replayed"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class TotpFailed(Event):
    """A code was wrong."""

    type = "mfa.totp.failed"


@dataclass(frozen=True, kw_only=True)
class TotpRemoved(Event):
    """An authenticator is gone."""

    type = "mfa.totp.removed"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class TotpResealingStarted(Event):
    """An operator has secrets sealed by `key`, instead of by other keys of the ring."""

    type = "mfa.totp.resealing_started"
    key: str


@dataclass(frozen=True, kw_only=True)
class TotpResealed(Event):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    type = "mfa.totp.resealed"
    key: str
    resealed: int
    left: int
