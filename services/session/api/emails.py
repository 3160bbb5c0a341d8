"""`auth/email/verify` and `account/email`: the addresses of people."""

from services.session import schemas
from services.session.api.edge import Call, Invalid, Routes
from services.session.api.fields import EMAIL, KEY, read_flag
from services.session.api.openapi import Answers
from services.session.domain.access import Access
from services.session.domain.faults import (
    ADD_EMAIL_BLOCKED,
    CANNOT_REMOVE_PRIMARY,
    DUPLICATE_EMAIL,
    INVALID_KEY,
    NOT_AMONG_THEIRS,
    SAME_AS_CURRENT,
    UNVERIFIED_PRIMARY,
    Fault,
    email_taken,
    incorrect_code,
    required,
    too_many_addresses,
)
from services.session.domain.verification import MOST_ADDRESSES
from services.session.flows.outcomes import Outcome

VERIFY = "/auth/email/verify"
ADDRESSES = "/account/email"
KEY_HEADER = "X-Email-Verification-Key"
LISTED: Answers = {200: schemas.EmailAddresses, 401: schemas.LoginNeeded}

PRIMARY = {
    "type": "object",
    "properties": {
        "email": {
            "type": "string",
            "format": "email",
            "minLength": 1,
            "maxLength": EMAIL.max_length,
        },
        "primary": {"type": "boolean", "const": True},
    },
    "required": ["email", "primary"],
}

routes = Routes()


def verification_routes(*, by_code: bool) -> Routes:
    """Return the endpoints by which addresses are verified.

    A code is given in the session that waits for it; a link is followed wherever that is.
    """
    routes = Routes()
    access = Access.ADDRESS_PROOF if by_code else Access.ANYONE
    codes = {400: (incorrect_code().code, INVALID_KEY.code, email_taken().code)}

    @routes.get(
        VERIFY,
        access=access,
        takes=(KEY,),
        in_header=KEY_HEADER,
        answers={
            200: schemas.EmailShown,
            400: schemas.Errors,
            **({409: schemas.Conflicts} if by_code else {}),
        },
        codes=codes,
    )
    async def show_email_verification(call: Call) -> Outcome:
        """Show which address a key verifies, and whose."""
        values, faults = call.read()
        return await call.flows.verify_email.show(call.visit, values.get("key"), faults=faults)

    @routes.post(VERIFY, access=access, takes=(KEY,), codes=codes)
    async def verify_email(call: Call) -> Outcome:
        """Verify an address by the code that was mailed, or by the key in the link."""
        values, faults = call.read()
        return await call.flows.verify_email.verify(call.visit, values.get("key"), faults=faults)

    @routes.post(f"{VERIFY}/resend", access=Access.ADDRESS_PROOF, answers={200: schemas.Done})
    async def resend_email_verification(call: Call) -> Outcome:
        """Have another code mailed in place of the last, as often as that may be."""
        return await call.flows.verify_email.resend(call.visit)

    return routes


@routes.get(ADDRESSES, access=Access.LOGGED_IN, answers={200: schemas.EmailAddresses})
async def list_email_addresses(call: Call) -> Outcome:
    """List the addresses of the person."""
    return await call.flows.emails.list(call.visit)


@routes.post(
    ADDRESSES,
    access=Access.ADDRESS_PROOF,
    takes=(EMAIL,),
    answers=LISTED,
    codes={
        400: (
            ADD_EMAIL_BLOCKED.code,
            DUPLICATE_EMAIL.code,
            SAME_AS_CURRENT.code,
            email_taken().code,
            too_many_addresses(MOST_ADDRESSES).code,
        )
    },
)
async def add_email_address(call: Call) -> Outcome:
    """Have another address verified, for the person or, before that, in place of the first."""
    values, faults = call.read()
    email = values.get("email")
    if call.visit.authenticated:
        return await call.flows.emails.add(call.visit, email, faults=faults)
    return await call.flows.signup_address.change(call.visit, email, faults=faults)


@routes.put(
    ADDRESSES,
    access=Access.LOGGED_IN,
    takes=(EMAIL,),
    answers={200: schemas.Done, 403: schemas.Unsent},
    codes={400: (NOT_AMONG_THEIRS.code,)},
)
async def request_email_verification(call: Call) -> Outcome:
    """Have the mail sent again by which an address is verified."""
    return await call.flows.emails.ask(call.visit, call.form()["email"])


@routes.patch(
    ADDRESSES,
    access=Access.LOGGED_IN,
    body=PRIMARY,
    answers=LISTED,
    codes={
        400: (
            UNVERIFIED_PRIMARY.code,
            email_taken().code,
            NOT_AMONG_THEIRS.code,
            "invalid",
            "max_length",
            "required",
        )
    },
)
async def change_primary_email(call: Call) -> Outcome:
    """Make an address of the person the primary one."""
    email = EMAIL.read(call.members)
    primary = read_flag("primary", call.members) or required("primary")
    if isinstance(email, Fault) or isinstance(primary, Fault):
        raise Invalid([fault for fault in (email, primary) if isinstance(fault, Fault)])
    return await call.flows.emails.make_primary(call.visit, email)


@routes.delete(
    ADDRESSES,
    access=Access.LOGGED_IN,
    takes=(EMAIL,),
    answers=LISTED,
    codes={400: (CANNOT_REMOVE_PRIMARY.code, NOT_AMONG_THEIRS.code)},
)
async def remove_email_address(call: Call) -> Outcome:
    """Remove an address of the person, or give up verifying it."""
    return await call.flows.emails.remove(call.visit, call.form()["email"])
