"""What people are told by mail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class MailKind(StrEnum):
    """Which text is sent."""

    VERIFICATION_CODE = "verification_code"
    VERIFICATION_LINK = "verification_link"
    ADDRESS_TAKEN = "address_taken"
    LOGIN_CODE = "login_code"
    UNKNOWN_ACCOUNT = "unknown_account"
    ACCOUNT_EXISTS = "account_exists"
    ACCOUNT_CREATED = "account_created"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    ACCOUNT_UNLOCKED = "account_unlocked"
    ACCOUNT_DELETED = "account_deleted"
    AUTHENTICATOR_ADDED = "authenticator_added"
    AUTHENTICATOR_REMOVED = "authenticator_removed"
    CLONE_SUSPECTED = "clone_suspected"
    EMAIL_ADDED = "email_added"
    EMAIL_CHANGED = "email_changed"
    EMAIL_REMOVED = "email_removed"
    NEW_LOGIN = "new_login"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PASSWORD_RESET_CODE = "password_reset_code"  # noqa: S105
    PASSWORD_RESET_LINK = "password_reset_link"  # noqa: S105
    PASSWORD_SET = "password_set"  # noqa: S105
    RECOVERY_CODES_GENERATED = "recovery_codes_generated"
    RECOVERY_CODES_LOW = "recovery_codes_low"
    RECOVERY_CODE_USED = "recovery_code_used"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105
    SECOND_FACTOR_MISSING = "second_factor_missing"
    SECOND_FACTOR_RESET = "second_factor_reset"
    SESSIONS_ENDED = "sessions_ended"
    TRUST_REPLAYED = "trust_replayed"
    TRUST_REVOKED = "trust_revoked"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One message to one canonical address. `facts` go into the text and may be secret."""

    id: str
    kind: MailKind
    to: str
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)
