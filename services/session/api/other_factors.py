"""`account/authenticators/…`: factors of someone else's, one endpoint for each."""

from collections.abc import Iterable

from services.session import schemas
from services.session.api.edge import Call, Handler, Routes
from services.session.api.fields import CODE
from services.session.api.openapi import Answers, Codes
from services.session.domain.access import Access
from services.session.domain.faults import INCORRECT_CREDENTIAL, UNVERIFIED_EMAIL
from services.session.flows.outcomes import Outcome

BARRED: Codes = {409: (UNVERIFIED_EMAIL.code,)}
REFUSED: Codes = {400: (INCORRECT_CREDENTIAL.code, "rate_limited", UNVERIFIED_EMAIL.code)}


def routes_for(kinds: Iterable[str]) -> Routes:
    """Return the endpoints of these kinds: the same as that of TOTP, whatever there is to show."""
    routes = Routes()
    for kind in kinds:
        _add(routes, kind)
    return routes


def _add(routes: Routes, kind: str) -> None:
    path = f"/account/authenticators/{kind}"

    async def show(call: Call) -> Outcome:
        """Show the authenticator, or what it takes to enrol one (404)."""
        return await call.flows.others[kind].show(call.visit)

    async def activate(call: Call) -> Outcome:
        """Activate an authenticator by a code of what was shown last."""
        return await call.flows.others[kind].activate(call.visit, call.form()["code"])

    async def deactivate(call: Call) -> Outcome:
        """Deactivate the authenticator."""
        return await call.flows.others[kind].deactivate(call.visit)

    shown: Answers = {200: schemas.Enrolled, 404: schemas.Offered}
    made: Answers = {200: schemas.Activated}
    done: Answers = {200: schemas.Done}
    logged_in = Access.LOGGED_IN
    routes.get(path, access=logged_in, answers=shown, codes=BARRED)(_named(show, kind))
    routes.post(path, access=logged_in, takes=(CODE,), answers=made, codes=REFUSED)(
        _named(activate, kind)
    )
    routes.delete(path, access=logged_in, answers=done)(_named(deactivate, kind))


def _named(handler: Handler, kind: str) -> Handler:
    """Return the handler under a name of its own, by which the API's description knows it."""
    handler.__name__ = f"{handler.__name__}_{kind}"
    return handler
