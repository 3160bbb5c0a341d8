"""The ledger, as far as session has something to ask of it: a person's history, and its end."""

from datetime import timedelta

import httpx
from pydantic import ValidationError

from shared.errors import Unavailable
from shared.history import History

TIMEOUT = timedelta(seconds=30)
"""What `shared.http.connect` is to be given by the worker, for whom there is no hurry."""


class LedgerClient:
    """Calls audit, over a client from `shared.http.connect`, and raises what that raises."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def history(self, user_id: str, *, before: int | None = None, limit: int = 50) -> History:
        """Return what happened to a person, the newest first; `before` an entry, if one is named.

        An answer that cannot be read raises Unavailable.
        """
        asked = {"limit": limit} if before is None else {"limit": limit, "before": before}
        answer = await self._http.get(f"/v1/users/{user_id}/events", params=asked)
        try:
            return History.model_validate_json(answer.content)
        except ValidationError as error:
            raise Unavailable("audit answers something else.") from error

    async def forget(self, user_id: str) -> None:
        """Have all that is personal in the events about a person made unreadable. Repeatable."""
        await self._http.delete(f"/v1/users/{user_id}")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
