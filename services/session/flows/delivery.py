"""Sending the mails that are due: at least once each, and recognisable as the same."""

import asyncio
from datetime import timedelta
from email.message import EmailMessage

import structlog

from services.session.domain.mails import Mail, MailKind
from services.session.events import MailGivenUp
from services.session.gateway.letters import compose
from services.session.gateway.postbox import Postbox, Undeliverable
from services.session.gateway.templates import Templates
from services.session.store import DueMail, MailStore
from shared.cipher import CannotOpen
from shared.clock import Clock
from shared.errors import Unavailable

AT_ONCE = 4  # mails under way; one slow recipient must not hold up the others
WITHIN = timedelta(minutes=1)  # for one delivery
LEASE = timedelta(minutes=2)  # longer than a delivery takes: after it another worker tries
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=15)
KEEP_TRYING = timedelta(hours=24)  # every code in a mail is long dead by then

log = structlog.get_logger(__name__)


class Delivery:
    """Takes mails that are due from the store and hands them to the postbox."""

    def __init__(
        self,
        *,
        mails: MailStore,
        postbox: Postbox,
        templates: Templates,
        clock: Clock,
        sender: str,
        public_url: str,
    ) -> None:
        self._mails = mails
        self._postbox = postbox
        self._templates = templates
        self._clock = clock
        self._sender = sender
        self._public_url = public_url

    async def deliver_due(self) -> None:
        """Send all mails that are due now. One that fails is due again after a pause.

        With none due this is a single statement.
        """
        first = await self._take()
        if first is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver_from(first))
            for _ in range(AT_ONCE - 1):
                group.create_task(self._deliver_from(None))

    async def _take(self) -> DueMail | None:
        return await self._mails.take(self._clock(), LEASE)

    async def _deliver_from(self, first: DueMail | None) -> None:
        """Deliver mails one by one, `first` before all others."""
        due = first or await self._take()
        while due is not None:
            await self._deliver(due)
            due = await self._take()

    async def _deliver(self, due: DueMail) -> None:
        about = {"mail": due.id, "attempts": due.attempts}
        try:
            mail = self._mails.open(due)
        except CannotOpen as error:  # nor will it ever, without the key that sealed it
            log.warning("mail_given_up", reason=error.detail, **about)
            await self._give_up(due, kind=None)
            return
        await self._send(due, mail)

    async def _send(self, due: DueMail, mail: Mail) -> None:
        about = {"mail": due.id, "kind": mail.kind.value, "attempts": due.attempts}
        try:
            async with asyncio.timeout(WITHIN.total_seconds()):
                await self._postbox.deliver(self._compose(due, mail))
        except Undeliverable as error:
            log.warning("mail_given_up", reason=error.detail, **about)
            await self._give_up(due, mail.kind)
        except Unavailable as error:
            log.warning("mail_not_sent", reason=error.detail, **about)
            await self._try_later(due, mail.kind)
        except Exception:  # whatever it is, it must not keep the other mails from going out
            log.exception("mail_not_sent", **about)
            await self._try_later(due, mail.kind)
        else:
            # Dying here means that the mail is sent again, with the same Message-ID.
            await self._mails.sent(due.id)

    def _compose(self, due: DueMail, mail: Mail) -> EmailMessage:
        return compose(
            mail,
            sender=self._sender,
            public_url=self._public_url,
            message_id=due.id,
            written_at=due.created_at,
            templates=self._templates,
        )

    async def _try_later(self, due: DueMail, kind: MailKind) -> None:
        now = self._clock()
        if now - due.created_at >= KEEP_TRYING:
            await self._give_up(due, kind)
            return
        await self._mails.put_back(due.id, now + pause_after(due.attempts))

    async def _give_up(self, due: DueMail, kind: MailKind | None) -> None:
        event = MailGivenUp(user_id=None, kind=kind, attempts=due.attempts)
        await self._mails.give_up(due.id, event)


def pause_after(attempts: int) -> timedelta:
    """Return how long a mail rests that has failed so many times."""
    doublings = min(max(attempts - 1, 0), 16)  # more would only be capped
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
