"""The ledger, as far as session has something to ask of it: to forget a person."""

from datetime import timedelta

import httpx

TIMEOUT = timedelta(seconds=30)
"""What `shared.http.connect` is to be given: there may be much to strip."""


class LedgerClient:
    """Calls audit, over a client from `shared.http.connect`, and raises what that raises."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def forget(self, user_id: str) -> None:
        """Have what is personal taken out of all events about a person. Repeatable."""
        await self._http.delete(f"/v1/users/{user_id}")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
