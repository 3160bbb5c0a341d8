"""`tokens/refresh`: an app has its tokens renewed."""

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.api.fields import REFRESH_TOKEN
from services.session.domain.access import Access
from services.session.domain.sessions import Client
from services.session.flows.outcomes import Outcome

routes = Routes([Client.APP])


@routes.post(
    "/tokens/refresh",
    access=Access.ANYONE,
    takes=(REFRESH_TOKEN,),
    answers={200: schemas.Refreshed, 400: schemas.RefreshRefused},
)
async def refresh_tokens(call: Call) -> Outcome:
    """Give a new access token for a refresh token, and the refresh token that follows."""
    return await call.flows.tokens.refresh(call.visit, call.form()["refresh_token"])
