"""Shows entries in order to whoever follows, and what happened to a person to that person."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

from services.audit.domain.entries import Entry
from services.audit.domain.reading import EVERYTHING, Page, Shown, Wanted
from services.audit.domain.sealing import NOBODY
from services.audit.flows.sealing import Seals
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PeopleStore
from shared.errors import Unavailable

LOOK_AGAIN = 1.0  # seconds between two looks for new entries, if nothing is said to have come
NEWEST = 2**63 - 1


class Reading:
    """Shows entries behind a given one, and waits for more if asked to.

    While anyone waits, one task looks at the store on behalf of all.
    """

    def __init__(self, store: LedgerStore, people: PeopleStore) -> None:
        self._store = store
        self._people = people
        self._head = 0  # as last seen by the task that looks
        self._grown = asyncio.Event()
        self._waiting = 0
        self._watch: asyncio.Task[None] | None = None
        self._closed = False
        self._followers = 0

    @property
    def closed(self) -> bool:
        """Whether the service is closing."""
        return self._closed

    @property
    def followers(self) -> int:
        """How many follow at this moment."""
        return self._followers

    @contextmanager
    def following(self) -> Iterator[None]:
        """Count somebody who follows, for as long as they do."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    async def connect(self) -> None:
        """Begin, or begin again, to let readers wait."""
        self._closed = False

    async def head(self) -> int:
        """Return the number of the newest entry, or 0."""
        return await self._store.head()

    async def after(
        self, number: int, *, limit: int, wait: timedelta, wanted: Wanted = EVERYTHING
    ) -> Page:
        """Return up to `limit` entries behind entry `number`, waiting up to `wait` for the first.

        An empty page means that none came in that time, or that the service is closing.
        """
        page = await self._page(number, limit, wanted)
        if page.entries or not wait:
            return page
        try:
            async with asyncio.timeout(wait.total_seconds()):
                while not page.entries and not self._closed:
                    await self._growth_beyond(page.last)
                    page = await self._page(page.last, limit, wanted)
        except TimeoutError:
            pass
        return page

    async def history(self, user: str, *, before: int | None, limit: int) -> list[Shown]:
        """Return what happened to a person, the newest first, before an entry or up to now."""
        last = NEWEST if before is None else before
        return await self._opened(await self._store.before(last, limit, Wanted(user=user)))

    def release(self) -> None:
        """Let everyone who waits go, with an empty page, and nobody wait from now on."""
        self._closed = True
        self._grown.set()

    async def close(self) -> None:
        """End the task that looks, once everyone was let go."""
        self.release()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    async def _page(self, number: int, limit: int, wanted: Wanted) -> Page:
        """Return the next entries. What is not wanted has been seen as well, up to the head."""
        head = NEWEST if wanted == EVERYTHING else await self._store.head()
        entries = await self._store.after(number, limit, wanted, last=head)
        seen = number if wanted == EVERYTHING else max(number, head)
        if entries and (len(entries) == limit or wanted == EVERYTHING):
            seen = entries[-1].number
        return Page(await self._opened(entries), seen)

    async def _opened(self, entries: Sequence[Entry]) -> list[Shown]:
        """Return `entries` as readers see them. The keys are read each time, and not kept."""
        people = {entry.subject or NOBODY for entry in entries if entry.event is not None}
        seals = Seals(await self._people.readable(sorted(people)) if people else {})
        return [seals.shown(entry) for entry in entries]

    async def _growth_beyond(self, number: int) -> None:
        """Return when the head is known to be beyond `number`, or nobody looks any more."""
        self._waiting += 1
        try:
            while self._head <= number and not self._closed:
                if self._watch is None or self._watch.done():
                    self._watch = asyncio.create_task(self._look())
                await self._grown.wait()
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        """Follow the head, and say when it has moved, until nobody waits any more."""
        while self._waiting:
            with suppress(Unavailable):  # then there is nothing new to show either
                await self._follow()
            await asyncio.sleep(LOOK_AGAIN)

    async def _follow(self) -> None:
        async with self._store.growth() as bell:
            while self._waiting:
                head = await self._store.head()
                if head != self._head:
                    self._head = head
                    self._grown.set()
                    self._grown = asyncio.Event()
                await bell.wait(LOOK_AGAIN)
