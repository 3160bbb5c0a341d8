"""The HTTP edge of the ledger: entries in order, to whoever has the credential."""

import json
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.audit.domain import Page
from services.audit.flows import Reading
from services.audit.schemas import END, Feed

LONGEST_WAIT = 25  # seconds; shorter than the idle time-outs of the proxies on the way
CURSOR = rf"^([0-9]{{1,18}}|{END})$"

router = APIRouter()


def reading(request: Request) -> Reading:
    """Return the flow that `main` has made."""
    flow: Reading = request.app.state.reading
    return flow


@router.get("/v1/events", response_model=Feed)
async def events(
    flow: Annotated[Reading, Depends(reading)],
    after: Annotated[str, Query(pattern=CURSOR)] = "0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT)] = 0,
) -> Response:
    """Return entries behind the cursor `after`, waiting up to `wait` seconds for the first."""
    number = await flow.head() if after == END else int(after)
    page = await flow.after(number, limit=limit, wait=timedelta(seconds=wait))
    return Response(_feed(page), media_type="application/json")


def _feed(page: Page) -> str:
    """Return a `Feed` as JSON. The events in it are the very bytes that were signed."""
    entries = ",".join(
        f'{{"entry":{entry.number},"received_at":{entry.received_at.timestamp()!r},'
        f'"event":{entry.fact.text}}}'
        for entry in page.entries
    )
    return f'{{"events":[{entries}],"next":{json.dumps(str(page.last))}}}'
