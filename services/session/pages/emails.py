"""A person's addresses: listed, added, verified, made the main one, removed."""

from services.session.api.fields import EMAIL
from services.session.domain.access import Access
from services.session.domain.reauthentication import Matter
from services.session.flows.outcomes import Addresses, Outcome
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, gate, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

pages = Pages()


@pages.get("account_email", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show the addresses."""
    return gate(call, Matter.EMAIL) or await _page(call)


@pages.post("account_email", access=Access.LOGGED_IN)
async def change(call: Call) -> Answer:
    """Do with an address what the button says that was pressed; by allauth's names of them."""
    again = await _page(call)
    values, faults = call.read(EMAIL)
    if faults:
        return again.refused(faults) if isinstance(again, Show) else again
    outcome, done = await _done(call, values["email"])
    return settle(call, outcome, again, done) if isinstance(again, Show) else again


async def _done(call: Call, email: str) -> tuple[Outcome, GoTo]:
    emails, here = call.flows.emails, path_of("account_email")
    code = path_of("account_email_verification_sent")
    by_code = call.site.offers.verification_by_code
    if "action_primary" in call.form:
        done = GoTo(url=here, notice="email_primary")
        return await emails.make_primary(call.visit, email), done
    if "action_remove" in call.form:
        return await emails.remove(call.visit, email), GoTo(url=here, notice="email_removed")
    if "action_send" in call.form:
        done = GoTo(url=code, notice="sent") if by_code else GoTo(url=here, notice="link_sent")
        return await emails.ask(call.visit, email), done
    done = GoTo(url=code) if by_code else GoTo(url=here, notice="email_added")
    return await emails.add(call.visit, email), done


async def _page(call: Call) -> Answer:
    outcome = await call.flows.emails.list(call.visit)
    listed = outcome.listed if isinstance(outcome, Addresses) else ()
    page = Show(template="emails.html", facts={"addresses": listed})
    return page if isinstance(outcome, Addresses) else settle(call, outcome, page)
