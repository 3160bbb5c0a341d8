"""Enters what the ledger had before there were keys, in the same order and before anything else."""

import asyncio

from services.audit.flows.entering import Ledger
from services.audit.store.ledger import LedgerStore


class Carrying:
    """Empties the table that a migration has set aside, which is needed once."""

    def __init__(self, store: LedgerStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._turn = asyncio.Lock()
        self._done = False

    async def finish(self) -> None:
        """Return when nothing is left there. Repeatable, and whoever dies in between is followed.

        What was entered and not deleted is known by its id.
        """
        async with self._turn:
            while not self._done:
                arrivals = await self._store.unsealed()
                await self._ledger.take(arrivals)
                await self._store.delete_unsealed([arrival.fact.id for arrival in arrivals])
                self._done = not arrivals
