"""`auth/webauthn/signup`: signing up with an address and a passkey, and no password."""

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.api.fields import EMAIL
from services.session.api.webauthn_keys import NEW_KEY, read_new_key
from services.session.domain.access import Access
from services.session.flows.outcomes import Outcome

PATH = "/auth/webauthn/signup"

routes = Routes()


@routes.post(PATH, access=Access.LOGGED_OUT, takes=(EMAIL,))
async def sign_up_by_passkey(call: Call) -> Outcome:
    """Sign up with an e-mail address alone; the passkey comes once it is verified."""
    values, faults = call.read()
    return await call.flows.signup.sign_up_by_passkey(
        call.visit, values.get("email"), faults=faults
    )


@routes.get(
    PATH,
    access=Access.MFA_SIGNUP_WEBAUTHN,
    answers={200: schemas.KeyWanted, 409: schemas.Conflicts, 429: schemas.TooMany},
)
async def show_passkey_options(call: Call) -> Outcome:
    """Show what it takes to make the passkey."""
    return await call.flows.passkey_signup.options(call.visit)


@routes.put(PATH, access=Access.MFA_SIGNUP_WEBAUTHN, body=NEW_KEY)
async def complete_signup_by_passkey(call: Call) -> Outcome:
    """Keep the passkey, and log in."""
    name, credential, faults = read_new_key(call)
    return await call.flows.passkey_signup.complete(call.visit, name, credential, faults=faults)
