"""Sending the mails that are due: at least once each, and recognisable as the same."""

import asyncio
from datetime import timedelta
from email.message import EmailMessage

import structlog

from services.session.events import MailGivenUp
from services.session.gateway.letters import compose
from services.session.gateway.postbox import Postbox, Undeliverable
from services.session.store import DueMail, MailStore
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
        self, *, mails: MailStore, postbox: Postbox, clock: Clock, sender: str, public_url: str
    ) -> None:
        self._mails = mails
        self._postbox = postbox
        self._clock = clock
        self._sender = sender
        self._public_url = public_url

    async def deliver_due(self) -> None:
        """Send all mails that are due now. One that fails is due again after a pause."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._deliver_one_by_one())

    async def _deliver_one_by_one(self) -> None:
        while due := await self._mails.take(self._clock(), LEASE):
            await self._deliver(due)

    async def _deliver(self, due: DueMail) -> None:
        about = {"mail": due.mail.id, "kind": due.mail.kind.value, "attempts": due.attempts}
        try:
            async with asyncio.timeout(WITHIN.total_seconds()):
                await self._postbox.deliver(self._compose(due))
        except Undeliverable as error:
            log.warning("mail_given_up", reason=error.detail, **about)
            await self._give_up(due)
        except Unavailable as error:
            log.warning("mail_not_sent", reason=error.detail, **about)
            await self._try_later(due)
        except Exception:  # whatever it is, it must not keep the other mails from going out
            log.exception("mail_not_sent", **about)
            await self._try_later(due)
        else:
            # Dying here means that the mail is sent again, with the same Message-ID.
            await self._mails.sent(due.mail.id)

    def _compose(self, due: DueMail) -> EmailMessage:
        return compose(
            due.mail,
            sender=self._sender,
            public_url=self._public_url,
            message_id=due.message_id,
            written_at=due.created_at,
        )

    async def _try_later(self, due: DueMail) -> None:
        now = self._clock()
        if now - due.created_at >= KEEP_TRYING:
            await self._give_up(due)
            return
        await self._mails.put_back(due.mail.id, now + pause_after(due.attempts))

    async def _give_up(self, due: DueMail) -> None:
        event = MailGivenUp(user_id=None, kind=due.mail.kind.value, attempts=due.attempts)
        await self._mails.give_up(due.mail.id, event)


def pause_after(attempts: int) -> timedelta:
    """Return how long a mail rests that has failed so many times."""
    doublings = min(max(attempts - 1, 0), 16)  # more would only be capped
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
