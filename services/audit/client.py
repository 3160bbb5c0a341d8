"""A typed client of the ledger."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from types import MappingProxyType

import httpx

from services.audit.schemas import EntryOut, Feed, InclusionOut, SourceOut, Sources
from shared.errors import Unavailable

WAIT = 20  # seconds that one question may stay open
TIMEOUT = timedelta(seconds=WAIT + 10)
"""What `shared.http.connect` is to be given: these answers may be long in coming."""

EVERYTHING: Mapping[str, str] = MappingProxyType({})

PAUSE = 1.0  # seconds before asking again a ledger that was away


class AuditClient:
    """Asks the audit service, over a client from `shared.http.connect(…, timeout=TIMEOUT)`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def events(
        self,
        after: str = "0",
        *,
        limit: int = 100,
        wait: int = 0,
        wanted: Mapping[str, str] = EVERYTHING,
    ) -> Feed:
        """Return entries behind the cursor `after`, waiting up to `wait` seconds for the first.

        `wanted` are the filters of the feed: `user`, `type`, `outcome`, `since`, `until`.
        """
        answer = await self._http.get(
            "/v1/events",
            params={"after": after, "limit": limit, "wait": wait, **wanted},
        )
        return Feed.model_validate_json(answer.content)

    async def follow(
        self, after: str = "0", wanted: Mapping[str, str] = EVERYTHING
    ) -> AsyncIterator[EntryOut]:
        """Yield the entries behind `after`, and then each new one as it arrives, without end.

        A ledger that is away is asked again until it is back; nothing is left out or repeated.
        """
        while True:
            try:
                feed = await self.events(after, limit=500, wait=WAIT, wanted=wanted)
            except Unavailable:
                await asyncio.sleep(PAUSE)
                continue
            for entry in feed.events:
                yield entry
            after = feed.next

    async def sources(self) -> list[SourceOut]:
        """Return how complete the events of each source are."""
        answer = await self._http.get("/v1/sources")
        return Sources.model_validate_json(answer.content).sources

    async def checkpoint(self) -> str:
        """Return the newest checkpoint. Raises NotFound while there is none."""
        return (await self._http.get("/v1/checkpoint")).text

    async def proof(self, entry: int) -> InclusionOut:
        """Return the proof that an entry is in the tree of a checkpoint. Raises NotFound."""
        answer = await self._http.get(f"/v1/entries/{entry}/proof")
        return InclusionOut.model_validate_json(answer.content)

    async def forget(self, user_id: str) -> None:
        """Let nobody read any more what is personal in the events about a person. Repeatable."""
        await self._http.delete(f"/v1/users/{user_id}")
