"""What the ledger does: take facts in, and show them in order to whoever follows."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from services.audit.domain import Fact, Page, Place, enter, stripped
from services.audit.store import LedgerStore
from shared.clock import Clock
from shared.errors import Conflict, Unavailable

LOOK_AGAIN = 1.0  # seconds between two looks for new entries, if nothing is said to have come
ATTEMPTS = 20  # to get a batch in, while other writers keep taking the next number


class Ledger:
    """Writes entries. Several writers may run; each number is given once."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def enter(self, facts: Sequence[Fact]) -> int:
        """Add those of `facts` that are not in the ledger yet; return how many they were.

        All or none. The next number is the lock: of two writers that saw the same head one is
        refused, and looks again. So no entry ever appears behind one that a reader has passed.
        Facts about people who are forgotten are stripped first.
        Raises Malformed or Conflict if one of them cannot be stored, whoever else writes.
        """
        for _ in range(ATTEMPTS):
            place = await self._store.place()
            known = await self._store.known([fact.id for fact in facts])
            fit = await self._fit_to_keep(facts, place)
            entries = enter(fit, known, place.head, self._clock())
            if not entries:
                return 0
            try:
                appended = await self._store.append(entries, forgettings=place.forgettings)
            except Conflict as conflict:
                if conflict.code != "unique":
                    raise
                continue
            if appended:
                return len(entries)
        raise Unavailable("Other writers were faster each time.")

    async def _fit_to_keep(self, facts: Sequence[Fact], place: Place) -> Sequence[Fact]:
        """Return `facts`, those about people who are forgotten without what is personal."""
        subjects = {fact.subject for fact in facts if fact.subject is not None}
        if not place.forgettings or not subjects:
            return facts
        forgotten = await self._store.forgotten(sorted(subjects))
        return [stripped(fact) if fact.subject in forgotten else fact for fact in facts]


class Forgetting:
    """Takes what is personal out of the entries about somebody. What happened stays."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def forget(self, subject: str) -> None:
        """Strip every entry about a person, and have those that come later stripped. Repeatable.

        Two writes, in this order: once the first is done no entry is added that is not stripped,
        so the second misses none, and whoever dies in between is asked again.
        """
        await self._store.forget(subject, self._clock())
        while entries := await self._store.to_be_stripped(subject):
            await self._store.strip(
                [replace(entry, fact=stripped(entry.fact)) for entry in entries]
            )


class Reading:
    """Shows entries behind a given one, and waits for more if asked to.

    While anyone waits, one task looks at the store on behalf of all.
    """

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._head = 0  # as last seen by the task that looks
        self._grown = asyncio.Event()
        self._waiting = 0
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    async def connect(self) -> None:
        """Begin, or begin again, to let readers wait."""
        self._closed = False

    async def head(self) -> int:
        """Return the number of the newest entry, or 0."""
        return await self._store.head()

    async def after(self, number: int, *, limit: int, wait: timedelta) -> Page:
        """Return up to `limit` entries behind entry `number`, waiting up to `wait` for the first.

        An empty page means that none came in that time, or that the service is closing.
        """
        page = await self._page(number, limit)
        if page.entries or not wait:
            return page
        try:
            async with asyncio.timeout(wait.total_seconds()):
                while not page.entries and not self._closed:
                    await self._growth_beyond(number)
                    page = await self._page(number, limit)
        except TimeoutError:
            pass
        return page

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

    async def _page(self, number: int, limit: int) -> Page:
        entries = await self._store.after(number, limit)
        return Page(entries, entries[-1].number if entries else number)

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
