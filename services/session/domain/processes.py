"""What is under way in a session besides a login: it waits for a code that was mailed."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.codes import CodeRules, MailedCode


@dataclass(frozen=True, kw_only=True)
class AddressProof:
    """Who is logged in proves that `address` is theirs; then it is added to the account."""

    id: str
    address: str
    started_at: datetime
    code: MailedCode


@dataclass(frozen=True, kw_only=True)
class PasswordReset:
    """Somebody who has forgotten their password proves that `address` is theirs.

    `user_id` may name nobody: then it leads nowhere, and looks like any other. The epochs are the
    account's as they were. From `confirmed_at` on the code has been given; it is given again with
    the new password.
    """

    id: str
    address: str
    user_id: str
    factor_epoch: int
    session_epoch: int
    started_at: datetime
    code: MailedCode
    confirmed_at: datetime | None = None

    def is_over(self, now: datetime, rules: CodeRules) -> bool:
        """Tell whether it is too late; the time begins anew when the code is first given."""
        return now >= (self.confirmed_at or self.code.made_at) + rules.lifetime

    def failed(self, rules: CodeRules) -> "PasswordReset | None":
        """Return it with one wrong guess more, or None: that was the last."""
        code = self.code.failed(rules)
        return None if code is None else replace(self, code=code)

    def confirmed(self, now: datetime) -> "PasswordReset":
        """Return it with the code given."""
        return replace(self, confirmed_at=self.confirmed_at or now)


@dataclass(frozen=True, kw_only=True)
class Processes:
    """At most one of each."""

    address: AddressProof | None = None
    reset: PasswordReset | None = None

    def at(self, now: datetime, resets: CodeRules) -> "Processes":
        """Return what is left of them: a reset for which it is too late is there no more."""
        is_over = self.reset is not None and self.reset.is_over(now, resets)
        return replace(self, reset=None) if is_over else self


NONE_UNDER_WAY = Processes()
