"""`auth/…`: signing up, logging in stage by stage, reauthenticating, logging out."""

from services.session import schemas
from services.session.api.edge import Call, Routes, sound
from services.session.api.fields import CODE, EMAIL, KEY, PASSWORD, read_flag, read_object
from services.session.api.openapi import STANDING
from services.session.domain.access import Access
from services.session.domain.sessions import Client
from services.session.flows.outcomes import Outcome, Standing

TRUST = {"type": "object", "properties": {"trust": {"type": "boolean"}}}
KEYS_ANSWER = {
    "type": "object",
    "properties": {
        "credential": {
            "type": "object",
            "description": "What `toJSON()` makes of the browser's credential: "
            "AuthenticationResponseJSON of WebAuthn.",
        }
    },
    "required": ["credential"],
}

routes = Routes()
trust_routes = Routes([Client.BROWSER])
webauthn_routes = Routes()
passkey_routes = Routes()


@routes.get("/auth/session", access=Access.ANYONE)
async def show_session(call: Call) -> Outcome:
    """Show who is logged in, or what there is to do to be."""
    return Standing(visit=call.visit)


@routes.delete("/auth/session", access=Access.ANYONE)
async def log_out(call: Call) -> Outcome:
    """Log out, or abandon the login under way."""
    return await call.flows.logout.log_out(call.visit)


@routes.post("/auth/signup", access=Access.LOGGED_OUT, takes=(EMAIL, PASSWORD))
async def sign_up(call: Call) -> Outcome:
    """Sign up with e-mail and password."""
    values, faults = call.read()
    return await call.flows.signup.sign_up(
        call.visit, values.get("email"), values.get("password"), faults=faults
    )


@routes.post("/auth/login", access=Access.LOGGED_OUT, takes=(EMAIL, PASSWORD))
async def log_in(call: Call) -> Outcome:
    """Log in with e-mail and password."""
    form = call.form()
    return await call.flows.login.log_in(call.visit, form["email"], form["password"])


@routes.post("/auth/email/verify", access=Access.VERIFY_EMAIL, takes=(KEY,))
async def verify_email(call: Call) -> Outcome:
    """Verify the e-mail address by the code that was mailed."""
    return await call.flows.verify_email.verify(call.visit, call.form()["key"])


@routes.post("/auth/2fa/authenticate", access=Access.MFA_AUTHENTICATE, takes=(CODE,))
async def authenticate(call: Call) -> Outcome:
    """Give the second factor that the login waits for."""
    return await call.flows.authenticate.authenticate(call.visit, call.form()["code"])


@webauthn_routes.get(
    "/auth/webauthn/authenticate",
    access=Access.MFA_AUTHENTICATE,
    answers={200: schemas.KeyAsked},
)
async def ask_for_key(call: Call) -> Outcome:
    """Ask for a key of the person, as the second factor that the login waits for."""
    return await call.flows.authenticate.ask_for_key(call.visit)


@webauthn_routes.post(
    "/auth/webauthn/authenticate", access=Access.MFA_AUTHENTICATE, body=KEYS_ANSWER
)
async def authenticate_by_key(call: Call) -> Outcome:
    """Give the second factor that the login waits for, by a key."""
    answer = sound(read_object("credential", call.members))
    return await call.flows.authenticate.authenticate_by_key(call.visit, answer)


@webauthn_routes.get(
    "/auth/webauthn/reauthenticate", access=Access.LOGGED_IN, answers={200: schemas.KeyAsked}
)
async def ask_for_key_again(call: Call) -> Outcome:
    """Ask for a key of who is logged in."""
    return await call.flows.reauthenticate.ask_for_key(call.visit)


@webauthn_routes.post("/auth/webauthn/reauthenticate", access=Access.LOGGED_IN, body=KEYS_ANSWER)
async def reauthenticate_by_key(call: Call) -> Outcome:
    """Prove oneself again, by a key."""
    answer = sound(read_object("credential", call.members))
    return await call.flows.reauthenticate.by_key(call.visit, answer)


@passkey_routes.get(
    "/auth/webauthn/login",
    access=Access.ANYONE,
    answers={200: schemas.KeyAsked, 429: schemas.TooMany},
    opens_session=True,
)
async def ask_for_passkey(call: Call) -> Outcome:
    """Ask for any passkey, to log in with. A client without a session gets one."""
    return await call.flows.passkeys.ask(call.visit)


@passkey_routes.post(
    "/auth/webauthn/login",
    access=Access.LOGGED_OUT,
    body=KEYS_ANSWER,
    answers={**STANDING, 400: schemas.PasskeyRefused},
)
async def log_in_by_passkey(call: Call) -> Outcome:
    """Log in with a passkey alone."""
    answer = sound(read_object("credential", call.members))
    return await call.flows.passkeys.log_in(call.visit, answer)


@trust_routes.post("/auth/2fa/trust", access=Access.MFA_TRUST, body=TRUST)
async def trust_browser(call: Call) -> Outcome:
    """Complete a login; with `trust`, later ones in this browser take no second factor."""
    trusts = sound(read_flag("trust", call.members))
    return await call.flows.trust.decide(call.visit, trusts=trusts)


@routes.post("/auth/reauthenticate", access=Access.LOGGED_IN, takes=(PASSWORD,))
async def reauthenticate(call: Call) -> Outcome:
    """Prove oneself again, by password."""
    return await call.flows.reauthenticate.by_password(call.visit, call.form()["password"])


@routes.post("/auth/2fa/reauthenticate", access=Access.LOGGED_IN, takes=(CODE,))
async def reauthenticate_by_code(call: Call) -> Outcome:
    """Prove oneself again, by a code."""
    return await call.flows.reauthenticate.by_code(call.visit, call.form()["code"])
