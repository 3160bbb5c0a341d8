"""The mails with the codes that people log in by."""

from datetime import datetime

from services.session.domain.codes import CodeRules, MailedCode
from services.session.domain.frontend_urls import SIGNUP, FrontendUrls
from services.session.domain.limits import REQUEST_LOGIN_CODE, Counter
from services.session.domain.mails import MailKind
from services.session.domain.origins import origin_of
from services.session.domain.stages import Login
from services.session.flows.letters import Letter, Letters
from services.session.flows.mailed_codes import MailedCodes
from services.session.flows.outcomes import Visit
from services.session.store import Store


class LoginCodeMails:
    """Makes them, and tells whether what comes back is right.

    Who may not have a code gets another mail `instead`, counted as one; those who have no account
    are told that only with `unknown_accounts`, and else get none.
    """

    def __init__(
        self,
        store: Store,
        letters: Letters,
        codes: MailedCodes,
        rules: CodeRules,
        pages: FrontendUrls,
        *,
        unknown_accounts: bool = True,
    ) -> None:
        self._store = store
        self._letters = letters
        self._codes = codes
        self._rules = rules
        self._pages = pages
        self._unknown_accounts = unknown_accounts

    def first(
        self, visit: Visit, login: Login, now: datetime, *, instead: MailKind | None = None
    ) -> tuple[MailedCode, Letter]:
        """Return the code that `login` waits for, and the letter with it."""
        code, awaited = self._codes.make(login.id, self._rules, now)
        return awaited, self._letter(visit, login, code, now, instead)

    def another(
        self, visit: Visit, login: Login, awaited: MailedCode, now: datetime, *, wanted: bool
    ) -> tuple[MailedCode, Letter]:
        """Return another code in place of one that is `awaited`, and the letter with it.

        Who has no account is not told that again: then no letter is `wanted`.
        """
        code, other = self._codes.remake(login.id, awaited, self._rules.format)
        counters = self.counters(visit, login)
        letter = self._letters.write_within(
            counters, login.mailbox, MailKind.LOGIN_CODE, now, facts={"code": code}, wanted=wanted
        )
        return other, letter

    def is_right(self, login: Login, typed: str) -> bool:
        """Tell whether `typed` is the code that was mailed for `login`."""
        return self._codes.is_right(login.id, login.code, typed)

    def counters(self, visit: Visit, login: Login) -> tuple[Counter, ...]:
        """Return what counts the mails of `login`.

        Those that take a proof before are counted apart from those that anybody can ask for; and
        these, where the owner has logged in before, apart from those of strangers. So nobody keeps
        the owner out by asking for codes.
        """
        limits = self._store.limits
        if login.methods:
            return limits.mails_upon_proof(login.mailbox)
        here = origin_of(visit.address, visit.user_agent)
        return limits.mails(
            address=login.mailbox,
            ip=visit.address,
            action=REQUEST_LOGIN_CODE,
            at_home=login.arrival is not None and login.arrival.is_familiar(here),
        )

    def _letter(
        self, visit: Visit, login: Login, code: str, now: datetime, instead: MailKind | None
    ) -> Letter:
        kind = instead or MailKind.LOGIN_CODE
        facts = {MailKind.LOGIN_CODE: {"code": code}, MailKind.UNKNOWN_ACCOUNT: self._signup}
        return self._letters.write_within(
            self.counters(visit, login),
            login.mailbox,
            kind,
            now,
            facts=facts.get(kind),
            wanted=kind is not MailKind.UNKNOWN_ACCOUNT or self._unknown_accounts,
        )

    @property
    def _signup(self) -> dict[str, str]:
        page = self._pages.page(SIGNUP)
        return {} if page is None else {"link": page}
