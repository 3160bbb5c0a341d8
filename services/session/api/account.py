"""`account/…`: a person's own password and authenticators."""

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.api.fields import CODE, CURRENT_PASSWORD, NEW_PASSWORD
from services.session.domain.access import Access
from services.session.domain.faults import (
    CANNOT_GENERATE_CODES,
    ENTER_CURRENT_PASSWORD,
    INCORRECT_CREDENTIAL,
    TOO_MANY_ATTEMPTS,
    UNVERIFIED_EMAIL,
)
from services.session.domain.passwords import PASSWORD_CODES
from services.session.flows.outcomes import Outcome

TOTP = "/account/authenticators/totp"
RECOVERY_CODES = "/account/authenticators/recovery-codes"

routes = Routes()
totp_routes = Routes()
recovery_codes_routes = Routes()


@routes.get(
    "/account/authenticators", access=Access.LOGGED_IN, answers={200: schemas.Authenticators}
)
async def list_authenticators(call: Call) -> Outcome:
    """List the authenticators."""
    return await call.flows.authenticators.list(call.visit)


@routes.post(
    "/account/password/change",
    access=Access.LOGGED_IN,
    takes=(CURRENT_PASSWORD, NEW_PASSWORD),
    codes={
        400: (*PASSWORD_CODES, ENTER_CURRENT_PASSWORD.code, TOO_MANY_ATTEMPTS.code),
    },
)
async def change_password(call: Call) -> Outcome:
    """Change the password, or set the first one."""
    values, faults = call.read()
    return await call.flows.change_password.change(
        call.visit, values.get("current_password"), values.get("new_password"), faults=faults
    )


@totp_routes.get(
    TOTP,
    access=Access.LOGGED_IN,
    answers={200: schemas.Enrolled, 404: schemas.NotEnrolled},
    codes={409: (UNVERIFIED_EMAIL.code,)},
)
async def show_totp(call: Call) -> Outcome:
    """Show the TOTP authenticator, or a new secret to make one with (404)."""
    return await call.flows.totp.show(call.visit)


@totp_routes.post(
    TOTP,
    access=Access.LOGGED_IN,
    takes=(CODE,),
    answers={200: schemas.Activated},
    codes={400: (INCORRECT_CREDENTIAL.code, "rate_limited", UNVERIFIED_EMAIL.code)},
)
async def activate_totp(call: Call) -> Outcome:
    """Activate TOTP by a code made from the secret that was shown last."""
    return await call.flows.totp.activate(call.visit, call.form()["code"])


@totp_routes.delete(TOTP, access=Access.LOGGED_IN, answers={200: schemas.Done})
async def deactivate_totp(call: Call) -> Outcome:
    """Deactivate TOTP."""
    return await call.flows.totp.deactivate(call.visit)


@recovery_codes_routes.get(
    RECOVERY_CODES,
    access=Access.LOGGED_IN,
    answers={200: schemas.RecoveryCodes, 404: schemas.Absent},
)
async def show_recovery_codes(call: Call) -> Outcome:
    """Show the recovery codes that are left, if they may be seen."""
    return await call.flows.recovery_codes.show(call.visit)


@recovery_codes_routes.post(
    RECOVERY_CODES,
    access=Access.LOGGED_IN,
    answers={200: schemas.RecoveryCodes},
    codes={400: (CANNOT_GENERATE_CODES.code,)},
)
async def generate_recovery_codes(call: Call) -> Outcome:
    """Make new recovery codes, in place of all that there were."""
    return await call.flows.recovery_codes.generate(call.visit)
