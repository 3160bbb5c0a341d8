"""`auth/code/…`: logging in by a code that is mailed."""

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.api.fields import CODE, EMAIL
from services.session.domain.access import Access
from services.session.domain.faults import INCORRECT_CREDENTIAL, TOO_MANY_ATTEMPTS, unknown_email
from services.session.flows.outcomes import Outcome

routes = Routes()
"""Giving a code: there may be one to be given besides a password."""
request_routes = Routes()


@request_routes.post(
    "/auth/code/request",
    access=Access.ANYONE,
    takes=(EMAIL,),
    codes={400: (TOO_MANY_ATTEMPTS.code, unknown_email().code)},
)
async def request_login_code(call: Call) -> Outcome:
    """Have a code mailed to log in by."""
    return await call.flows.login_by_code.request(call.visit, call.form()["email"])


@request_routes.post(
    "/auth/code/resend",
    access=Access.LOGIN_BY_CODE,
    answers={200: schemas.Done},
)
async def resend_login_code(call: Call) -> Outcome:
    """Have another code mailed in place of the last, as often as that may be."""
    return await call.flows.login_by_code.resend(call.visit)


@routes.post(
    "/auth/code/confirm",
    access=Access.LOGIN_BY_CODE,
    takes=(CODE,),
    codes={400: (INCORRECT_CREDENTIAL.code,)},
)
async def confirm_login_code(call: Call) -> Outcome:
    """Give the login code that was mailed."""
    values, faults = call.read()
    return await call.flows.login_by_code.confirm(call.visit, values.get("code"), faults=faults)
