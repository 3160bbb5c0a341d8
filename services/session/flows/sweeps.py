"""What the worker does now and then: finishes what crashes left, and throws away what is over."""

from collections.abc import Mapping
from datetime import timedelta

from services.session.flows.register import Registrar
from services.session.store import DeadAuthenticator, Store
from shared.clock import Clock
from shared.errors import CountersignError, Unavailable
from shared.factor import FactorClient

DIRTY_FOR = timedelta(minutes=1)  # longer than any request takes
LEASE = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=1)
MAX_ROUNDS = 1000  # per call: a sweep must come to an end


class Sweeps:
    """Each does what is due and returns how much that was. All may run twice at once.

    `factors` are all that are there, each by the name of its service.
    """

    def __init__(
        self,
        store: Store,
        registrar: Registrar,
        factors: Mapping[str, FactorClient],
        clock: Clock,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._factors = factors
        self._clock = clock

    async def repair_registers(self) -> int:
        """Repair the registers that have been dirty for a minute."""
        done = 0
        for user_id in await self._store.find_dirty(self._clock() - DIRTY_FOR):
            account = await self._store.find_account(user_id)
            if account is None:
                continue
            try:
                await self._registrar.repair(account)
            except Unavailable:  # the factor is away, or somebody else is at it: next time
                continue
            done += 1
        return done

    async def collect_dead(self) -> int:
        """Have factors remove the authenticators that never came to count.

        While a factor is away, or not configured, it is asked again after one minute, two, four, up
        to an hour.
        """
        done = 0
        for _ in range(MAX_ROUNDS):
            dead = await self._store.take_dead(self._clock(), LEASE)
            if dead is None:
                break
            factor = self._factors.get(dead.factor)
            if factor is None or not await _is_removed(factor, dead):
                delay = min(LEASE * 2 ** min(dead.attempts, 6), LONGEST_DELAY)
                await self._store.put_back_dead(dead, self._clock() + delay)
                continue
            await self._store.forget_dead(dead)
            done += 1
        return done

    async def delete_expired(self) -> int:
        """Delete sessions and counters that are over, batch by batch; return the batches."""
        done = 0
        while done < MAX_ROUNDS and await self._store.delete_expired(self._clock()):
            done += 1
        return done


async def _is_removed(factor: FactorClient, dead: DeadAuthenticator) -> bool:
    """Have `factor` remove an authenticator. Whatever goes wrong there, it is asked again."""
    try:
        await factor.remove(dead.user_id, dead.authenticator_id)
    except CountersignError:
        return False
    return True
