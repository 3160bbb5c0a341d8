"""A password that was forgotten: a mail is asked for, and by it another password is set."""

from services.session.api.fields import EMAIL, KEY, PASSWORD
from services.session.domain.access import Access
from services.session.flows.outcomes import Outcome, Refused, ResetShown, Standing
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, settle, standing
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

pages = Pages()
code_pages = Pages()
link_pages = Pages()


@pages.get("account_reset_password", access=Access.LOGGED_OUT)
async def show(_call: Call) -> Show:
    """Show where a mail is asked for."""
    return Show(template="password_reset.html")


@code_pages.post("account_reset_password", access=Access.LOGGED_OUT)
async def request_code(call: Call) -> Answer:
    """Have a code mailed."""
    return await _requested(call, GoTo(url=call.url("account_confirm_password_reset_code")))


@link_pages.post("account_reset_password", access=Access.LOGGED_OUT)
async def request_link(call: Call) -> Answer:
    """Have a link mailed."""
    return await _requested(call, GoTo(url=path_of("account_reset_password_done")))


@code_pages.get("account_confirm_password_reset_code", access=Access.PASSWORD_RESET)
async def show_code(call: Call) -> Show:
    """Show where the code is typed, and the new password."""
    session = call.visit.session
    reset = None if session is None else session.processes.reset
    address = "" if reset is None else reset.address
    return Show(template="password_reset_code.html", facts={"address": address})


@code_pages.post("account_confirm_password_reset_code", access=Access.PASSWORD_RESET)
async def reset_by_code(call: Call) -> Answer:
    """Set the password by the code. They come together, so that the code is kept nowhere."""
    again = await show_code(call)
    values, faults = call.read(KEY, PASSWORD)
    if faults:  # what is missing is no wrong code
        return again.refused(faults)
    outcome = await call.flows.reset_password.reset(call.visit, values["key"], values["password"])
    return _done(call, outcome, again)


@link_pages.get("account_reset_password_done", access=Access.LOGGED_OUT)
async def show_sent(_call: Call) -> Show:
    """Say that a mail with a link is on its way."""
    return Show(template="password_reset_sent.html")


@link_pages.get("account_reset_password_from_key", access=Access.ANYONE)
async def show_link(call: Call) -> Answer:
    """Show whose password a link sets. To open it changes nothing."""
    outcome = await call.flows.reset_password.show(call.visit, call.parts["key"])
    match outcome:
        case ResetShown(account=account):
            return _by_link(account.label)
        case Refused(faults=faults):
            return _by_link(None).refused(faults)
    return settle(call, outcome, _by_link(None))


@link_pages.post("account_reset_password_from_key", access=Access.ANYONE)
async def reset_by_link(call: Call) -> Answer:
    """Set the password by the key in the link."""
    values, faults = call.read(PASSWORD)
    outcome = await call.flows.reset_password.reset(
        call.visit, call.parts["key"], values.get("password"), faults=faults
    )
    again = None if isinstance(outcome, Standing) else await show_link(call)
    return _done(call, outcome, again if isinstance(again, Show) else _by_link(None))


def _by_link(address: str | None) -> Show:
    """Return the page for a new password; without an address, that the link is dead."""
    return Show(template="password_reset_link.html", facts={"address": address})


async def _requested(call: Call, done: GoTo) -> Answer:
    again = await show(call)
    values, faults = call.read(EMAIL)
    if faults:
        return again.refused(faults)
    outcome = await call.flows.request_password.request(call.visit, values["email"])
    return settle(call, outcome, again, done)


def _done(call: Call, outcome: Outcome, again: Show) -> Answer:
    done = None
    if isinstance(outcome, Standing):
        done = GoTo(url=standing(call, outcome.visit), notice="password_reset")
    return settle(call, outcome, again, done)
