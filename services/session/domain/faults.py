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


def too_long(param: str, limit: int, length: int) -> Fault:
    """The text has `length` characters, where `limit` are allowed."""
    message = f"Ensure this value has at most {limit} characters (it has {length})."
    return Fault(code="max_length", message=message, param=param)


def too_short(param: str, least: int, length: int) -> Fault:
    """The text has `length` characters, where there are to be at `least` so many."""
    noun = "character" if least == 1 else "characters"
    message = f"Ensure this value has at least {least} {noun} (it has {length})."
    return Fault(code="min_length", message=message, param=param)


def invalid_username(*, ascii_only: bool = False) -> Fault:
    """What was given is no username."""
    letters = "unaccented lowercase a-z and uppercase A-Z letters" if ascii_only else "letters"
    message = (
        f"Enter a valid username. This value may contain only {letters}, numbers, "
        "and @/./+/-/_ characters."
    )
    return Fault(code="invalid", message=message, param="username")


USERNAME_BLACKLISTED = Fault(
    code="username_blacklisted",
    message="Username can not be used. Please use other username.",
    param="username",
)
USERNAME_TAKEN = Fault(
    code="username_taken",
    message="A user with that username already exists.",
    param="username",
)


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
USERNAME_MISMATCH = Fault(
    code="username_password_mismatch",
    message="The username and/or password you specified are not correct.",
    param="password",
)
INVALID_LOGIN = Fault(code="invalid_login", message="Invalid login.")
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


def email_taken(param: str = "email") -> Fault:
    """The address is another person's."""
    message = "A user is already registered with this email address."
    return Fault(code="email_taken", message=message, param=param)


def unknown_email(param: str = "email") -> Fault:
    """The address is nobody's, or not of the person whom it would have to be of."""
    message = "The email address is not assigned to any user account."
    return Fault(code="unknown_email", message=message, param=param)


NOT_AMONG_THEIRS = Fault(code="unknown_email", message="Unknown email address.", param="email")


def too_many_addresses(limit: int) -> Fault:
    """The account has as many addresses as it may."""
    message = f"You cannot add more than {limit} email addresses."
    return Fault(code="max_email_addresses", message=message, param="email")


INVALID_KEY = Fault(code="invalid_or_expired_key", message="Invalid or expired key.", param="key")
INVALID_RESET_KEY = Fault(
    code="invalid_password_reset", message="The password reset token was invalid.", param="key"
)
DUPLICATE_EMAIL = Fault(
    code="duplicate_email",
    message="This email address is already associated with this account.",
    param="email",
)
SAME_AS_CURRENT = Fault(
    code="same_as_current",
    message="The new value must be different from the current one.",
    param="email",
)
CANNOT_REMOVE_PRIMARY = Fault(
    code="cannot_remove_primary_email",
    message="You cannot remove your primary email address.",
    param="email",
)
UNVERIFIED_PRIMARY = Fault(
    code="unverified_primary_email",
    message="Your primary email address must be verified.",
    param="email",
)
ADD_EMAIL_BLOCKED = Fault(
    code="add_email_blocked",
    message=(
        "You cannot add an email address to an account protected by two-factor authentication."
    ),
    param="email",
)
UNVERIFIED_EMAIL = Fault(
    code="unverified_email",
    message=(
        "You cannot activate two-factor authentication until you have verified your email address."
    ),
)
