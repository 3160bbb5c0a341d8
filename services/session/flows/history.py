"""What has happened to a person, as the ledger has it."""

from dataclasses import dataclass
from datetime import datetime

from services.session.flows.outcomes import LoginNeeded, Visit
from services.session.gateway.ledger import LedgerClient
from shared.clock import Clock
from shared.errors import Unavailable
from shared.history import PastEvent

SHOWN = 100  # events at once, newest first


@dataclass(frozen=True)
class Past:
    """What has happened, the newest first, as of `at`. There may be more if it `is_full`."""

    events: tuple[PastEvent, ...]
    at: datetime
    is_full: bool


class HistoryFlow:
    """Asks the ledger on behalf of who is logged in, of themselves alone. Nobody waits for it else.

    Raises Unavailable if the ledger is away, or there is none.
    """

    def __init__(self, ledger: LedgerClient | None, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def show(self, visit: Visit, *, before: int | None = None) -> Past | LoginNeeded:
        """Show what happened, `before` an entry if one is named."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        if self._ledger is None:
            raise Unavailable("There is no ledger here.")
        history = await self._ledger.history(account.id, before=before, limit=SHOWN)
        events = tuple(history.events)
        return Past(events, at=self._clock(), is_full=len(events) == SHOWN)
