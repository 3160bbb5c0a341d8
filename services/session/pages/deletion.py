"""Deleting the account, for good."""

from services.session.domain.access import Access
from services.session.domain.faults import Fault
from services.session.domain.reauthentication import Matter
from services.session.flows.outcomes import Standing
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, gate, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

UNSURE = Fault(code="confirm", message="It was not confirmed.", param="sure")

pages = Pages()


@pages.get("account_delete", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Ask whether somebody is sure."""
    return gate(call, Matter.DELETION) or Show(template="delete.html")


@pages.post("account_delete", access=Access.LOGGED_IN)
async def delete(call: Call) -> Answer:
    """Delete it."""
    again = Show(template="delete.html")
    if call.form.get("sure") != "true":
        return again.refused([UNSURE])
    outcome = await call.flows.delete.delete(call.visit)
    done = None
    if isinstance(outcome, Standing):
        done = GoTo(url=path_of("account_login"), notice="deleted")
    return settle(call, outcome, again, done)
