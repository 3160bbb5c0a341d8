"""`auth/sessions`: where a person is logged in, and how they end that."""

from services.session import schemas
from services.session.api.edge import Call, Routes, sound
from services.session.api.fields import IDS_CODES, MAX_IDS, read_flag, read_ids
from services.session.domain.access import Access
from services.session.flows.outcomes import Outcome

PATH = "/auth/sessions"
IDS = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "maxItems": MAX_IDS,
}
BODY = {"type": "object", "properties": {"sessions": IDS, "all": {"type": "boolean"}}}

routes = Routes()


@routes.get(PATH, access=Access.LOGGED_IN, answers={200: schemas.Sessions})
async def list_sessions(call: Call) -> Outcome:
    """List the sessions of the person."""
    return await call.flows.sessions.list(call.visit)


@routes.delete(
    PATH,
    access=Access.LOGGED_IN,
    answers={200: schemas.Sessions},
    body=BODY,
    codes={400: (*IDS_CODES, "invalid", "invalid_choice")},
)
async def end_sessions(call: Call) -> Outcome:
    """End the `sessions` that are named by their ids, or with `all` every one."""
    if sound(read_flag("all", call.members)):
        return await call.flows.sessions.end_all(call.visit)
    return await call.flows.sessions.end(call.visit, sound(read_ids("sessions", call.members)))
