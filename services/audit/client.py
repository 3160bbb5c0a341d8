"""A typed client of the ledger's feed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx

from services.audit.schemas import EntryOut, Feed
from shared.errors import Unavailable

WAIT = 20  # seconds that one question may stay open
TIMEOUT = timedelta(seconds=WAIT + 10)
"""What `shared.http.connect` is to be given: these answers may be long in coming."""

PAUSE = 1.0  # seconds before asking again a ledger that was away


class AuditClient:
    """Asks the audit service, over a client from `shared.http.connect(…, timeout=TIMEOUT)`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def events(self, after: str = "0", *, limit: int = 100, wait: int = 0) -> Feed:
        """Return entries behind the cursor `after`, waiting up to `wait` seconds for the first."""
        answer = await self._http.get(
            "/v1/events",
            params={"after": after, "limit": limit, "wait": wait},
        )
        return Feed.model_validate_json(answer.content)

    async def follow(self, after: str = "0") -> AsyncIterator[EntryOut]:
        """Yield the entries behind `after`, and then each new one as it arrives, without end.

        A ledger that is away is asked again until it is back; nothing is left out or repeated.
        """
        while True:
            try:
                feed = await self.events(after, limit=500, wait=WAIT)
            except Unavailable:
                await asyncio.sleep(PAUSE)
                continue
            for entry in feed.events:
                yield entry
            after = feed.next
