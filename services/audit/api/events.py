"""Entries in order, to whoever may read them all: by page, as a stream, as a file."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse

from services.audit.api import lines
from services.audit.api.flows import ReadingFlow
from services.audit.api.wanted import wanted as wanted_by
from services.audit.domain.reading import Page, Wanted
from services.audit.flows.reading import Reading
from services.audit.schemas import END, Feed
from shared.errors import Unavailable

LONGEST_WAIT = 25  # seconds; shorter than the idle time-outs of the proxies on the way
CURSOR = rf"^([0-9]{{1,18}}|{END})$"

AT_ONCE = 500  # entries
BEAT = timedelta(seconds=15)  # between two signs of life in a stream
LIFE = 3600.0  # seconds; then whoever follows has to show their credential again
STREAMS = 32  # that one process has open at once

router = APIRouter()

WantedBy = Annotated[Wanted, Depends(wanted_by)]


class Form(StrEnum):
    """How a file of events is written."""

    JSONL = "jsonl"
    CSV = "csv"


MEDIA_TYPES = {Form.JSONL: "application/jsonl", Form.CSV: "text/csv; charset=utf-8; header=present"}


@router.get("/v1/events", response_model=Feed)
async def events(
    flow: ReadingFlow,
    wanted: WantedBy,
    after: Annotated[str, Query(pattern=CURSOR)] = "0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT)] = 0,
) -> Response:
    """Return entries behind the cursor `after`, waiting up to `wait` seconds for the first."""
    number = await flow.head() if after == END else int(after)
    seconds = timedelta(seconds=wait)
    page = await flow.after(number, limit=limit, wait=seconds, wanted=wanted)
    return Response(_feed(page), media_type="application/json")


@router.get("/v1/events/stream", response_class=StreamingResponse)
async def stream(
    flow: ReadingFlow,
    wanted: WantedBy,
    after: Annotated[str, Query(pattern=CURSOR)] = "0",
    last_event_id: Annotated[str | None, Header(pattern=CURSOR)] = None,
) -> Response:
    """Follow the ledger by Server-Sent Events, behind `Last-Event-ID`, or else the cursor `after`.

    Each is of the event's type, and its id is the number of the entry. The stream ends after an
    hour; whoever comes again goes on where they were.
    """
    if flow.followers >= STREAMS:
        raise Unavailable("As many follow already as one process takes.")
    cursor = last_event_id or after
    number = await flow.head() if cursor == END else int(cursor)
    return StreamingResponse(_followed(flow, number, wanted), media_type="text/event-stream")


@router.get("/v1/events/export", response_class=StreamingResponse)
async def export(flow: ReadingFlow, wanted: WantedBy, format: Form = Form.JSONL) -> Response:
    """Return all that there is now, as lines of JSON or of CSV."""
    head = await flow.head()
    return StreamingResponse(
        _exported(flow, wanted, head, format),
        media_type=MEDIA_TYPES[format],
        headers={"content-disposition": f'attachment; filename="events.{format}"'},
    )


def _feed(page: Page) -> str:
    """Return a `Feed` as JSON."""
    entries = ",".join(map(lines.as_json, page.entries))
    return f'{{"events":[{entries}],"next":{json.dumps(str(page.last))}}}'


async def _followed(flow: Reading, number: int, wanted: Wanted) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    until = loop.time() + LIFE
    with flow.following():
        yield "retry: 2000\n\n"
        while not flow.closed and loop.time() < until:
            page = await flow.after(number, limit=AT_ONCE, wait=BEAT, wanted=wanted)
            number = page.last
            told = (
                f"id: {shown.entry.number}\nevent: {shown.entry.type}\n"
                f"data: {lines.as_json(shown)}\n\n"
                for shown in page.entries
            )
            yield "".join(told) or ": nothing new\n\n"


async def _exported(flow: Reading, wanted: Wanted, head: int, format: Form) -> AsyncIterator[str]:
    write = lines.as_csv if format is Form.CSV else (lambda shown: f"{lines.as_json(shown)}\n")
    if format is Form.CSV:
        yield lines.header()
    number = 0
    while number < head:
        page = await flow.after(number, limit=AT_ONCE, wait=timedelta(0), wanted=wanted)
        number = page.last if page.entries else head
        yield "".join(write(shown) for shown in page.entries if shown.entry.number <= head)
