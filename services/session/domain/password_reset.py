"""Passwords that were forgotten: what the operator chose, and which addresses get a new one."""

from dataclasses import dataclass
from datetime import timedelta

from services.session.domain.codes import LETTERS, CodeFormat, CodeRules


@dataclass(frozen=True, kw_only=True)
class PasswordResets:
    """What the operator chose.

    `by_code`, within the session that asked, or else by a link that is good for `link_lifetime`
    wherever it is opened. With `logs_in` a new password begins a login, which takes whatever any
    other does.
    """

    by_code: bool = False
    format: CodeFormat = LETTERS
    max_failures: int = 3
    lifetime: timedelta = timedelta(minutes=3)
    link_lifetime: timedelta = timedelta(days=1)
    logs_in: bool = False

    @property
    def codes(self) -> CodeRules:
        """The rules of the codes that are mailed."""
        return CodeRules(format=self.format, max_failures=self.max_failures, lifetime=self.lifetime)


def gets_reset(*, verified: bool, primary: bool, any_verified: bool) -> bool:
    """Tell whether whoever reads the mails to an address of an account may set its password.

    If the address is `verified`; or if it is the `primary` one and none of the account is, so that
    there is nobody else whom the account could be said to belong to. Where `any_verified` is, an
    address that is not may have been mistyped: it is somebody else's.
    """
    return verified or (primary and not any_verified)
