"""What the operator chose about addresses: how people show that one is theirs, and how many."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from services.session.domain.codes import RULES, CodeRules
from services.session.domain.sessions import Account

MOST_ADDRESSES = 100  # of one person, whatever is configured


class Verified(StrEnum):
    """When the address of a sign-up has to be verified, as in ACCOUNT_EMAIL_VERIFICATION."""

    MANDATORY = "mandatory"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How addresses are verified.

    `by_code`, within the session that asked, or else by a link that is good for `link_lifetime`
    wherever it is opened. A sign-up whose link is opened in its own session is logged in by that
    only with `login_by_link`. `max_changes` is how often an address may be changed at sign-up.
    Unless `unverified_may_enrol`, who has an address that is not verified adds no second factor: it
    would shut out whoever really owns the address.
    """

    when: Verified = Verified.MANDATORY
    by_code: bool = True
    codes: CodeRules = RULES
    max_changes: int = 0
    link_lifetime: timedelta = timedelta(days=3)
    login_by_link: bool = False
    unverified_may_enrol: bool = False

    @property
    def is_mandatory(self) -> bool:
        """Whether nobody is logged in with an address that is not verified."""
        return self.when is Verified.MANDATORY

    def bars(self, account: Account) -> bool:
        """Tell whether no second factor may be added to the account for want of a verification."""
        unverified = account.email is not None and not account.email_verified
        return (account.has_claims or unverified) and not self.unverified_may_enrol

    def is_unfinished(self, account: Account) -> bool:
        """Tell whether nobody can get into an account, so that it does not hold its address.

        Where an address need not be verified, whoever has the password has got in.
        """
        has_way_in = account.has_usable_password and not self.is_mandatory
        return account.is_unfinished and not has_way_in


@dataclass(frozen=True, kw_only=True)
class AddressRules:
    """How many addresses a person has, and whether a new one takes the place of the others."""

    most: int = MOST_ADDRESSES
    replaces: bool = False
