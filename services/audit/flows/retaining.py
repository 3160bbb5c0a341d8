"""Drops events that are not to be kept any more, once it is on record that they are."""

from services.audit.domain.entries import time_text
from services.audit.domain.retention import STATEMENT, Policy, Statement, due, stated
from services.audit.events import EventsDue
from services.audit.store.ledger import LedgerStore
from shared.clock import Clock

STATEMENTS = 1000  # that are looked at; there is one a day for each type at most


class Retaining:
    """Keeps events for as long as was set, by type."""

    def __init__(self, store: LedgerStore, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._told: set[Statement] = set()

    async def sweep(self) -> None:
        """Drop what is due, as far as that is on record, and put on record what is due besides.

        The statement comes by the bus, as any event: what it says is done by a later sweep.
        """
        if not self._policy:
            return
        oldest = await self._store.oldest()
        on_record = await self._on_record()
        for statement in due(self._policy, oldest, self._clock()):
            said = on_record.get(statement.type)
            if said is not None and oldest[statement.type] < said.before:
                await self._store.drop_events(said.type, min(said.before, statement.before))
            if (said is None or said.before < statement.before) and statement not in self._told:
                before = time_text(statement.before)
                event = EventsDue(user_id=None, event_type=statement.type, before=before)
                await self._store.record(event)
                self._told.add(statement)

    async def _on_record(self) -> dict[str, Statement]:
        """Return the newest statement about each type."""
        found: dict[str, Statement] = {}
        for entry in await self._store.newest_of(STATEMENT, STATEMENTS):
            statement = None if entry.event is None else stated(entry.event)
            if statement is not None and entry.source == "audit":
                found.setdefault(statement.type, statement)
        return found
