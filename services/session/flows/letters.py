"""Mails that anybody can cause: each is counted, and refused beyond its limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.limits import CONFIRM_EMAIL, Counter
from services.session.domain.mails import Mail, MailKind
from services.session.flows.spoken import spoken
from services.session.store import MailStore, Store
from shared.database import Step
from shared.token import new_token

ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail to be written with what it tells of.

    `conditions` count it by `counters`, and refuse it. What comes by it can be done without if it
    `may_be_left_out`: then it is, beyond the limits, and everything else goes on.
    """

    counters: tuple[Counter, ...]
    conditions: tuple[Step, ...]
    mail: Step
    may_be_left_out: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is to be written, conditions first."""
        return (*self.conditions, self.mail)


class Letters:
    """Makes letters."""

    def __init__(self, store: Store, mails: MailStore) -> None:
        self._store = store
        self._mails = mails

    def write(
        self,
        to: str,
        kind: MailKind,
        now: datetime,
        *,
        ip: str,
        facts: Mapping[str, str] | None = None,
        action: str = CONFIRM_EMAIL,
        may_be_left_out: bool = False,
    ) -> Letter:
        """Return a letter to `to`, which somebody at `ip` has caused by `action`."""
        counters = self.counters(to, ip=ip, action=action)
        letter = self.write_within(counters, to, kind, now, facts=facts)
        return replace(letter, may_be_left_out=may_be_left_out)

    def counters(self, to: str, *, ip: str, action: str = CONFIRM_EMAIL) -> tuple[Counter, ...]:
        """Return what counts the letters to `to` that somebody at `ip` causes by `action`."""
        return self._store.limits.mails(address=to, ip=ip, action=action)

    def write_within(
        self,
        counters: tuple[Counter, ...],
        to: str,
        kind: MailKind,
        now: datetime,
        *,
        facts: Mapping[str, str] | None = None,
        wanted: bool = True,
    ) -> Letter:
        """Return a letter to `to` that is counted by `counters`.

        One that is not `wanted` is counted and made all the same, and not sent.
        """
        told = {**spoken(), **(facts or {})}
        mail = Mail(id=new_token(ID_BYTES), kind=kind, to=to, facts=told)
        return Letter(
            counters=counters,
            conditions=self._store.count(counters, now),
            mail=self._mails.due(mail, now, wanted=wanted),
        )
