"""What can be wrong with what a person typed: codes and words of the public contract."""

from dataclasses import dataclass

MAX_SHOWN = 64  # characters of what was typed that are said back


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One entry of `errors`. `param` names the member at fault, if it is a single one."""

    code: str
    message: str
    param: str | None = None


def required(param: str) -> Fault:
    """The member is missing or empty."""
    return Fault(code="required", message="This field is required.", param=param)


def invalid_email(param: str = "email") -> Fault:
    """What was given is no e-mail address."""
    return Fault(code="invalid", message="Enter a valid email address.", param=param)


def incorrect_code(param: str = "code") -> Fault:
    """The code was refused; no reason is given."""
    return Fault(code="incorrect_code", message="Incorrect code.", param=param)


def not_a_choice(param: str, value: str = "That choice") -> Fault:
    """What was named is not there, or not this person's to name."""
    shown = value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…"
    message = f"Select a valid choice. {shown} is not one of the available choices."
    return Fault(code="invalid_choice", message=message, param=param)


ENTER_CURRENT_PASSWORD = Fault(
    code="enter_current_password",
    message="Please type your current password.",
    param="current_password",
)
INCORRECT_PASSWORD = Fault(
    code="incorrect_password", message="Incorrect password.", param="password"
)
MISMATCH = Fault(
    code="email_password_mismatch",
    message="The email address and/or password you specified are not correct.",
    param="password",
)
TOO_MANY_ATTEMPTS = Fault(
    code="too_many_login_attempts", message="Too many failed login attempts. Try again later."
)


INCORRECT_CREDENTIAL = Fault(code="incorrect_code", message="Incorrect code.")


def rate_limited(param: str = "code") -> Fault:
    """Too many codes were tried; this one has not been judged."""
    message = "Be patient, you are sending too many requests."
    return Fault(code="rate_limited", message=message, param=param)


def too_many_attempts(param: str) -> Fault:
    """Too many proofs were tried; this one has not been judged."""
    return Fault(code=TOO_MANY_ATTEMPTS.code, message=TOO_MANY_ATTEMPTS.message, param=param)


CANNOT_GENERATE_CODES = Fault(
    code="cannot_generate_recovery_codes",
    message=(
        "You cannot generate recovery codes without having two-factor authentication enabled."
    ),
)
CANNOT_DELETE_AUTHENTICATOR = Fault(
    code="cannot_delete_authenticator",
    message=(
        "You have no password, and without a passkey you could not log in any more. "
        "Set a password or add a passkey first."
    ),
)
TOO_MANY_KEYS = Fault(
    code="too_many_authenticators",
    message="You have too many security keys and passkeys. Remove one of them first.",
)
UNVERIFIED_EMAIL = Fault(
    code="unverified_email",
    message=(
        "You cannot activate two-factor authentication until you have verified your email address."
    ),
)
