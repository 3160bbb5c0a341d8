"""Mails that are due: sealed rows, taken by one worker at a time and sent at least once."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.session.domain.mails import Mail, MailKind
from services.session.store import statements
from services.session.store.tables import mails
from shared.cipher import Cipher
from shared.clock import from_micros, to_micros
from shared.database import Database, Step, also, step
from shared.event import Event
from shared.resealing import Shelf, shelf

PURPOSE = "session.mail"  # of the key that seals mails


@dataclass(frozen=True, kw_only=True)
class DueMail:
    """A mail to be sent now, still sealed. `attempts` counts this one."""

    id: str
    sealed: bytes = field(repr=False)
    attempts: int
    created_at: datetime


class MailStore:
    """The mails that session owes. Address and text are sealed: they hold codes."""

    def __init__(self, db: Database, cipher: Cipher) -> None:
        self._db = db
        self._cipher = cipher

    def due(
        self,
        mail: Mail,
        now: datetime,
        *,
        at: datetime | None = None,
        topic: str | None = None,
        wanted: bool = True,
    ) -> Step:
        """Return the step that makes `mail` due, at once or `at`, to be written with its cause.

        Of mails with one `topic` only one waits: a second is left out. One that is not `wanted` is
        the same work for nothing: what is not sent takes as long as what is.
        """
        plain = json.dumps({"kind": mail.kind.value, "to": mail.to, "facts": dict(mail.facts)})
        return also(
            statements.INSERT_MAIL,
            id=mail.id,
            sealed=self._cipher.seal(plain.encode(), bound_to=_place(mail.id)),
            created_at=to_micros(now),
            due_at=to_micros(at or now),
            first_due_at=to_micros(at or now),
            topic=topic,
            wanted=int(wanted),
        )

    def withdraw(self, topic: str) -> Step:
        """Return the step that forgets the mail about `topic`, if it still waits."""
        return also(statements.WITHDRAW_MAIL, topic=topic)

    def withdraw_all(self, user_id: str) -> Step:
        """Return the step that forgets what waits about anything that has to do with a person."""
        return also(statements.WITHDRAW_MAILS, prefix=f"{user_id}:")

    async def take(self, now: datetime, lease: timedelta) -> DueMail | None:
        """Take the mail that has been due longest, for as long as `lease`. None if none is due.

        Whoever dies holding it leaves it due again.
        """
        row = await self._db.apply(
            step(statements.TAKE_MAIL, now=to_micros(now), next_at=to_micros(now + lease))
        )
        if row is None:
            return None
        return DueMail(
            id=row.id,
            sealed=row.sealed,
            attempts=row.attempts,
            created_at=from_micros(row.created_at),
        )

    def open(self, due: DueMail) -> Mail:
        """Return what a mail says. Raises CannotOpen if it was altered, or its key is gone."""
        facts = json.loads(self._cipher.open(due.sealed, bound_to=_place(due.id)))
        return Mail(id=due.id, kind=MailKind(facts["kind"]), to=facts["to"], facts=facts["facts"])

    async def sent(self, id: str) -> None:
        """Forget a mail that was sent."""
        await self._db.apply(step(statements.DELETE_MAIL, id=id))

    async def put_back(self, id: str, due_at: datetime) -> None:
        """Let a mail that could not be sent be due again at `due_at`."""
        await self._db.apply(step(statements.PUT_BACK_MAIL, id=id, next_at=to_micros(due_at)))

    async def give_up(self, id: str, *events: Event) -> None:
        """Forget a mail that will not be sent, and put that on record."""
        await self._db.apply(step(statements.DELETE_MAIL, id=id), *events)


def sealed_mails() -> Shelf:
    """Return the mails that wait, as values that lie sealed."""
    return shelf(mails.c.sealed, lambda row: _place(row.id))


def _place(id: str) -> tuple[str, ...]:
    return ("session", "mails", "sealed", id)
