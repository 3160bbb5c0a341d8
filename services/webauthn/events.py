"""What the audit trail learns of WebAuthn: `reason` is one of `domain.refusal`.

No event carries a challenge or what was signed, nor the id of a credential. A challenge that was
made is no event: anybody can have one made, and nothing has happened by that.
"""

from dataclasses import dataclass

from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class WebAuthnEnrolmentStarted(Event):
    """Options were shown, for a credential to be made."""

    type = "mfa.webauthn.enrolment_started"
    enrolment_id: str
    passwordless: bool


@dataclass(frozen=True, kw_only=True)
class WebAuthnActivated(Event):
    """A credential was registered. `attested` says that its maker has vouched for it."""

    type = "mfa.webauthn.activated"
    authenticator_id: str
    aaguid: str
    format: str
    attested: bool
    user_verified: bool
    backup_eligible: bool


@dataclass(frozen=True, kw_only=True)
class WebAuthnActivationFailed(Event):
    """A credential was not registered."""

    type = "mfa.webauthn.activation_failed"
    enrolment_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class WebAuthnAccepted(Event):
    """An assertion was right, and its challenge is spent."""

    type = "mfa.webauthn.accepted"
    authenticator_id: str
    purpose: str
    user_verified: bool


@dataclass(frozen=True, kw_only=True)
class WebAuthnFailed(Event):
    """An assertion was refused; nobody may be known whose it would have been."""

    type = "mfa.webauthn.failed"
    authenticator_id: str | None = None
    purpose: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class WebAuthnCloneSuspected(Event):
    """A signature counter has not grown: the key may be in two places. See `accepted`."""

    type = "mfa.webauthn.clone_suspected"
    authenticator_id: str
    stored: int
    received: int
    accepted: bool


@dataclass(frozen=True, kw_only=True)
class WebAuthnRenamed(Event):
    """An authenticator is called something else."""

    type = "mfa.webauthn.renamed"
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class WebAuthnRemoved(Event):
    """An authenticator is gone."""

    type = "mfa.webauthn.removed"
    authenticator_id: str
