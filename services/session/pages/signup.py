"""Signing up: with a password, or with a passkey and no password at all."""

from services.session.api.entrance import applicant_of
from services.session.api.fields import PASSWORD
from services.session.api.webauthn_keys import WISHED
from services.session.domain.access import Access
from services.session.domain.faults import Fault
from services.session.pages.answers import Answer, Given, Show
from services.session.pages.call import Call, settle
from services.session.pages.ceremonies import options, read_credential
from services.session.pages.frame import Pages

pages = Pages()
passkey_pages = Pages()


@pages.get("account_signup", access=Access.LOGGED_OUT)
async def show_signup(_call: Call) -> Show:
    """Show how to sign up."""
    return Show(template="signup.html")


@pages.post("account_signup", access=Access.LOGGED_OUT)
async def sign_up(call: Call) -> Answer:
    """Sign up with names and a password."""
    values, faults = call.read(*call.site.offers.entrance.names, PASSWORD)
    outcome = await call.flows.signup.sign_up(
        call.visit, applicant_of(values), values.get("password"), faults=faults
    )
    return settle(call, outcome, await show_signup(call))


@passkey_pages.get("account_signup_by_passkey", access=Access.LOGGED_OUT)
async def show_signup_by_passkey(_call: Call) -> Show:
    """Show how to sign up without a password."""
    return Show(template="signup_passkey.html")


@passkey_pages.post("account_signup_by_passkey", access=Access.LOGGED_OUT)
async def sign_up_by_passkey(call: Call) -> Answer:
    """Sign up with names alone; the passkey comes once the address is verified."""
    values, faults = call.read(*call.site.offers.entrance.names)
    outcome = await call.flows.signup.sign_up_by_passkey(
        call.visit, applicant_of(values), faults=faults
    )
    return settle(call, outcome, await show_signup_by_passkey(call))


@passkey_pages.get("mfa_signup_webauthn", access=Access.MFA_SIGNUP_WEBAUTHN)
async def show_passkey(_call: Call) -> Show:
    """Show where the passkey is made that the sign-up waits for."""
    return Show(template="signup_passkey_make.html")


@passkey_pages.get("mfa_webauthn_signup_options", access=Access.MFA_SIGNUP_WEBAUTHN)
async def ask_for_passkey(call: Call) -> Given:
    """Give a script what it has that passkey made with."""
    return options(await call.flows.passkey_signup.options(call.visit))


@passkey_pages.post("mfa_signup_webauthn", access=Access.MFA_SIGNUP_WEBAUTHN)
async def complete(call: Call) -> Answer:
    """Keep the passkey, and log in."""
    again = await show_passkey(call)
    credential = read_credential(call)
    if isinstance(credential, Fault):
        return again.refused([credential])
    name = call.form.get("name", "")[: WISHED.max_length] or None
    outcome = await call.flows.passkey_signup.complete(call.visit, name, credential)
    return settle(call, outcome, again)
