"""`auth/…`: going on with a login stage by stage, reauthenticating, logging out."""

from services.session import schemas
from services.session.api.edge import Call, Routes, sound
from services.session.api.fields import (
    CODE,
    OBJECT_CODES,
    PASSWORD,
    read_flag,
    read_object,
)
from services.session.api.openapi import STANDING
from services.session.domain.access import Access
from services.session.domain.faults import (
    INCORRECT_CREDENTIAL,
    INCORRECT_PASSWORD,
    TOO_MANY_ATTEMPTS,
)
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

JUDGED = (INCORRECT_CREDENTIAL.code, TOO_MANY_ATTEMPTS.code)
"""Codes of what is said of a proof that a person gives."""

routes = Routes()
trust_routes = Routes([Client.BROWSER])
webauthn_routes = Routes()
passkey_routes = Routes()


@routes.get("/auth/session", access=Access.ANYONE)
async def show_session(call: Call) -> Outcome:
    """Show who is logged in, or what there is to do to be."""
    return Standing(visit=call.visit)


@routes.delete("/auth/session", access=Access.ANYONE, answers={401: schemas.LoginNeeded})
async def log_out(call: Call) -> Outcome:
    """Log out, or abandon the login under way."""
    return await call.flows.logout.log_out(call.visit)


@routes.post(
    "/auth/2fa/authenticate",
    access=Access.MFA_AUTHENTICATE,
    takes=(CODE,),
    codes={400: JUDGED},
)
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
    "/auth/webauthn/authenticate",
    access=Access.MFA_AUTHENTICATE,
    body=KEYS_ANSWER,
    codes={400: (*OBJECT_CODES, *JUDGED)},
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


@webauthn_routes.post(
    "/auth/webauthn/reauthenticate",
    access=Access.LOGGED_IN,
    body=KEYS_ANSWER,
    codes={400: (*OBJECT_CODES, *JUDGED)},
)
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
    codes={400: OBJECT_CODES},
)
async def log_in_by_passkey(call: Call) -> Outcome:
    """Log in with a passkey alone."""
    answer = sound(read_object("credential", call.members))
    return await call.flows.passkeys.log_in(call.visit, answer)


@trust_routes.post(
    "/auth/2fa/trust", access=Access.MFA_TRUST, body=TRUST, codes={400: ("invalid",)}
)
async def trust_browser(call: Call) -> Outcome:
    """Complete a login; with `trust`, later ones in this browser take no second factor."""
    trusts = sound(read_flag("trust", call.members))
    return await call.flows.trust.decide(call.visit, trusts=trusts)


@routes.post(
    "/auth/reauthenticate",
    access=Access.LOGGED_IN,
    takes=(PASSWORD,),
    codes={400: (INCORRECT_PASSWORD.code, TOO_MANY_ATTEMPTS.code)},
)
async def reauthenticate(call: Call) -> Outcome:
    """Prove oneself again, by password."""
    return await call.flows.reauthenticate.by_password(call.visit, call.form()["password"])


@routes.post(
    "/auth/2fa/reauthenticate", access=Access.LOGGED_IN, takes=(CODE,), codes={400: JUDGED}
)
async def reauthenticate_by_code(call: Call) -> Outcome:
    """Prove oneself again, by a code."""
    return await call.flows.reauthenticate.by_code(call.visit, call.form()["code"])
