"""Judging a password: one counter for every place where one is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.faults import Fault
from services.session.domain.limits import Counter
from services.session.flows.outcomes import Refused, Throttled, Visit, until
from services.session.flows.trust import Recognition
from services.session.store import Known, Store
from shared.clock import Clock
from shared.database import Step
from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a password is asked for: how often that may be, and what is said and recorded there.

    `action` is that of the rate limits; the events are made of the user's id, if there is one.
    """

    action: str
    wrong: Fault
    too_many: Fault
    failed: Callable[[str | None], Event]
    limited: Callable[[str | None], Event]


class PasswordGuesses:
    """Counts wrong passwords at one place, so that the count decides what is said of them."""

    def __init__(self, store: Store, recognition: Recognition, clock: Clock, place: Place) -> None:
        self._store = store
        self._recognition = recognition
        self._clock = clock
        self._place = place

    async def known(self, visit: Visit, email: str, user_id: str | None = None) -> Known:
        """Return what is known of a canonical address. `user_id` is of whoever is logged in.

        Over the limit a browser that the owner trusts has an allowance of its own. So there is one
        call then, if it shows what trusted ones have, whether or not anybody has that address.
        """
        known = await self._read(visit, email, user_id)
        if known.limited_until is None or known.action_until is not None:
            return known
        browser_id = await self._recognition.trusted_browser(visit, known.account)
        if browser_id is None:
            return known
        return await self._store.in_trusted_browser(known, email, browser_id, self._clock())

    async def _read(self, visit: Visit, email: str, user_id: str | None) -> Known:
        return await self._store.find_by_address(
            email,
            ip=visit.address,
            user_agent=visit.user_agent,
            now=self._clock(),
            action=self._counters(visit, user_id),
        )

    def counted(self, visit: Visit, now: datetime, user_id: str | None = None) -> tuple[Step, ...]:
        """Return the steps that count that somebody asked, right or wrong."""
        return self._store.count(self._counters(visit, user_id), now)

    def within(
        self, visit: Visit, known: Known, now: datetime, user_id: str | None = None
    ) -> tuple[Step, ...]:
        """Return the steps that refuse where a wrong password would not be told, and count nothing.

        They are upon the same counters as those of a failure, in the same order.
        """
        return self._store.within((*known.counters, *self._counters(visit, user_id)), now)

    async def limited(self, known: Known, user_id: str | None) -> Refused | Throttled | None:
        """Return what is answered instead of a judgement, if it is not to be told; None else."""
        ends_at = known.action_until or known.limited_until
        if ends_at is None:
            return None
        await self._store.record(self._place.limited(user_id))
        wait = until(ends_at, self._clock())
        return Throttled(wait) if known.action_until else Refused((self._place.too_many,), wait)

    async def wrong(
        self,
        visit: Visit,
        email: str,
        known: Known,
        *,
        about: str | None,
        user_id: str | None = None,
        others: tuple[Fault, ...] = (),
    ) -> Refused | Throttled:
        """Count the failure; the count decides whether the password is called wrong.

        `about` is whose password it was to be, if anybody's; `others` is what else is wrong.
        """
        now = self._clock()
        counted = await self._store.write(
            *self._store.count(known.counters, now),
            *self.counted(visit, now, user_id),
            events=[self._place.failed(about)],
        )
        if counted is not None:
            return Refused((self._place.wrong, *others))
        return await self.beyond(visit, email, known, about=about, user_id=user_id)

    async def beyond(
        self,
        visit: Visit,
        email: str,
        known: Known,
        *,
        about: str | None,
        user_id: str | None = None,
    ) -> Refused | Throttled:
        """Return what is said once a write was refused because of a limit."""
        limited = await self.overtaken(visit, email, known, about=about, user_id=user_id)
        return limited or Refused((self._place.too_many,))

    async def overtaken(
        self,
        visit: Visit,
        email: str,
        known: Known,
        *,
        about: str | None,
        user_id: str | None = None,
    ) -> Refused | Throttled | None:
        """Return what is said once a write was refused, if by now a limit is reached; None else.

        Nobody is asked about the browser: after a right password, that would tell it was right.
        """
        now_known = await self._read(visit, email, user_id)
        if known.in_a_row is not None:
            ends_at = await self._store.spent_until(known.counters, self._clock())
            now_known = replace(now_known, limited_until=ends_at)
        return await self.limited(now_known, about)

    def _counters(self, visit: Visit, user_id: str | None) -> tuple[Counter, ...]:
        return self._store.limits.counters(self._place.action, ip=visit.address, user=user_id)
