"""What session puts on record: facts in the past tense, without secrets or addresses."""

from dataclasses import dataclass
from typing import ClassVar

from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class SignedUp(Event):
    """An account was made; its address is not verified yet."""

    type: ClassVar[str] = "mfa.session.signed_up"


@dataclass(frozen=True, kw_only=True)
class SignupRepeated(Event):
    """Somebody signed up with the address of this account, and was not told."""

    type: ClassVar[str] = "mfa.session.signup_repeated"


@dataclass(frozen=True, kw_only=True)
class SignupLimited(Event):
    """A sign-up was refused: too many from one origin, or mails to one address."""

    type: ClassVar[str] = "mfa.session.signup_limited"


@dataclass(frozen=True, kw_only=True)
class EmailVerified(Event):
    """The code that was mailed came back."""

    type: ClassVar[str] = "mfa.session.email_verified"


@dataclass(frozen=True, kw_only=True)
class EmailVerificationFailed(Event):
    """A wrong code was given for an address. `ended`: it was the last that was allowed."""

    type: ClassVar[str] = "mfa.session.email_verification_failed"
    ended: bool


@dataclass(frozen=True, kw_only=True)
class LoginStarted(Event):
    """The first proof of a login was right, and a stage is still to be passed."""

    type: ClassVar[str] = "mfa.session.login_started"
    method: str
    stage: str


@dataclass(frozen=True, kw_only=True)
class LoginFailed(Event):
    """A password was wrong. Without a user: there is no such account."""

    type: ClassVar[str] = "mfa.session.login_failed"
    method: str


@dataclass(frozen=True, kw_only=True)
class LoginLimited(Event):
    """A login was not judged: too many failures for the account, or from the origin."""

    type: ClassVar[str] = "mfa.session.login_limited"
    method: str


@dataclass(frozen=True, kw_only=True)
class LoggedIn(Event):
    """A login was completed. `amr` as in RFC 8176, `aal` the assurance level."""

    type: ClassVar[str] = "mfa.session.logged_in"
    amr: list[str]
    aal: int


@dataclass(frozen=True, kw_only=True)
class LoggedOut(Event):
    """A session, or a login under way, was ended by whoever held it."""

    type: ClassVar[str] = "mfa.session.logged_out"


@dataclass(frozen=True, kw_only=True)
class SecondFactorFailed(Event):
    """A second factor was wrong: at a login, at a reauthentication or at an activation."""

    type: ClassVar[str] = "mfa.session.second_factor_failed"
    purpose: str


@dataclass(frozen=True, kw_only=True)
class SecondFactorLimited(Event):
    """A second factor was not judged, or its judgement not told: too many failures."""

    type: ClassVar[str] = "mfa.session.second_factor_limited"
    purpose: str


@dataclass(frozen=True, kw_only=True)
class Reauthenticated(Event):
    """A person who is logged in proved themselves again."""

    type: ClassVar[str] = "mfa.session.reauthenticated"
    method: str
    authenticator_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReauthenticationFailed(Event):
    """The password given to reauthenticate was wrong."""

    type: ClassVar[str] = "mfa.session.reauthentication_failed"
    method: str


@dataclass(frozen=True, kw_only=True)
class ReauthenticationLimited(Event):
    """The password given to reauthenticate was not told right or wrong: too many failures."""

    type: ClassVar[str] = "mfa.session.reauthentication_limited"
    method: str


@dataclass(frozen=True, kw_only=True)
class AuthenticatorAdded(Event):
    """An authenticator counts from now on."""

    type: ClassVar[str] = "mfa.session.authenticator_added"
    factor: str
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class AuthenticatorRemoved(Event):
    """An authenticator counts no more."""

    type: ClassVar[str] = "mfa.session.authenticator_removed"
    factor: str
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class ActivationAbandoned(Event):
    """A factor made an authenticator which never came to count."""

    type: ClassVar[str] = "mfa.session.activation_abandoned"
    factor: str
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class RegisterRepaired(Event):
    """A change that had been left half done was undone (`add`) or completed (`remove`)."""

    type: ClassVar[str] = "mfa.session.register_repaired"
    factor: str
    intent: str
    authenticator_id: str


@dataclass(frozen=True, kw_only=True)
class MailGivenUp(Event):
    """A mail could not be delivered and will not be tried again.

    `kind` is None if it could not even be opened.
    """

    type: ClassVar[str] = "mfa.session.mail_given_up"
    kind: str | None
    attempts: int
