"""The HTTP edge of the ledger: entries in order, to whoever may read, and people to forget."""

import json
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.audit.domain import Page
from services.audit.flows import Forgetting, Reading
from services.audit.schemas import END, Feed
from shared.factor import Id

LONGEST_WAIT = 25  # seconds; shorter than the idle time-outs of the proxies on the way
CURSOR = rf"^([0-9]{{1,18}}|{END})$"

router = APIRouter()
people = APIRouter()


def reading(request: Request) -> Reading:
    """Return the flow that `main` has made."""
    flow: Reading = request.app.state.reading
    return flow


def forgetting(request: Request) -> Forgetting:
    """Return the flow that `main` has made."""
    flow: Forgetting = request.app.state.forgetting
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


@people.delete("/v1/users/{user_id}", status_code=204)
async def forget(
    user_id: Annotated[Id, Path()], flow: Annotated[Forgetting, Depends(forgetting)]
) -> Response:
    """Take what is personal out of all events about a person. Repeatable."""
    await flow.forget(user_id)
    return Response(status_code=204)


def _feed(page: Page) -> str:
    """Return a `Feed` as JSON. The events in it are the very bytes that were signed."""
    entries = ",".join(
        f'{{"entry":{entry.number},"received_at":{entry.received_at.timestamp()!r},'
        f'"redacted":{json.dumps(entry.fact.redacted)},"event":{entry.fact.text}}}'
        for entry in page.entries
    )
    return f'{{"events":[{entries}],"next":{json.dumps(str(page.last))}}}'
