"""Every type of event that there is, and what each carries; written by `make docs`, do not edit."""

from typing import Any, NotRequired, TypedDict


class CloudEvent(TypedDict):
    """An event as it is on the wire; `data` is what `DATA` has of its `type`."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    datacontenttype: str
    dataschema: str
    sequence: str
    subject: NotRequired[str]
    partitionkey: NotRequired[str]
    traceparent: NotRequired[str]
    keyid: str
    signature: str
    signaturepath: NotRequired[str]
    data: dict[str, Any]


class Context(TypedDict):
    """On whose behalf it happened."""

    request_id: str
    address: NotRequired[str]
    user_agent: NotRequired[str]
    session: NotRequired[str]
    client: NotRequired[str]
    amr: NotRequired[str]
    operator: NotRequired[str]


class SignedUp(TypedDict):
    """An account was made; its address is not verified yet."""

    context: NotRequired[Context]


class SignupRepeated(TypedDict):
    """Somebody signed up with the address of this account, and was not told."""

    context: NotRequired[Context]


class SignupLimited(TypedDict):
    """A sign-up was refused: too many from one origin, or mails to one address."""

    context: NotRequired[Context]


class UsernameRefused(TypedDict):
    """A sign-up was refused, for somebody has that username: whoever asked knows that now."""

    context: NotRequired[Context]


class EmailVerified(TypedDict):
    """The code that was mailed came back."""

    context: NotRequired[Context]


class AccountReclaimed(TypedDict):
    """An account that nobody had got into is that of whoever owns the address, by a new sign-up.

    Its password is the new one, or gone; logins under way have ended.
    """

    context: NotRequired[Context]


class EmailVerificationFailed(TypedDict):
    """A wrong code was given for an address. `ended`: it was the last that was allowed."""

    ended: bool
    context: NotRequired[Context]


class EmailVerificationResent(TypedDict):
    """Another mail was sent to verify an address by."""

    context: NotRequired[Context]


class EmailLimited(TypedDict):
    """A change of addresses, or a mail to verify one, was refused: too many of them."""

    context: NotRequired[Context]


class SignupAddressChanged(TypedDict):
    """Who signs up gave another address before any was verified."""

    context: NotRequired[Context]


class EmailClaimed(TypedDict):
    """A person said that another address is theirs, and was mailed there. It holds nothing yet."""

    context: NotRequired[Context]


class EmailAdded(TypedDict):
    """An address that was verified is one of the person's from now on.

    `replaced`: it took the place of all that they had.
    """

    replaced: bool
    context: NotRequired[Context]


class EmailRemoved(TypedDict):
    """An address is the person's no more. `verified` says whether it had been more than claimed."""

    verified: bool
    context: NotRequired[Context]


class EmailRefused(TypedDict):
    """An address is not the person's, for somebody else has it: whoever asked knows that now."""

    context: NotRequired[Context]


class PrimaryEmailChanged(TypedDict):
    """Another of the person's addresses is the primary one."""

    context: NotRequired[Context]


class AccountDisplaced(TypedDict):
    """An account that nobody had got into was deleted: its address is known to be another's."""

    context: NotRequired[Context]


class LoginStarted(TypedDict):
    """A proof of a login was right, and a stage is still to be passed, in the session named."""

    method: str
    stage: str
    session: str
    context: NotRequired[Context]


class LoginCodeRequested(TypedDict):
    """Somebody asked for a code to log in by. Without a user: there is no such account."""

    context: NotRequired[Context]


class LoginCodeResent(TypedDict):
    """Another login code was mailed, in place of one that was awaited."""

    context: NotRequired[Context]


class LoginCodeFailed(TypedDict):
    """A login code was wrong, or too old. `ended`: the login has ended with that."""

    ended: bool
    context: NotRequired[Context]


class LoginFailed(TypedDict):
    """A password or a passkey was wrong. Without a user: there is no such account."""

    method: str
    context: NotRequired[Context]


class LoginLimited(TypedDict):
    """A login was not judged: too many failures for the account, or from the origin.

    Or it was right, and could not wait for the mail that it needs: there have been too many.
    """

    method: str
    context: NotRequired[Context]


class LoggedIn(TypedDict):
    """A login was completed, and with it the session begins that is named by its hash.

    `amr` as in RFC 8176, `aal` the assurance level. A trusted browser that stood in for the second
    factor is named, and is no proof.
    """

    amr: list[str]
    aal: int
    session: str
    trusted_browser: NotRequired[str]
    context: NotRequired[Context]


class LoggedOut(TypedDict):
    """A session, or a login under way, was ended by whoever held it."""

    context: NotRequired[Context]


class RefreshTokenReused(TypedDict):
    """A refresh token was used that others had followed upon, which ended its session."""

    session: str
    context: NotRequired[Context]


class SecondFactorFailed(TypedDict):
    """A second factor was wrong: at a login, at a reauthentication or at an activation."""

    purpose: str
    context: NotRequired[Context]


class SecondFactorLimited(TypedDict):
    """A second factor was not judged, or its judgement not told: too many failures."""

    purpose: str
    context: NotRequired[Context]


class Reauthenticated(TypedDict):
    """A person who is logged in proved themselves again."""

    method: str
    authenticator_id: NotRequired[str]
    context: NotRequired[Context]


class ReauthenticationFailed(TypedDict):
    """The password given to reauthenticate was wrong."""

    method: str
    context: NotRequired[Context]


class ReauthenticationLimited(TypedDict):
    """The password given to reauthenticate was not told right or wrong: too many failures."""

    method: str
    context: NotRequired[Context]


class KeyOptionsLimited(TypedDict):
    """Options for a new key were not made: this account has asked for too many.

    A login by a passkey for which that is so is a login that was not judged.
    """

    context: NotRequired[Context]


class PasswordChanged(TypedDict):
    """A person changed their password, which ended their other sessions and logins under way."""

    context: NotRequired[Context]


class PasswordSet(TypedDict):
    """A person who had no password set one; it ends what a change ends."""

    context: NotRequired[Context]


class PasswordChangeFailed(TypedDict):
    """The current password, given to change it, was wrong."""

    context: NotRequired[Context]


class PasswordChangeLimited(TypedDict):
    """A change of password was not judged: too many of them, or too many failures."""

    context: NotRequired[Context]


class PasswordResetRequested(TypedDict):
    """Somebody asked for a new password. Without a user: there is no such account.

    `reset` names what waits for a code since then, by a hash.
    """

    reset: NotRequired[str]
    context: NotRequired[Context]


class PasswordResetFailed(TypedDict):
    """What was mailed to reset a password by was given wrong. `ended`: for the last time.

    `reset` is as when it was requested; whose it is, if anybody's, is said there alone.
    """

    ended: bool
    reset: NotRequired[str]
    context: NotRequired[Context]


class PasswordResetLimited(TypedDict):
    """A new password was asked for, or given, too often."""

    context: NotRequired[Context]


class PasswordWasReset(TypedDict):
    """Who reads the mails to an address of the account has set its password.

    That ended all sessions, logins under way and trust in browsers.
    """

    context: NotRequired[Context]


class SessionEnded(TypedDict):
    """A person ended one of their sessions, which is named by its hash."""

    session: str
    context: NotRequired[Context]


class SessionsEnded(TypedDict):
    """A person ended all their sessions, and all logins under way."""

    context: NotRequired[Context]


class AuthenticatorAdded(TypedDict):
    """An authenticator counts from now on."""

    factor: str
    authenticator_id: str
    context: NotRequired[Context]


class AuthenticatorRemoved(TypedDict):
    """An authenticator counts no more."""

    factor: str
    authenticator_id: str
    context: NotRequired[Context]


class AuthenticatorReplaced(TypedDict):
    """An authenticator counts from now on, in place of others of its kind, if there were any."""

    factor: str
    authenticator_id: str
    replaced: list[str]
    context: NotRequired[Context]


class ActivationAbandoned(TypedDict):
    """A factor made an authenticator which never came to count."""

    factor: str
    authenticator_id: str
    context: NotRequired[Context]


class RegisterRepaired(TypedDict):
    """A change that had been left half done was undone (`add`) or completed (`remove`)."""

    factor: str
    intent: str
    authenticator_id: str
    context: NotRequired[Context]


class MailGivenUp(TypedDict):
    """A mail could not be delivered and will not be tried again.

    `kind` is None if it could not even be opened.
    """

    kind: NotRequired[str]
    attempts: int
    context: NotRequired[Context]


class UserCreated(TypedDict):
    """An account was made for somebody."""

    by: str
    context: NotRequired[Context]


class UserDisabled(TypedDict):
    """An account was disabled; its sessions and logins under way ended with that."""

    by: str
    context: NotRequired[Context]


class UserEnabled(TypedDict):
    """An account that was disabled is so no more."""

    by: str
    context: NotRequired[Context]


class UserUnlocked(TypedDict):
    """The failures that were counted for an account were forgotten."""

    by: str
    context: NotRequired[Context]


class UserSessionsEnded(TypedDict):
    """Sessions were ended for somebody: the one named by its hash, or all of them."""

    by: str
    session: NotRequired[str]
    context: NotRequired[Context]


class UserTrustRevoked(TypedDict):
    """Trust in browsers was taken back for somebody: in the one that is named, or in all."""

    by: str
    browser_id: NotRequired[str]
    context: NotRequired[Context]


class SecondFactorReset(TypedDict):
    """All authenticators of an account were taken away: a password will do until there is one."""

    by: str
    authenticators: list[str]
    context: NotRequired[Context]


class UserDeleted(TypedDict):
    """An account was deleted. Everybody who knows something of the person is yet to forget it."""

    by: str
    context: NotRequired[Context]


class UserErasureWaived(TypedDict):
    """Somebody who was deleted counts as forgotten by a factor that has not confirmed it."""

    by: str
    factor: str
    context: NotRequired[Context]


class UserErased(TypedDict):
    """Every factor and the ledger have confirmed that they have forgotten somebody.

    But for the factors that an operator has waived.
    """

    context: NotRequired[Context]


class SessionResealingStarted(TypedDict):
    """An operator has mails that wait sealed by `key`, instead of by other keys of the ring."""

    key: str
    context: NotRequired[Context]


class SessionResealed(TypedDict):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    key: str
    resealed: int
    left: int
    context: NotRequired[Context]


class TotpEnrolmentStarted(TypedDict):
    """A secret was shown, for a device to be enrolled."""

    enrolment_id: str
    context: NotRequired[Context]


class TotpActivated(TypedDict):
    """The device has proved that it holds the secret."""

    authenticator_id: str
    context: NotRequired[Context]


class TotpActivationFailed(TypedDict):
    """A wrong code was given for a device to be enrolled."""

    enrolment_id: str
    context: NotRequired[Context]


class TotpAccepted(TypedDict):
    """A code was right, and is spent. `bypass` marks the code of development settings."""

    authenticator_id: str
    bypass: NotRequired[bool]
    context: NotRequired[Context]


class TotpReplayed(TypedDict):
    """A code was right, but had been used before."""

    authenticator_id: str
    context: NotRequired[Context]


class TotpFailed(TypedDict):
    """A code was wrong."""

    context: NotRequired[Context]


class TotpRemoved(TypedDict):
    """An authenticator is gone."""

    authenticator_id: str
    context: NotRequired[Context]


class TotpResealingStarted(TypedDict):
    """An operator has secrets sealed by `key`, instead of by other keys of the ring."""

    key: str
    context: NotRequired[Context]


class TotpResealed(TypedDict):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    key: str
    resealed: int
    left: int
    context: NotRequired[Context]


class CodesGenerated(TypedDict):
    """A set was made. Whether it counts is for the register to say."""

    authenticator_id: str
    total: int
    context: NotRequired[Context]


class CodesViewed(TypedDict):
    """The unused codes of a set were shown."""

    authenticator_id: str
    context: NotRequired[Context]


class CodeAccepted(TypedDict):
    """A code was right, and is spent."""

    authenticator_id: str
    context: NotRequired[Context]


class CodesConfirmed(TypedDict):
    """The first code of a set was spent: somebody has saved them."""

    authenticator_id: str
    context: NotRequired[Context]


class CodesLow(TypedDict):
    """Few codes of a set are left."""

    authenticator_id: str
    unused: int
    context: NotRequired[Context]


class CodeReplayed(TypedDict):
    """A code was right, but had been used before."""

    authenticator_id: str
    context: NotRequired[Context]


class CodeFailed(TypedDict):
    """A code was wrong."""

    context: NotRequired[Context]


class CodesRemoved(TypedDict):
    """A set is gone, with all its codes."""

    authenticator_id: str
    context: NotRequired[Context]


class RecoveryResealingStarted(TypedDict):
    """An operator has codes and tokens sealed by `key`, instead of by other keys of the ring."""

    key: str
    context: NotRequired[Context]


class RecoveryResealed(TypedDict):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    key: str
    resealed: int
    left: int
    context: NotRequired[Context]


class TrustGiven(TypedDict):
    """A browser is trusted from now on. Of too many, the oldest is trusted no more."""

    browser_id: str
    name: str
    context: NotRequired[Context]


class TrustUsed(TypedDict):
    """A browser was trusted at a login."""

    browser_id: str
    context: NotRequired[Context]


class TrustRefused(TypedDict):
    """A browser had tokens, and none was good. `reason` is a `Standing` of the domain."""

    reason: str
    browser_id: NotRequired[str]
    context: NotRequired[Context]


class TrustReplayed(TypedDict):
    """A token was used that had been replaced: two have it. The browser is trusted no more."""

    browser_id: str
    context: NotRequired[Context]


class TrustRevoked(TypedDict):
    """A browser is trusted no more, because somebody said so."""

    browser_id: str
    context: NotRequired[Context]


class PersonForgotten(TypedDict):
    """The key of a person was destroyed; what is personal in events about them cannot be read."""

    by: str
    context: NotRequired[Context]


class EventsDue(TypedDict):
    """Events of one type from before a time are not kept any more. Their entries stay.

    It is stated before any is dropped. `before` is a time as of RFC 3339.
    """

    event_type: str
    before: str
    context: NotRequired[Context]


class AuditResealingStarted(TypedDict):
    """An operator has keys of people sealed by `key`, instead of by other keys of the ring."""

    key: str
    context: NotRequired[Context]


class AuditResealed(TypedDict):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    key: str
    resealed: int
    left: int
    context: NotRequired[Context]


class WebAuthnEnrolmentStarted(TypedDict):
    """Options were shown, for a credential to be made."""

    enrolment_id: str
    passwordless: bool
    context: NotRequired[Context]


class WebAuthnActivated(TypedDict):
    """A credential was registered. `attested` says that its maker has vouched for it."""

    authenticator_id: str
    aaguid: str
    format: str
    attested: bool
    user_verified: bool
    backup_eligible: bool
    context: NotRequired[Context]


class WebAuthnActivationFailed(TypedDict):
    """A credential was not registered."""

    enrolment_id: str
    reason: str
    context: NotRequired[Context]


class WebAuthnAccepted(TypedDict):
    """An assertion was right, and its challenge is spent."""

    authenticator_id: str
    purpose: str
    user_verified: bool
    context: NotRequired[Context]


class WebAuthnFailed(TypedDict):
    """An assertion was refused; nobody may be known whose it would have been."""

    authenticator_id: NotRequired[str]
    purpose: str
    reason: str
    context: NotRequired[Context]


class WebAuthnCloneSuspected(TypedDict):
    """A signature counter has not grown: the key may be in two places. See `accepted`."""

    authenticator_id: str
    stored: int
    received: int
    accepted: bool
    context: NotRequired[Context]


class WebAuthnRenamed(TypedDict):
    """An authenticator is called something else."""

    authenticator_id: str
    context: NotRequired[Context]


class WebAuthnRemoved(TypedDict):
    """An authenticator is gone."""

    authenticator_id: str
    context: NotRequired[Context]


DATA: dict[str, Any] = {
    "mfa.session.signed_up": SignedUp,
    "mfa.session.signup_repeated": SignupRepeated,
    "mfa.session.signup_limited": SignupLimited,
    "mfa.session.username_refused": UsernameRefused,
    "mfa.session.email_verified": EmailVerified,
    "mfa.session.account_reclaimed": AccountReclaimed,
    "mfa.session.email_verification_failed": EmailVerificationFailed,
    "mfa.session.email_verification_resent": EmailVerificationResent,
    "mfa.session.email_limited": EmailLimited,
    "mfa.session.signup_address_changed": SignupAddressChanged,
    "mfa.session.email_claimed": EmailClaimed,
    "mfa.session.email_added": EmailAdded,
    "mfa.session.email_removed": EmailRemoved,
    "mfa.session.email_refused": EmailRefused,
    "mfa.session.primary_email_changed": PrimaryEmailChanged,
    "mfa.session.account_displaced": AccountDisplaced,
    "mfa.session.login_started": LoginStarted,
    "mfa.session.login_code_requested": LoginCodeRequested,
    "mfa.session.login_code_resent": LoginCodeResent,
    "mfa.session.login_code_failed": LoginCodeFailed,
    "mfa.session.login_failed": LoginFailed,
    "mfa.session.login_limited": LoginLimited,
    "mfa.session.logged_in": LoggedIn,
    "mfa.session.logged_out": LoggedOut,
    "mfa.session.refresh_token_reused": RefreshTokenReused,
    "mfa.session.second_factor_failed": SecondFactorFailed,
    "mfa.session.second_factor_limited": SecondFactorLimited,
    "mfa.session.reauthenticated": Reauthenticated,
    "mfa.session.reauthentication_failed": ReauthenticationFailed,
    "mfa.session.reauthentication_limited": ReauthenticationLimited,
    "mfa.session.key_options_limited": KeyOptionsLimited,
    "mfa.session.password_changed": PasswordChanged,
    "mfa.session.password_set": PasswordSet,
    "mfa.session.password_change_failed": PasswordChangeFailed,
    "mfa.session.password_change_limited": PasswordChangeLimited,
    "mfa.session.password_reset_requested": PasswordResetRequested,
    "mfa.session.password_reset_failed": PasswordResetFailed,
    "mfa.session.password_reset_limited": PasswordResetLimited,
    "mfa.session.password_reset": PasswordWasReset,
    "mfa.session.session_ended": SessionEnded,
    "mfa.session.sessions_ended": SessionsEnded,
    "mfa.session.authenticator_added": AuthenticatorAdded,
    "mfa.session.authenticator_removed": AuthenticatorRemoved,
    "mfa.session.authenticator_replaced": AuthenticatorReplaced,
    "mfa.session.activation_abandoned": ActivationAbandoned,
    "mfa.session.register_repaired": RegisterRepaired,
    "mfa.session.mail_given_up": MailGivenUp,
    "mfa.session.user_created": UserCreated,
    "mfa.session.user_disabled": UserDisabled,
    "mfa.session.user_enabled": UserEnabled,
    "mfa.session.user_unlocked": UserUnlocked,
    "mfa.session.user_sessions_ended": UserSessionsEnded,
    "mfa.session.user_trust_revoked": UserTrustRevoked,
    "mfa.session.second_factor_reset": SecondFactorReset,
    "mfa.session.user_deleted": UserDeleted,
    "mfa.session.user_erasure_waived": UserErasureWaived,
    "mfa.session.user_erased": UserErased,
    "mfa.session.resealing_started": SessionResealingStarted,
    "mfa.session.resealed": SessionResealed,
    "mfa.totp.enrolment_started": TotpEnrolmentStarted,
    "mfa.totp.activated": TotpActivated,
    "mfa.totp.activation_failed": TotpActivationFailed,
    "mfa.totp.accepted": TotpAccepted,
    "mfa.totp.replayed": TotpReplayed,
    "mfa.totp.failed": TotpFailed,
    "mfa.totp.removed": TotpRemoved,
    "mfa.totp.resealing_started": TotpResealingStarted,
    "mfa.totp.resealed": TotpResealed,
    "mfa.recovery.codes_generated": CodesGenerated,
    "mfa.recovery.codes_viewed": CodesViewed,
    "mfa.recovery.code_accepted": CodeAccepted,
    "mfa.recovery.codes_confirmed": CodesConfirmed,
    "mfa.recovery.codes_low": CodesLow,
    "mfa.recovery.code_replayed": CodeReplayed,
    "mfa.recovery.code_failed": CodeFailed,
    "mfa.recovery.codes_removed": CodesRemoved,
    "mfa.recovery.resealing_started": RecoveryResealingStarted,
    "mfa.recovery.resealed": RecoveryResealed,
    "mfa.recovery.trust_given": TrustGiven,
    "mfa.recovery.trust_used": TrustUsed,
    "mfa.recovery.trust_refused": TrustRefused,
    "mfa.recovery.trust_replayed": TrustReplayed,
    "mfa.recovery.trust_revoked": TrustRevoked,
    "mfa.audit.person_forgotten": PersonForgotten,
    "mfa.audit.events_due": EventsDue,
    "mfa.audit.resealing_started": AuditResealingStarted,
    "mfa.audit.resealed": AuditResealed,
    "mfa.webauthn.enrolment_started": WebAuthnEnrolmentStarted,
    "mfa.webauthn.activated": WebAuthnActivated,
    "mfa.webauthn.activation_failed": WebAuthnActivationFailed,
    "mfa.webauthn.accepted": WebAuthnAccepted,
    "mfa.webauthn.failed": WebAuthnFailed,
    "mfa.webauthn.clone_suspected": WebAuthnCloneSuspected,
    "mfa.webauthn.renamed": WebAuthnRenamed,
    "mfa.webauthn.removed": WebAuthnRemoved,
}
"""What events of each type carry as `data`."""

TYPES = frozenset(DATA)
