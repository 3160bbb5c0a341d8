"""Takes facts in: each once, numbered, sealed, and chained to those before."""

import asyncio
from collections.abc import Sequence

from services.audit.domain.coverage import Coverage
from services.audit.domain.entries import Entry, event_hash, grow
from services.audit.domain.facts import Arrival, Fact, check_times, fresh
from services.audit.domain.sealing import NOBODY
from services.audit.flows.sealing import Seals, new_key
from services.audit.store.ledger import LedgerStore, Standing
from services.audit.store.people import NewKey, PeopleStore
from shared.clock import Clock
from shared.errors import Conflict, Malformed, Unavailable

ATTEMPTS = 20  # to get a batch in, while other writers keep taking the next number


class Ledger:
    """Writes entries. Several writers may run; each number is given once."""

    def __init__(self, store: LedgerStore, people: PeopleStore, clock: Clock) -> None:
        self._store = store
        self._people = people
        self._clock = clock
        self._standing: Standing | None = None  # of when this writer was the last

    async def enter(self, facts: Sequence[Fact]) -> int:
        """Add those of `facts` that are not in the ledger yet; return how many they were.

        All or none. The next number is the lock: of two writers that saw the same head one is
        refused, and looks again. So no entry ever appears behind one that a reader has passed.
        Raises Malformed or Conflict if one of them cannot be stored, whoever else writes.
        """
        now = self._clock()
        return await self.take([Arrival(fact, now) for fact in facts])

    async def take(self, arrivals: Sequence[Arrival]) -> int:
        """Add facts that have come before now, like `enter`."""
        for _ in range(ATTEMPTS):
            standing = await self._stand()
            new = fresh(arrivals, await self._store.known(arrivals))
            if not new:
                return 0
            check_times(new, await self._store.since())
            await self._store.make_room([arrival.fact.occurred_at for arrival in new])
            if await self._append(new, standing):
                return len(new)
        raise Unavailable("Other writers were faster each time.")

    async def _stand(self) -> Standing:
        """Return what the next entries depend on.

        The head is read first: what is read after it is of that time or later, and what is of
        later is refused in the end, as its number is taken.
        """
        head = await self._store.head()
        if self._standing is None or self._standing.head != head:
            self._standing = await self._store.standing(head)
        return self._standing

    async def _append(self, new: Sequence[Arrival], standing: Standing) -> bool:
        """Add entries behind the head; False if somebody else has been faster."""
        seals, keys = await self._seals([arrival.fact for arrival in new])
        entries = [
            _entry(arrival, standing.head + place, seals)
            for place, arrival in enumerate(new, start=1)
        ]
        # Hashing and sealing has held the loop; whoever has a heart to beat may.
        await asyncio.sleep(0)
        growth, leaves = grow(standing.growth, entries)
        counts = _counted(standing, entries)
        try:
            await self._store.append(entries, leaves, keys=keys, counts=counts)
        except Conflict as conflict:
            if conflict.code != "unique":
                raise
            self._standing = None
            return False
        coverage = {**standing.coverage, **{c.source: c for c in counts}}
        self._standing = Standing(growth, coverage)
        return True

    async def _seals(self, facts: Sequence[Fact]) -> tuple[Seals, list[NewKey]]:
        """Return what seals the events of these people, and the keys that are new.

        The keys are read for this batch alone: one that is destroyed meanwhile may seal it, and
        nobody can open that.
        """
        people = sorted({fact.subject or NOBODY for fact in facts})
        known = await self._people.keys(people)
        made = {person: new_key() for person in people if person not in known}
        now = self._clock()
        kept = [self._people.sealed(person, key, now) for person, key in made.items()]
        return Seals({**known, **made}), kept


def _entry(arrival: Arrival, number: int, seals: Seals) -> Entry:
    fact = arrival.fact
    try:
        form = seals.seal(fact.text, id=fact.id, subject=fact.subject, redacted=arrival.redacted)
    except (TypeError, ValueError) as error:  # asked again it would be the same, without end
        raise Malformed("The event cannot be sealed.") from error
    return Entry(
        number=number,
        received_at=arrival.received_at,
        id=fact.id,
        type=fact.type,
        source=fact.source,
        sequence=fact.number,
        occurred_at=fact.occurred_at,
        subject=fact.subject,
        event=form,
        event_hash=event_hash(form),
    )


def _counted(standing: Standing, entries: Sequence[Entry]) -> list[Coverage]:
    """Return how far the sources of `entries` have come with them."""
    numbers: dict[str, list[int]] = {}
    for entry in entries:
        numbers.setdefault(entry.source, []).append(entry.sequence)
    return [
        standing.coverage.get(source, Coverage(source)).add(sorted(found))
        for source, found in numbers.items()
    ]
