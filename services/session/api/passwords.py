"""`auth/password/…`: passwords that were forgotten."""

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.api.fields import EMAIL, KEY, PASSWORD
from services.session.api.openapi import STANDING
from services.session.domain.access import Access
from services.session.domain.faults import INVALID_RESET_KEY, incorrect_code, unknown_email
from services.session.domain.passwords import PASSWORD_CODES
from services.session.flows.outcomes import Outcome

RESET = "/auth/password/reset"
KEY_HEADER = "X-Password-Reset-Key"


def reset_routes(*, by_code: bool) -> Routes:
    """Return the endpoints by which passwords are reset.

    A code is given in the session that waits for it; a link is followed wherever that is.
    """
    routes = Routes()
    access = Access.PASSWORD_RESET if by_code else Access.ANYONE
    wrong = incorrect_code().code if by_code else INVALID_RESET_KEY.code

    @routes.post(
        "/auth/password/request",
        access=Access.ANYONE,
        takes=(EMAIL,),
        answers=STANDING if by_code else {200: schemas.Done},
        codes={400: (unknown_email().code,)},
    )
    async def request_password_reset(call: Call) -> Outcome:
        """Have a code or a link mailed to set another password by."""
        return await call.flows.request_password.request(call.visit, call.form()["email"])

    @routes.get(
        RESET,
        access=access,
        takes=(KEY,),
        in_header=KEY_HEADER,
        answers={
            200: schemas.ResetShown,
            400: schemas.Errors,
            **({409: schemas.Conflicts} if by_code else {}),
        },
        codes={400: (wrong,)},
    )
    async def show_password_reset(call: Call) -> Outcome:
        """Show whose password a key is for."""
        values, faults = call.read()
        return await call.flows.reset_password.show(call.visit, values.get("key"), faults=faults)

    @routes.post(RESET, access=access, takes=(KEY, PASSWORD), codes={400: (wrong, *PASSWORD_CODES)})
    async def reset_password(call: Call) -> Outcome:
        """Set another password by the code that was mailed, or by the key in the link."""
        values, faults = call.read()
        return await call.flows.reset_password.reset(
            call.visit, values.get("key"), values.get("password"), faults=faults
        )

    return routes
