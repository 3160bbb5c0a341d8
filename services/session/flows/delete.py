"""Deleting a person: one write here, and then everybody else is asked to forget them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from services.session.domain.mails import MailKind
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.register import Register
from services.session.domain.sessions import Account
from services.session.events import UserDeleted, UserErased
from services.session.flows.notices import Notices
from services.session.flows.outcomes import (
    LoginNeeded,
    Outcome,
    ReauthenticationNeeded,
    Standing,
    Visit,
)
from services.session.flows.register import BURIAL_DELAY
from services.session.gateway.ledger import LedgerClient
from services.session.store import Store
from services.session.store.people import Erasure, People
from shared.clock import Clock
from shared.database import Step
from shared.errors import CountersignError, Unavailable
from shared.factor import FactorClient

LEASE = timedelta(minutes=5)  # longer than all who are asked may take together
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
MAX_ROUNDS = 1000  # per call

PERSON = "person"

log = structlog.stdlib.get_logger(__name__)


class Deletion:
    """The steps that delete a person, whoever wants it."""

    def __init__(self, store: Store, people: People, notices: Notices) -> None:
        self._store = store
        self._people = people
        self._notices = notices

    def steps(
        self,
        id: str,
        addresses: Sequence[str],
        register: Register,
        now: datetime,
        *,
        account: Account | None = None,
    ) -> Iterator[Step]:
        """Yield the steps; they refuse as `People.delete` does.

        The first of the `addresses` is told, if there is any.
        The factors forget everything of the person, but for what is being made at this moment and
        may come after that: it is left to the sweep.
        """
        yield from self._people.delete(id, register, now, account=account)
        yield self._people.forget_counters(id, *addresses)
        if register.pending is not None:
            for named in register.pending.involved:
                yield self._store.bury(id, named, now + BURIAL_DELAY)
        yield self._notices.withdraw_all(id)
        for email in addresses[:1]:
            yield from self._notices.tell(email, MailKind.ACCOUNT_DELETED, now)

    async def addresses(self, id: str) -> list[str]:
        """Return the addresses of a person, the primary one first."""
        return [address.address for address in await self._people.addresses(id)]


class DeleteFlow:
    """A person deletes their own account."""

    def __init__(
        self,
        store: Store,
        deletion: Deletion,
        clock: Clock,
        *,
        reauthentication: Reauthentication,
    ) -> None:
        self._store = store
        self._deletion = deletion
        self._clock = clock
        self._reauthentication = reauthentication

    async def delete(self, visit: Visit) -> Outcome:
        """Delete the account of who is logged in and has proved themselves again just now.

        Refused if the session, or all of them, ended meanwhile: a logout is final here too.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        now = self._clock()
        methods = self._reauthentication.missing(Matter.DELETION, session, account, now)
        if methods:
            return ReauthenticationNeeded(visit, methods)
        nobody = visit.as_nobody
        addresses = await self._deletion.addresses(account.id)
        written = await self._store.write(
            self._store.end_session(session.id),
            *self._deletion.steps(account.id, addresses, account.register, now, account=account),
            events=[UserDeleted(user_id=account.id, by=PERSON)],
        )
        if written is not None:
            return Standing(visit=nobody)
        found = await self._store.find_account(account.id)
        if found is not None and found.register.number != account.register.number:
            raise Unavailable("The authenticators of this account are being changed.")
        return LoginNeeded(nobody)


class Erasing:
    """Has those who are deleted forgotten everywhere, again and again until all have confirmed.

    All are the ledger, every factor that is configured, and every factor that has ever been told of
    the person: one of these that is not configured any more cannot confirm, and is waited for.
    """

    def __init__(
        self,
        store: Store,
        people: People,
        factors: Mapping[str, FactorClient],
        ledger: LedgerClient,
        clock: Clock,
    ) -> None:
        self._store = store
        self._people = people
        self._factors = factors
        self._ledger = ledger
        self._clock = clock

    async def erase_due(self) -> int:
        """Ask on behalf of everybody who is due; return how many are forgotten by all.

        While somebody is away, all are asked again after one minute, two, four, up to an hour.
        """
        done = 0
        for _ in range(MAX_ROUNDS):
            erasure = await self._people.take_erasure(self._clock(), LEASE)
            if erasure is None:
                break
            if await self._forgotten(erasure):
                done += await self._finished(erasure)
            else:
                await self._try_later(erasure)
        return done

    async def _forgotten(self, erasure: Erasure) -> bool:
        """Ask all, also if one of them fails: what can be forgotten now is."""
        keepers: dict[str, FactorClient | LedgerClient] = {**self._factors, "audit": self._ledger}
        waits_for = [
            name for name, keeper in keepers.items() if not await _confirms(keeper, erasure.user_id)
        ]
        missing = [factor for factor in erasure.factors if factor not in self._factors]
        if waits_for or missing:
            log.warning(
                "erasure_waits",
                user_id=erasure.user_id,
                attempts=erasure.attempts,
                waits_for=waits_for,
                not_configured=missing,
            )
        return not (waits_for or missing)

    async def _finished(self, erasure: Erasure) -> bool:
        event = UserErased(user_id=erasure.user_id)
        return await self._store.write(*self._people.erased(erasure), events=[event]) is not None

    async def _try_later(self, erasure: Erasure) -> None:
        doublings = min(max(erasure.attempts - 1, 0), 16)  # more would only be capped
        delay = min(FIRST_DELAY * (1 << doublings), LONGEST_DELAY)
        await self._people.put_back_erasure(erasure, self._clock() + delay)


async def _confirms(keeper: FactorClient | LedgerClient, user_id: str) -> bool:
    """Have `keeper` forget a person. Whatever goes wrong there, it is asked again."""
    try:
        await keeper.forget(user_id)
    except CountersignError:
        return False
    return True
