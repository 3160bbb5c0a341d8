"""`account/trusted-browsers`: the browsers that a person trusts. An extension of the contract."""

from services.session import schemas
from services.session.api.edge import Call, Routes, sound
from services.session.api.fields import IDS_CODES, MAX_IDS, read_flag, read_ids
from services.session.domain.access import Access
from services.session.domain.sessions import Client
from services.session.flows.outcomes import Outcome

PATH = "/account/trusted-browsers"
IDS = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "maxItems": MAX_IDS,
}
BODY = {"type": "object", "properties": {"browsers": IDS, "all": {"type": "boolean"}}}

routes = Routes([Client.BROWSER])


@routes.get(PATH, access=Access.LOGGED_IN, answers={200: schemas.TrustedBrowsers})
async def list_trusted_browsers(call: Call) -> Outcome:
    """List the browsers that the person trusts."""
    return await call.flows.trusted_browsers.list(call.visit)


@routes.delete(
    PATH,
    access=Access.LOGGED_IN,
    answers={200: schemas.TrustedBrowsers},
    body=BODY,
    codes={400: (*IDS_CODES, "invalid", "invalid_choice")},
)
async def revoke_trust(call: Call) -> Outcome:
    """Trust the `browsers` that are named by their ids no more, or with `all` none."""
    if sound(read_flag("all", call.members)):
        return await call.flows.trusted_browsers.revoke_all(call.visit)
    ids = sound(read_ids("browsers", call.members))
    return await call.flows.trusted_browsers.revoke(call.visit, ids)
