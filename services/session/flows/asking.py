"""How often options for keys are asked for, by who has nothing to prove for it."""

from services.session.domain.limits import Counter
from services.session.domain.sessions import Account
from services.session.events import KeyOptionsLimited
from services.session.flows.outcomes import Throttled, Visit, until
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step


class Asking:
    """Counts each time: each is a call, and a challenge that is kept.

    It counts for who asks, as far as they have proved who they are, and else for where it comes
    from.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def count(self, visit: Visit, *steps: Step) -> Throttled | None:
        """Count one, and write `steps` with it. Over the limit, nothing is written.

        `steps` are none that could be refused. One write, or none if there is nothing to write.
        """
        now = self._clock()
        counters = self._counters(visit)
        if await self._store.write(*self._store.count(counters, now), *steps) is not None:
            return None
        ends_at = await self._store.spent_until(counters, now)
        return Throttled(until(ends_at or now, now))

    async def count_for(self, visit: Visit, account: Account) -> Throttled | None:
        """Count one for a new key of `account`. Over the limit, that goes on record.

        Where it is for a login, that is told as one that was not judged.
        """
        limited = await self.count(visit)
        if limited is not None:
            await self._store.record(KeyOptionsLimited(user_id=account.id))
        return limited

    def _counters(self, visit: Visit) -> tuple[Counter, ...]:
        limits, session, account = self._store.limits, visit.session, visit.account
        if session is None or account is None:
            return limits.options(ip=visit.address)
        login = session.login
        if login is not None and not login.has_proof:
            return limits.options(ip=visit.address)
        return limits.options(ip=visit.address, user=account.id, pending=login is not None)
