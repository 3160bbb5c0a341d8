"""Judging a password: one counter for every place where one is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.faults import Fault
from services.session.domain.identifiers import Identifier
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

    async def known(self, visit: Visit, name: Identifier, user_id: str | None = None) -> Known:
        """Return what is known of whoever is called so. `user_id` is of whoever is logged in.

        Over the limit a browser that the owner trusts has an allowance of its own. So there is one
        call then, if it shows what trusted ones have, whether or not anybody has that name. What it
        shows can be made up, so the attempt is counted before: there are no more calls than
        attempts.
        """
        known = await self._read(visit, name, user_id)
        over = known.limited_until is not None and known.action_until is None
        if not over or not self._recognition.shows_trust(visit):
            return known
        known = await self._counted_before(visit, known, user_id)
        if known.action_until is not None:
            return known
        browser_id = await self._recognition.trusted_browser(visit, known.account)
        if browser_id is None or known.account is None:
            return known
        return await self._store.in_trusted_browser(known, known.account, browser_id, self._clock())

    async def _counted_before(self, visit: Visit, known: Known, user_id: str | None) -> Known:
        """Count that somebody asked, by a write of its own; over the limit that is known then."""
        now, action = self._clock(), self._counters(visit, user_id)
        if await self._store.write(*self._store.count(action, now)) is not None:
            return replace(known, is_counted=True)
        return replace(known, action_until=await self._store.spent_until(action, now) or now)

    async def _read(self, visit: Visit, name: Identifier, user_id: str | None) -> Known:
        return await self._store.find_known(
            name,
            ip=visit.address,
            user_agent=visit.user_agent,
            now=self._clock(),
            action=self._counters(visit, user_id),
        )

    def counted(
        self, visit: Visit, known: Known, now: datetime, user_id: str | None = None
    ) -> tuple[Step, ...]:
        """Return the steps that count that somebody asked, right or wrong, if that is not yet."""
        return self._store.count(self._uncounted(visit, known, user_id), now)

    def within(
        self, visit: Visit, known: Known, now: datetime, user_id: str | None = None
    ) -> tuple[Step, ...]:
        """Return the steps that refuse where a wrong password would not be told, and count nothing.

        They are upon the same counters as those of a failure, in the same order.
        """
        return self._store.within((*known.counters, *self._uncounted(visit, known, user_id)), now)

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
        name: Identifier,
        known: Known,
        *,
        about: str | None,
        user_id: str | None = None,
        wrong: Fault | None = None,
        others: tuple[Fault, ...] = (),
    ) -> Refused | Throttled:
        """Count the failure; the count decides whether the password is called wrong.

        `about` is whose password it was to be, if anybody's; `wrong` is said of it in place of what
        the place has, and `others` is what else is wrong.
        """
        now = self._clock()
        counted = await self._store.write(
            *self._store.count(known.counters, now),
            *self.counted(visit, known, now, user_id),
            events=[self._place.failed(about)],
        )
        if counted is not None:
            return Refused((wrong or self._place.wrong, *others))
        return await self.beyond(visit, name, known, about=about, user_id=user_id)

    async def beyond(
        self,
        visit: Visit,
        name: Identifier,
        known: Known,
        *,
        about: str | None,
        user_id: str | None = None,
    ) -> Refused | Throttled:
        """Return what is said once a write was refused because of a limit."""
        limited = await self.overtaken(visit, name, known, about=about, user_id=user_id)
        return limited or Refused((self._place.too_many,))

    async def overtaken(
        self,
        visit: Visit,
        name: Identifier,
        known: Known,
        *,
        about: str | None,
        user_id: str | None = None,
    ) -> Refused | Throttled | None:
        """Return what is said once a write was refused, if by now a limit is reached; None else.

        Nobody is asked about the browser: after a right password, that would tell it was right.
        """
        now_known = await self._read(visit, name, user_id)
        if known.in_a_row is not None:
            ends_at = await self._store.spent_until(known.counters, self._clock())
            now_known = replace(now_known, limited_until=ends_at, action_until=None)
        return await self.limited(now_known, about)

    def _uncounted(self, visit: Visit, known: Known, user_id: str | None) -> tuple[Counter, ...]:
        """Return the counters of what is done here, unless this attempt is among them."""
        return () if known.is_counted else self._counters(visit, user_id)

    def _counters(self, visit: Visit, user_id: str | None) -> tuple[Counter, ...]:
        return self._store.limits.counters(self._place.action, ip=visit.address, user=user_id)
