"""What a reader asks for, as it stands in a query."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query

from services.audit.domain.outcome import Outcome
from services.audit.domain.reading import Wanted
from shared.errors import Malformed
from shared.factor import Id

TYPE = r"^[a-z0-9_.*]{1,200}$"


def wanted(
    user: Annotated[Id | None, Query(description="Only events about this person.")] = None,
    type: Annotated[
        str | None,
        Query(pattern=TYPE, description="Only events of this type; `*` stands for anything."),
    ] = None,
    outcome: Annotated[Outcome | None, Query(description="Only what ended so.")] = None,
    since: Annotated[str | None, Query(description="Not before this time, RFC 3339.")] = None,
    until: Annotated[str | None, Query(description="Before this time, RFC 3339.")] = None,
) -> Wanted:
    """Return which events are wanted. All that is said has to hold of them."""
    return Wanted(
        user=user,
        type=type,
        outcome=outcome,
        since=_moment(since, "since"),
        until=_moment(until, "until"),
    )


def _moment(text: str | None, field: str) -> datetime | None:
    """Return a time. One without an offset is of no use to anybody."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Malformed("It must be a time such as 2026-07-01T12:00:00Z.", field=field)
