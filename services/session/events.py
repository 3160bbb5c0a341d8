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
class UsernameRefused(Event):
    """A sign-up was refused, for somebody has that username: whoever asked knows that now."""

    type: ClassVar[str] = "mfa.session.username_refused"


@dataclass(frozen=True, kw_only=True)
class EmailVerified(Event):
    """The code that was mailed came back."""

    type: ClassVar[str] = "mfa.session.email_verified"


@dataclass(frozen=True, kw_only=True)
class AccountReclaimed(Event):
    """An account that nobody had got into is that of whoever owns the address, by a new sign-up.

    Its password is the new one, or gone; logins under way have ended.
    """

    type: ClassVar[str] = "mfa.session.account_reclaimed"


@dataclass(frozen=True, kw_only=True)
class EmailVerificationFailed(Event):
    """A wrong code was given for an address. `ended`: it was the last that was allowed."""

    type: ClassVar[str] = "mfa.session.email_verification_failed"
    ended: bool


@dataclass(frozen=True, kw_only=True)
class EmailVerificationResent(Event):
    """Another mail was sent to verify an address by."""

    type: ClassVar[str] = "mfa.session.email_verification_resent"


@dataclass(frozen=True, kw_only=True)
class EmailLimited(Event):
    """A change of addresses, or a mail to verify one, was refused: too many of them."""

    type: ClassVar[str] = "mfa.session.email_limited"


@dataclass(frozen=True, kw_only=True)
class SignupAddressChanged(Event):
    """Who signs up gave another address before any was verified."""

    type: ClassVar[str] = "mfa.session.signup_address_changed"


@dataclass(frozen=True, kw_only=True)
class EmailClaimed(Event):
    """A person said that another address is theirs, and was mailed there. It holds nothing yet."""

    type: ClassVar[str] = "mfa.session.email_claimed"


@dataclass(frozen=True, kw_only=True)
class EmailAdded(Event):
    """An address that was verified is one of the person's from now on.

    `replaced`: it took the place of all that they had.
    """

    type: ClassVar[str] = "mfa.session.email_added"
    replaced: bool


@dataclass(frozen=True, kw_only=True)
class EmailRemoved(Event):
    """An address is the person's no more. `verified` says whether it had been more than claimed."""

    type: ClassVar[str] = "mfa.session.email_removed"
    verified: bool


@dataclass(frozen=True, kw_only=True)
class EmailRefused(Event):
    """An address is not the person's, for somebody else has it: whoever asked knows that now."""

    type: ClassVar[str] = "mfa.session.email_refused"


@dataclass(frozen=True, kw_only=True)
class PrimaryEmailChanged(Event):
    """Another of the person's addresses is the primary one."""

    type: ClassVar[str] = "mfa.session.primary_email_changed"


@dataclass(frozen=True, kw_only=True)
class AccountDisplaced(Event):
    """An account that nobody had got into was deleted: its address is known to be another's."""

    type: ClassVar[str] = "mfa.session.account_displaced"


@dataclass(frozen=True, kw_only=True)
class LoginStarted(Event):
    """A proof of a login was right, and a stage is still to be passed, in the session named."""

    type: ClassVar[str] = "mfa.session.login_started"
    method: str
    stage: str
    session: str


@dataclass(frozen=True, kw_only=True)
class LoginCodeRequested(Event):
    """Somebody asked for a code to log in by. Without a user: there is no such account."""

    type: ClassVar[str] = "mfa.session.login_code_requested"


@dataclass(frozen=True, kw_only=True)
class LoginCodeResent(Event):
    """Another login code was mailed, in place of one that was awaited."""

    type: ClassVar[str] = "mfa.session.login_code_resent"


@dataclass(frozen=True, kw_only=True)
class LoginCodeFailed(Event):
    """A login code was wrong, or too old. `ended`: the login has ended with that."""

    type: ClassVar[str] = "mfa.session.login_code_failed"
    ended: bool


@dataclass(frozen=True, kw_only=True)
class LoginFailed(Event):
    """A password or a passkey was wrong. Without a user: there is no such account."""

    type: ClassVar[str] = "mfa.session.login_failed"
    method: str


@dataclass(frozen=True, kw_only=True)
class LoginLimited(Event):
    """A login was not judged: too many failures for the account, or from the origin.

    Or it was right, and could not wait for the mail that it needs: there have been too many.
    """

    type: ClassVar[str] = "mfa.session.login_limited"
    method: str


@dataclass(frozen=True, kw_only=True)
class LoggedIn(Event):
    """A login was completed, and with it the session begins that is named by its hash.

    `amr` as in RFC 8176, `aal` the assurance level. A trusted browser that stood in for the second
    factor is named, and is no proof.
    """

    type: ClassVar[str] = "mfa.session.logged_in"
    amr: list[str]
    aal: int
    session: str
    trusted_browser: str | None = None


@dataclass(frozen=True, kw_only=True)
class LoggedOut(Event):
    """A session, or a login under way, was ended by whoever held it."""

    type: ClassVar[str] = "mfa.session.logged_out"


@dataclass(frozen=True, kw_only=True)
class RefreshTokenReused(Event):
    """A refresh token was used that others had followed upon, which ended its session."""

    type: ClassVar[str] = "mfa.session.refresh_token_reused"
    session: str


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
class KeyOptionsLimited(Event):
    """Options for a new key were not made: this account has asked for too many.

    A login by a passkey for which that is so is a login that was not judged.
    """

    type: ClassVar[str] = "mfa.session.key_options_limited"


@dataclass(frozen=True, kw_only=True)
class PasswordChanged(Event):
    """A person changed their password, which ended their other sessions and logins under way."""

    type: ClassVar[str] = "mfa.session.password_changed"


@dataclass(frozen=True, kw_only=True)
class PasswordSet(Event):
    """A person who had no password set one; it ends what a change ends."""

    type: ClassVar[str] = "mfa.session.password_set"


@dataclass(frozen=True, kw_only=True)
class PasswordChangeFailed(Event):
    """The current password, given to change it, was wrong."""

    type: ClassVar[str] = "mfa.session.password_change_failed"


@dataclass(frozen=True, kw_only=True)
class PasswordChangeLimited(Event):
    """A change of password was not judged: too many of them, or too many failures."""

    type: ClassVar[str] = "mfa.session.password_change_limited"


@dataclass(frozen=True, kw_only=True)
class PasswordResetRequested(Event):
    """Somebody asked for a new password. Without a user: there is no such account.

    `reset` names what waits for a code since then, by a hash.
    """

    type: ClassVar[str] = "mfa.session.password_reset_requested"
    reset: str | None = None


@dataclass(frozen=True, kw_only=True)
class PasswordResetFailed(Event):
    """What was mailed to reset a password by was given wrong. `ended`: for the last time.

    `reset` is as when it was requested; whose it is, if anybody's, is said there alone.
    """

    type: ClassVar[str] = "mfa.session.password_reset_failed"
    ended: bool
    reset: str | None = None


@dataclass(frozen=True, kw_only=True)
class PasswordResetLimited(Event):
    """A new password was asked for, or given, too often."""

    type: ClassVar[str] = "mfa.session.password_reset_limited"


@dataclass(frozen=True, kw_only=True)
class PasswordWasReset(Event):
    """Who reads the mails to an address of the account has set its password.

    That ended all sessions, logins under way and trust in browsers.
    """

    type: ClassVar[str] = "mfa.session.password_reset"


@dataclass(frozen=True, kw_only=True)
class SessionEnded(Event):
    """A person ended one of their sessions, which is named by its hash."""

    type: ClassVar[str] = "mfa.session.session_ended"
    session: str


@dataclass(frozen=True, kw_only=True)
class SessionsEnded(Event):
    """A person ended all their sessions, and all logins under way."""

    type: ClassVar[str] = "mfa.session.sessions_ended"


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
class AuthenticatorReplaced(Event):
    """An authenticator counts from now on, in place of others of its kind, if there were any."""

    type: ClassVar[str] = "mfa.session.authenticator_replaced"
    factor: str
    authenticator_id: str
    replaced: list[str]


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


# What is done to an account as a whole. `by` says who: `person` or `operator`.


@dataclass(frozen=True, kw_only=True)
class UserCreated(Event):
    """An account was made for somebody."""

    type: ClassVar[str] = "mfa.session.user_created"
    by: str


@dataclass(frozen=True, kw_only=True)
class UserDisabled(Event):
    """An account was disabled; its sessions and logins under way ended with that."""

    type: ClassVar[str] = "mfa.session.user_disabled"
    by: str


@dataclass(frozen=True, kw_only=True)
class UserEnabled(Event):
    """An account that was disabled is so no more."""

    type: ClassVar[str] = "mfa.session.user_enabled"
    by: str


@dataclass(frozen=True, kw_only=True)
class UserUnlocked(Event):
    """The failures that were counted for an account were forgotten."""

    type: ClassVar[str] = "mfa.session.user_unlocked"
    by: str


@dataclass(frozen=True, kw_only=True)
class UserSessionsEnded(Event):
    """Sessions were ended for somebody: the one named by its hash, or all of them."""

    type: ClassVar[str] = "mfa.session.user_sessions_ended"
    by: str
    session: str | None = None


@dataclass(frozen=True, kw_only=True)
class UserTrustRevoked(Event):
    """Trust in browsers was taken back for somebody: in the one that is named, or in all."""

    type: ClassVar[str] = "mfa.session.user_trust_revoked"
    by: str
    browser_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class SecondFactorReset(Event):
    """All authenticators of an account were taken away: a password will do until there is one."""

    type: ClassVar[str] = "mfa.session.second_factor_reset"
    by: str
    authenticators: list[str]


@dataclass(frozen=True, kw_only=True)
class UserDeleted(Event):
    """An account was deleted. Everybody who knows something of the person is yet to forget it."""

    type: ClassVar[str] = "mfa.session.user_deleted"
    by: str


@dataclass(frozen=True, kw_only=True)
class UserErasureWaived(Event):
    """Somebody who was deleted counts as forgotten by a factor that has not confirmed it."""

    type: ClassVar[str] = "mfa.session.user_erasure_waived"
    by: str
    factor: str


@dataclass(frozen=True, kw_only=True)
class UserErased(Event):
    """Every factor and the ledger have confirmed that they have forgotten somebody.

    But for the factors that an operator has waived.
    """

    type: ClassVar[str] = "mfa.session.user_erased"


@dataclass(frozen=True, kw_only=True)
class SessionResealingStarted(Event):
    """An operator has mails that wait sealed by `key`, instead of by other keys of the ring."""

    type: ClassVar[str] = "mfa.session.resealing_started"
    key: str


@dataclass(frozen=True, kw_only=True)
class SessionResealed(Event):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    type: ClassVar[str] = "mfa.session.resealed"
    key: str
    resealed: int
    left: int
