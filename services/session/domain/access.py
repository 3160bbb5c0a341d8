"""Who may call what: each endpoint names the one state of a session in which it answers."""

from enum import StrEnum

from services.session.domain.stages import Stage


class Access(StrEnum):
    """The state that a session must be in. There is no default: what names none is not served."""

    ANYONE = "anyone"
    LOGGED_OUT = "logged_out"
    LOGIN_BY_CODE = "login_by_code"
    MFA_AUTHENTICATE = "mfa_authenticate"
    MFA_TRUST = "mfa_trust"
    MFA_SIGNUP_WEBAUTHN = "mfa_signup_webauthn"
    ADDRESS_PROOF = "address_proof"
    PASSWORD_RESET = "password_reset"  # noqa: S105
    LOGGED_IN = "logged_in"

    @property
    def stage(self) -> Stage | None:
        """The stage of a pending login that this is for, if it is for one."""
        return STAGE_OF.get(self)


STAGE_OF = {
    Access.LOGIN_BY_CODE: Stage.LOGIN_BY_CODE,
    Access.MFA_AUTHENTICATE: Stage.MFA_AUTHENTICATE,
    Access.MFA_TRUST: Stage.MFA_TRUST,
    Access.MFA_SIGNUP_WEBAUTHN: Stage.MFA_SIGNUP_WEBAUTHN,
}


def allows(
    access: Access, *, authenticated: bool, pending: Stage | None, resets: bool = False
) -> bool:
    """Tell whether a session in that state may go on. Fails closed.

    One that `resets` waits for the code by which a password is reset, whatever else it does.

    What is only for those who are logged out lets all pass: its flow refuses those who are logged
    in once what was typed has been looked at, which is the order that clients know.
    """
    if access in (Access.ANYONE, Access.LOGGED_OUT):
        return True
    if access is Access.PASSWORD_RESET:
        return resets
    if access is Access.LOGGED_IN:
        return authenticated and pending is None
    if access is Access.ADDRESS_PROOF:
        return pending is (None if authenticated else Stage.VERIFY_EMAIL)
    return not authenticated and pending is not None and pending is access.stage
