"""`account`: the account itself, for its owner to delete. An extension of the contract."""

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.domain.access import Access
from services.session.flows.outcomes import Outcome

routes = Routes()


@routes.delete("/account", access=Access.LOGGED_IN, answers={401: schemas.LoginNeeded})
async def delete_account(call: Call) -> Outcome:
    """Delete the account for good."""
    return await call.flows.delete.delete(call.visit)
