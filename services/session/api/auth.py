"""`auth/…`: signing up, logging in stage by stage, reauthenticating, logging out."""

from services.session.api.edge import Call, Routes, sound
from services.session.api.fields import CODE, EMAIL, KEY, PASSWORD, read_flag
from services.session.domain.access import Access
from services.session.domain.sessions import Client
from services.session.flows.outcomes import Outcome, Standing

TRUST = {"type": "object", "properties": {"trust": {"type": "boolean"}}}

routes = Routes()
trust_routes = Routes([Client.BROWSER])


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
