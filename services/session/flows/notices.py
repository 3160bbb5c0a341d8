"""Mails that tell people what happened to their account: written with what they tell of."""

from collections.abc import Mapping
from datetime import datetime

from services.session.domain.mails import Mail, MailKind
from services.session.flows.spoken import spoken
from services.session.store import MailStore
from shared import context
from shared.database import Step
from shared.token import new_token

ID_BYTES = 16


class Notices:
    """Makes notices due. Every one says when it was, from which address and with what browser.

    Without `enabled` (ACCOUNT_EMAIL_NOTIFICATIONS) nobody is told anything, nor is who has no
    address to be told at (`to` is None).
    """

    def __init__(self, mails: MailStore, *, enabled: bool) -> None:
        self._mails = mails
        self._enabled = enabled

    def tell(
        self,
        to: str | None,
        kind: MailKind,
        now: datetime,
        facts: Mapping[str, str] | None = None,
    ) -> tuple[Step, ...]:
        """Return the steps that tell the owner of address `to` at once.

        They are to be written with what they tell of.
        """
        return self._due(to, kind, now, facts or {}, at=None, topic=None)

    def tell_later(
        self,
        to: str | None,
        kind: MailKind,
        now: datetime,
        *,
        at: datetime,
        topic: str,
        facts: Mapping[str, str] | None = None,
    ) -> tuple[Step, ...]:
        """Return the steps that tell the owner of `to` at a later time, unless withdrawn.

        Of one topic only one notice waits at a time.
        """
        return self._due(to, kind, now, facts or {}, at=at, topic=topic)

    def tell_of_report(
        self, to: str | None, kind: MailKind, now: datetime, *, id: str, facts: Mapping[str, str]
    ) -> tuple[Step, ...]:
        """Return the steps that tell the owner of `to` of what another service has reported.

        `facts` are all that there is to tell, `id` is that of the mail.
        """
        if not self._enabled or to is None:
            return ()
        return (self._mails.due(Mail(id=id, kind=kind, to=to, facts=facts), now),)

    def withdraw(self, topic: str) -> tuple[Step, ...]:
        """Return the steps that take back what was to be told later."""
        return (self._mails.withdraw(topic),) if self._enabled else ()

    def withdraw_all(self, user_id: str) -> Step:
        """Return the step that takes back everything that a person was to be told later."""
        return self._mails.withdraw_all(user_id)

    def _due(
        self,
        to: str | None,
        kind: MailKind,
        now: datetime,
        facts: Mapping[str, str],
        *,
        at: datetime | None,
        topic: str | None,
    ) -> tuple[Step, ...]:
        if not self._enabled or to is None:
            return ()
        told = {**circumstances(now, context.current()), **spoken(), **facts}
        mail = Mail(id=new_token(ID_BYTES), kind=kind, to=to, facts=told)
        return (self._mails.due(mail, now, at=at, topic=topic),)


def circumstances(at: datetime, here: context.Context | None) -> dict[str, str]:
    """Return when, from where and with what; without a request it was an operator's doing."""
    facts = {"time": f"{at:%Y-%m-%d %H:%M:%S} UTC"}
    if here is not None and here.address:
        facts["address"] = here.address
    if here is not None and here.user_agent:
        facts["user_agent"] = here.user_agent
    return facts
