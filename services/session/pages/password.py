"""The password: changed, or set for the first time."""

from services.session.api.fields import CURRENT_PASSWORD, NEW_PASSWORD
from services.session.domain.access import Access
from services.session.domain.faults import Fault
from services.session.domain.reauthentication import Matter
from services.session.flows.outcomes import Standing
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, gate, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

pages = Pages()


@pages.get("account_change_password", access=Access.LOGGED_IN)
async def show_change(call: Call) -> Answer:
    """Show where the password is changed."""
    if not _has_one(call):
        return GoTo(url=path_of("account_set_password"))
    return Show(template="password_change.html")


@pages.post("account_change_password", access=Access.LOGGED_IN)
async def change(call: Call) -> Answer:
    """Change it, by the one that there is."""
    values, faults = call.read(CURRENT_PASSWORD, NEW_PASSWORD)
    return await _changed(call, Show(template="password_change.html"), values, faults)


@pages.get("account_set_password", access=Access.LOGGED_IN)
async def show_first(call: Call) -> Answer:
    """Show where a first password is set."""
    if _has_one(call):
        return GoTo(url=path_of("account_change_password"))
    return gate(call, Matter.FIRST_PASSWORD) or Show(template="password_set.html")


@pages.post("account_set_password", access=Access.LOGGED_IN)
async def set_first(call: Call) -> Answer:
    """Set it."""
    if _has_one(call):
        return GoTo(url=path_of("account_change_password"))
    values, faults = call.read(NEW_PASSWORD)
    return await _changed(call, Show(template="password_set.html"), values, faults)


async def _changed(call: Call, again: Show, values: dict[str, str], faults: list[Fault]) -> Answer:
    outcome = await call.flows.change_password.change(
        call.visit, values.get("current_password"), values.get("new_password"), faults=faults
    )
    notice = "password_changed" if _has_one(call) else "password_set"
    done = None
    if isinstance(outcome, Standing):
        authenticated = outcome.visit.authenticated
        done = GoTo(
            url=path_of("account_index" if authenticated else "account_login"), notice=notice
        )
    return settle(call, outcome, again, done)


def _has_one(call: Call) -> bool:
    return call.visit.account is not None and call.visit.account.has_usable_password
