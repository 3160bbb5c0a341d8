"""Logging in: by password, by passkey, by a code that is mailed; and logging out."""

from dataclasses import replace

from services.session.api.fields import CODE, EMAIL, PASSWORD
from services.session.domain.access import Access
from services.session.domain.faults import Fault
from services.session.flows.outcomes import Refused
from services.session.pages.answers import Answer, Given, GoTo, Show
from services.session.pages.call import Call, settle, standing
from services.session.pages.ceremonies import options, read_credential
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

NOT_KNOWN = Fault(code="passkey", message="The passkey was not accepted.")

pages = Pages()
passkey_pages = Pages()
code_request_pages = Pages()


@pages.get("account_login", access=Access.LOGGED_OUT)
async def show_login(_call: Call) -> Show:
    """Show every way to log in."""
    return Show(template="login.html", facts={"signal": None})


@pages.post("account_login", access=Access.LOGGED_OUT)
async def log_in(call: Call) -> Answer:
    """Log in by a name and a password."""
    again = await show_login(call)
    entrance = call.site.offers.entrance
    values, faults = call.read(entrance.login_field, PASSWORD)
    if faults:
        return again.refused(faults)
    name = entrance.name_of(values[entrance.login_field.name])
    outcome = await call.flows.login.log_in(call.visit, name, values["password"])
    return settle(call, outcome, again)


@passkey_pages.get("mfa_login_webauthn", access=Access.ANYONE, opens_session=True)
async def ask_for_passkey(call: Call) -> Given:
    """Give a script what it asks any passkey with."""
    return options(await call.flows.passkeys.ask(call.visit))


@passkey_pages.post("mfa_login_webauthn", access=Access.LOGGED_OUT)
async def log_in_by_passkey(call: Call) -> Answer:
    """Log in by a passkey alone. A browser is told of one that is not known here."""
    again = await show_login(call)
    answer = read_credential(call)
    if isinstance(answer, Fault):
        return again.refused([NOT_KNOWN])
    outcome = await call.flows.passkeys.log_in(call.visit, answer)
    if isinstance(outcome, Refused):
        facts = {"signal": outcome.signal}
        told = replace(again, facts=facts).refused([NOT_KNOWN], outcome.retry_after)
        return replace(told, outcome=outcome)
    return settle(call, outcome, again)


@code_request_pages.get("account_request_login_code", access=Access.LOGGED_OUT)
async def show_code_request(_call: Call) -> Show:
    """Show where a code is asked for."""
    return Show(template="login_code_request.html")


@code_request_pages.post("account_request_login_code", access=Access.LOGGED_OUT)
async def request_code(call: Call) -> Answer:
    """Have a code mailed to log in by."""
    again = await show_code_request(call)
    values, faults = call.read(EMAIL)
    if faults:
        return again.refused(faults)
    outcome = await call.flows.login_by_code.request(call.visit, values["email"])
    return settle(call, outcome, again)


@pages.get("account_confirm_login_code", access=Access.LOGIN_BY_CODE)
async def show_code(call: Call) -> Show:
    """Show where the code is typed."""
    login = None if call.visit.session is None else call.visit.session.login
    code = None if login is None else login.code
    resend = code is not None and code.can_be_resent(call.site.offers.login_codes)
    facts = {
        "address": "" if login is None else login.email or "",
        "resend": resend and call.site.offers.login_by_code,
    }
    return Show(template="login_code.html", facts=facts)


@pages.post("account_confirm_login_code", access=Access.LOGIN_BY_CODE)
async def confirm_code(call: Call) -> Answer:
    """Give the code that was mailed. One that is empty is no guess, and is not counted as one."""
    again = await show_code(call)
    values, faults = call.read(CODE)
    if faults:
        return again.refused(faults)
    outcome = await call.flows.login_by_code.confirm(call.visit, values["code"])
    return settle(call, outcome, again)


@code_request_pages.post("account_resend_login_code", access=Access.LOGIN_BY_CODE)
async def resend_code(call: Call) -> Answer:
    """Have another code mailed in place of the last."""
    again = await show_code(call)
    outcome = await call.flows.login_by_code.resend(call.visit)
    done = GoTo(url=call.url("account_confirm_login_code"), notice="sent")
    return settle(call, outcome, again, done)


@pages.get("account_logout", access=Access.ANYONE)
async def show_logout(call: Call) -> Answer:
    """Ask whether somebody wants to log out: a link alone ends nothing."""
    if call.visit.session is None:
        return GoTo(url=path_of("account_login"))
    return Show(template="logout.html")


@pages.post("account_logout", access=Access.ANYONE)
async def log_out(call: Call) -> Answer:
    """Log out, or abandon the login under way."""
    abandoned = call.visit.pending is not None
    outcome = await call.flows.logout.log_out(call.visit)
    if abandoned:
        return GoTo(url=standing(call, call.visit.as_nobody), outcome=outcome)
    return GoTo(url=call.site.farewell, notice="logged_out", outcome=outcome)
