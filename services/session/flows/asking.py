"""How often options for keys are asked for, by who has nothing to prove for it."""

from services.session.domain.limits import WEBAUTHN_OPTIONS
from services.session.flows.outcomes import Throttled, Visit, until
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step


class Asking:
    """Counts each time, for where it comes from: each is a call, and a challenge that is kept."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def count(self, visit: Visit, *steps: Step) -> Throttled | None:
        """Count one, and write `steps` with it. Over the limit, nothing is written.

        `steps` are none that could be refused. One write, or none if there is nothing to write.
        """
        now = self._clock()
        counters = self._store.limits.counters(WEBAUTHN_OPTIONS, ip=visit.address)
        if await self._store.write(*self._store.count(counters, now), *steps) is not None:
            return None
        ends_at = await self._store.spent_until(counters, now)
        return Throttled(until(ends_at or now, now))
