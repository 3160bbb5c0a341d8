"""What concerns one person: what happened to them, and that they are forgotten."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.audit.api.flows import ForgettingFlow, ReadingFlow
from services.audit.domain.outcome import outcome_of
from services.audit.domain.reading import Shown
from services.audit.domain.sealing import facts_of
from shared.factor import Id
from shared.history import MAX_EVENTS, History, PastEvent

history = APIRouter()
forgetting = APIRouter()

UserId = Annotated[Id, Path()]


@history.get("/v1/users/{user_id}/events")
async def recent(
    user_id: UserId,
    flow: ReadingFlow,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 50,
) -> History:
    """Return what happened to a person, the newest first; `before` an entry, if one is named."""
    found = await flow.history(user_id, before=before, limit=limit)
    return History(events=[_past(shown) for shown in found])


def caller_of(request: Request) -> str:
    """Return who calls, as the guard of the route has found out."""
    return str(request.state.caller)


@forgetting.delete("/v1/users/{user_id}", status_code=204)
async def forget(
    user_id: UserId, flow: ForgettingFlow, caller: Annotated[str, Depends(caller_of)]
) -> Response:
    """Let nobody read any more what is personal in the events about a person. Repeatable."""
    await flow.forget(user_id, by=caller)
    return Response(status_code=204)


def _past(shown: Shown) -> PastEvent:
    entry = shown.entry
    data, context = facts_of(shown.text)
    return PastEvent(
        entry=entry.number,
        type=entry.type,
        occurred_at=entry.occurred_at.timestamp(),
        outcome=outcome_of(entry.type).value,
        address=_text(context.get("address")),
        user_agent=_text(context.get("user_agent")),
        session=_text(context.get("session")),
        data=data,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
