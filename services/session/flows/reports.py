"""What other services report is told by mail, once, whenever the report arrives."""

from collections.abc import Sequence
from hashlib import sha256

from services.session.domain.factors import service_of
from services.session.domain.mails import MailKind
from services.session.domain.reports import REPORTED, Report
from services.session.domain.sessions import Account
from services.session.flows.notices import Notices, circumstances
from services.session.store import Store
from services.session.store.reports import ReportStore
from shared.clock import Clock
from shared.context import Context
from shared.database import Step
from shared.errors import Malformed

ID_DIGITS = 32  # of a mail, in hex: 128 bits


class Reports:
    """Makes mails of reports. Each is one write, which remembers the report too."""

    def __init__(self, store: Store, reports: ReportStore, notices: Notices, clock: Clock) -> None:
        self._store = store
        self._reports = reports
        self._notices = notices
        self._clock = clock

    async def take_in(self, reports: Sequence[Report]) -> int:
        """Tell of `reports`; return how many were new. Repeatable.

        Raises Malformed if there is one among them that nobody is to be told of.
        """
        return sum([await self._take_in(report) for report in reports])

    async def forget_old(self) -> None:
        """Forget which reports were taken in that cannot come again."""
        await self._reports.delete_old(self._clock())

    async def _take_in(self, report: Report) -> bool:
        kind = REPORTED.get(report.type)
        if kind is None:
            raise Malformed("People are not told of events of this type.")
        taken = self._reports.take_in(report, self._clock())
        account = await self._store.find_account(report.user_id)
        told = () if account is None else self._told(account, kind, report)
        if told:
            lives = self._reports.lives(report.user_id)
            if await self._store.write(taken, lives, *told) is not None:
                return True
            # It was taken in before, or by now there is nobody to be told.
        return await self._store.write(taken) is not None

    def _told(self, account: Account, kind: MailKind, report: Report) -> tuple[Step, ...]:
        facts = circumstances(report.at, _context(report))
        if kind is MailKind.CLONE_SUSPECTED:
            entry = account.register.find(report.authenticator_id or "")
            if entry is None or service_of(entry.type) != report.source:
                return ()  # it does not count, or no more
            name = entry.facts.get("name")
            facts |= {"factor": entry.type} | ({"key": name} if isinstance(name, str) else {})
        return self._notices.tell_of_report(
            account.email, kind, self._clock(), id=_mail_id(report), facts=facts
        )


def _context(report: Report) -> Context:
    return Context(request_id=report.id, address=report.address, user_agent=report.user_agent)


def _mail_id(report: Report) -> str:
    """Return the id of the mail that tells of a report: always the same one."""
    return sha256(f"{report.source} {report.id}".encode()).hexdigest()[:ID_DIGITS]
