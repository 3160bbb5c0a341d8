"""`auth/webauthn/signup`: signing up with a passkey, and no password."""

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.api.entrance import Entrance, read_applicant
from services.session.api.webauthn_keys import NEW_KEY, NEW_KEY_CODES, read_new_key
from services.session.domain.access import Access
from services.session.domain.faults import USERNAME_TAKEN
from services.session.flows.outcomes import Outcome

PATH = "/auth/webauthn/signup"

routes = Routes()


def entrance_for(entrance: Entrance) -> Routes:
    """Return the endpoint by which anybody may begin, which asks for names as a sign-up does."""
    begins = Routes()

    @begins.post(
        PATH,
        access=Access.LOGGED_OUT,
        takes=entrance.names,
        codes={400: [code for code in entrance.taken if code == USERNAME_TAKEN.code]},
    )
    async def sign_up_by_passkey(call: Call) -> Outcome:
        """Sign up without a password; the passkey comes once the address is verified."""
        applicant, _, faults = read_applicant(call)
        return await call.flows.signup.sign_up_by_passkey(call.visit, applicant, faults=faults)

    return begins


@routes.get(
    PATH,
    access=Access.MFA_SIGNUP_WEBAUTHN,
    answers={200: schemas.KeyWanted, 429: schemas.TooMany},
)
async def show_passkey_options(call: Call) -> Outcome:
    """Show what it takes to make the passkey."""
    return await call.flows.passkey_signup.options(call.visit)


@routes.put(
    PATH,
    access=Access.MFA_SIGNUP_WEBAUTHN,
    body=NEW_KEY,
    codes={400: NEW_KEY_CODES},
)
async def complete_signup_by_passkey(call: Call) -> Outcome:
    """Keep the passkey, and log in."""
    name, credential, faults = read_new_key(call)
    return await call.flows.passkey_signup.complete(call.visit, name, credential, faults=faults)
