"""Letting an address count as a person's, once they have shown that it is theirs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.mails import MailKind
from services.session.domain.sessions import Account
from services.session.domain.verification import AddressRules, Verification
from services.session.events import AccountDisplaced, EmailAdded, EmailVerified
from services.session.flows.delete import Deletion
from services.session.flows.notices import Notices
from services.session.store import Store
from services.session.store.emails import Address, Emails
from shared.database import Step
from shared.event import Event
from shared.token import new_token

ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The account as it is once the address counts, and what is to be written for that."""

    account: Account
    steps: tuple[Step, ...]
    events: tuple[Event, ...]


class NewAddresses:
    """Says who may have an address, and what it takes."""

    def __init__(
        self,
        store: Store,
        emails: Emails,
        deletion: Deletion,
        notices: Notices,
        *,
        verification: Verification,
        rules: AddressRules,
    ) -> None:
        self._store = store
        self._emails = emails
        self._deletion = deletion
        self._notices = notices
        self._verification = verification
        self._rules = rules

    def is_free(self, holder: Account | None) -> bool:
        """Tell whether whoever proves to own an address may have it, which `holder` has now.

        It was never shown to be that one's, and nobody can get into their account.
        """
        return holder is None or (
            not holder.email_verified and self._verification.is_unfinished(holder)
        )

    def count(
        self,
        account: Account,
        address: str,
        holder: Account | None,
        now: datetime,
        *,
        claimed: Address | None = None,
    ) -> Counted:
        """Return what lets another address count, which is free although `holder` may have it.

        The first one that there is becomes primary.

        The steps refuse if the account, the holder or the claim has changed since. They raise
        Conflict if somebody has got the address meanwhile.
        """
        after = account
        if self._rules.replaces or account.email is None:
            after = replace(account, email=address, email_verified=True)
        return Counted(
            account=after,
            steps=tuple(self._steps(account, address, holder, now, claimed)),
            events=(
                *(() if holder is None else (AccountDisplaced(user_id=holder.id),)),
                EmailVerified(user_id=account.id),
                EmailAdded(user_id=account.id, replaced=self._replaces(account)),
            ),
        )

    def first(self, account: Account, address: str, now: datetime) -> Counted:
        """Return what lets the primary address count, which was not verified so far."""
        verify = self._store.verify_email(account.id, address, now, first=True)
        return Counted(
            account=replace(account, email_verified=True),
            steps=(self._store.account_stands(account, held=True), verify),
            events=(EmailVerified(user_id=account.id),),
        )

    def _steps(
        self,
        account: Account,
        address: str,
        holder: Account | None,
        now: datetime,
        claimed: Address | None,
    ) -> Iterator[Step]:
        yield self._store.account_stands(account, held=True)
        if holder is not None:  # locked before its address, as by who verifies that
            yield self._store.account_stands(holder, held=True)
            yield self._emails.give_up(holder.id, address)
            yield from self._deletion.steps(holder.id, (), holder.register, now)
        if claimed is not None:
            yield self._emails.take_claim(account.id, claimed)
        if self._rules.replaces and account.email is not None:
            yield from self._emails.replace_all(account.id, account.email, address, now)
            yield from self._tell(account.email, MailKind.EMAIL_CHANGED, address, now)
            return
        yield self._emails.add(
            account.id,
            new_token(ID_BYTES),
            address,
            now,
            primary=account.email is None,
            most=self._rules.most,
        )
        yield self._emails.forget_claim(account.id, address)
        yield from self._tell(account.email, MailKind.EMAIL_ADDED, address, now)

    def _replaces(self, account: Account) -> bool:
        return self._rules.replaces and account.email is not None

    def _tell(
        self, to: str | None, kind: MailKind, address: str, now: datetime
    ) -> tuple[Step, ...]:
        return self._notices.tell(to, kind, now, {"email": address})
