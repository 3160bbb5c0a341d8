"""Authenticators that may have been copied: whoever has the original is told by mail.

Here, of factors that say so in their answers. What is on the bus is told of by `reports`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.session.domain.mails import MailKind
from services.session.domain.register import Entry
from services.session.domain.sessions import Account
from services.session.flows.notices import Notices
from shared.database import Step
from shared.factor import Verification


class Clones:
    """Tells people of copies, with the write that accepts or counts what has shown them."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    def accepted(
        self, account: Account, entry: Entry, verification: Verification, now: datetime
    ) -> tuple[Step, ...]:
        """Return the steps that tell of an authenticator that was accepted all the same."""
        if verification.facts.get("clone_suspected") is not True:
            return ()
        return self._told(account, entry, now)

    def refused(
        self,
        account: Account,
        asked: Iterable[Entry],
        verification: Verification,
        now: datetime,
    ) -> tuple[Step, ...]:
        """Return the steps that tell of an authenticator that was refused for that.

        A factor tells of none but those of the account that it was `asked` about.
        """
        suspect = _suspect_of(verification)
        entry = next((e for e in asked if suspect == (account.id, e.id)), None)
        return () if entry is None else self._told(account, entry, now)

    def _told(self, account: Account, entry: Entry, now: datetime) -> tuple[Step, ...]:
        name = entry.facts.get("name")
        facts = {"factor": entry.type} | ({"key": name} if isinstance(name, str) else {})
        return self._notices.tell(account.email, MailKind.CLONE_SUSPECTED, now, facts)


def _suspect_of(verification: Verification) -> tuple[str, str] | None:
    """Return whose authenticator was refused as a copy, and its id, if that is why it was."""
    told = verification.facts.get("suspected_clone")
    if verification.accepted or not isinstance(told, Mapping):
        return None
    user_id, authenticator_id = told.get("user_id"), told.get("authenticator_id")
    if not isinstance(user_id, str) or not isinstance(authenticator_id, str):
        return None
    return user_id, authenticator_id
