"""The mails by which people get a new password: with a code, or with a link."""

from datetime import datetime

from services.session.domain.codes import MailedCode
from services.session.domain.frontend_urls import RESET_PASSWORD_FROM_KEY, SIGNUP, FrontendUrls
from services.session.domain.limits import RESET_PASSWORD
from services.session.domain.mails import MailKind
from services.session.domain.password_reset import PasswordResets
from services.session.domain.sessions import Account
from services.session.flows.letters import Letter, Letters
from services.session.flows.link_keys import LinkKey, LinkKeys
from services.session.flows.mailed_codes import MailedCodes
from services.session.flows.outcomes import Visit
from services.session.store import Known, Store
from shared.token import new_token

ID_BYTES = 16
PURPOSE = "reset_password"


class PasswordResetMails:
    """Makes them, and reads what comes back.

    Who has no account gets another mail instead, counted as one, and that only with
    `unknown_accounts`; else none.
    """

    def __init__(
        self,
        store: Store,
        letters: Letters,
        codes: MailedCodes,
        links: LinkKeys,
        *,
        resets: PasswordResets,
        pages: FrontendUrls,
        unknown_accounts: bool = True,
    ) -> None:
        self._store = store
        self._letters = letters
        self._codes = codes
        self._links = links
        self._resets = resets
        self._pages = pages
        self._unknown_accounts = unknown_accounts

    def with_code(
        self,
        visit: Visit,
        process: str,
        to: str,
        known: Known,
        now: datetime,
        *,
        account: Account | None,
    ) -> tuple[MailedCode, Letter]:
        """Return a code for `process`, the id of what waits for it, and the letter to `to`."""
        code, awaited = self._codes.make(process, self._resets.codes, now)
        kind = MailKind.PASSWORD_RESET_CODE
        facts = {"code": code}
        return awaited, self._letter(visit, to, known, now, account=account, kind=kind, facts=facts)

    def is_code(self, process: str, awaited: MailedCode, typed: str) -> bool:
        """Tell whether `typed` is the code that is awaited. How old it is, the caller asks."""
        return self._codes.is_right(process, awaited, typed)

    def with_link(
        self, visit: Visit, to: str, known: Known, now: datetime, *, account: Account | None
    ) -> Letter:
        """Return the letter with a link by which the password of that account is set.

        The link ends with whatever ends the sessions of the person, as every new password does.
        """
        key = self._links.make(
            new_token(ID_BYTES) if account is None else account.id,
            to,
            str(0 if account is None else account.session_epoch),
            expires_at=now + self._resets.link_lifetime,
        )
        link = self._pages.page_with(RESET_PASSWORD_FROM_KEY, key)
        if link is None:
            raise TypeError("without a page for links there are none: settings are to see to it")
        kind = MailKind.PASSWORD_RESET_LINK
        return self._letter(visit, to, known, now, account=account, kind=kind, facts={"link": link})

    def read_link(self, text: str, now: datetime) -> LinkKey | None:
        """Return whose password the key in a link is to set, if it may be a key."""
        return self._links.read(text, now)

    def is_for(self, key: LinkKey, account: Account, address: str) -> bool:
        """Tell whether a key was mailed to that address of the account, and still does."""
        return self._links.fits(key, address, str(account.session_epoch))

    def _letter(
        self,
        visit: Visit,
        to: str,
        known: Known,
        now: datetime,
        *,
        account: Account | None,
        kind: MailKind,
        facts: dict[str, str],
    ) -> Letter:
        """Return the letter, counted apart where the owner has logged in before.

        So nobody keeps the owner from a new password by asking for some.
        """
        counters = self._store.limits.mails(
            address=to,
            ip=visit.address,
            action=RESET_PASSWORD,
            at_home=known.arrival.network_known,
        )
        return self._letters.write_within(
            counters,
            to,
            MailKind.UNKNOWN_ACCOUNT if account is None else kind,
            now,
            facts=self._signup if account is None else facts,
            wanted=account is not None or self._unknown_accounts,
        )

    @property
    def _signup(self) -> dict[str, str]:
        page = self._pages.page(SIGNUP)
        return {} if page is None else {"link": page}
