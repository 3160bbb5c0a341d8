"""Proving to own an address: by the code that was mailed, or by the link."""

from services.session.api.fields import EMAIL, KEY
from services.session.domain.access import Access
from services.session.domain.processes import AddressProof
from services.session.domain.stages import Login
from services.session.flows.outcomes import AddressShown, Misfit, Refused, Standing
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, settle, standing
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

code_pages = Pages()
link_pages = Pages()


@code_pages.get("account_email_verification_sent", access=Access.ADDRESS_PROOF)
async def show_code(call: Call) -> Answer:
    """Show where the code is typed, if one is awaited."""
    waiting = _waiting(call)
    if waiting is None:
        return GoTo(url=path_of("account_email"))
    return _page(call, waiting)


@code_pages.post("account_email_verification_sent", access=Access.ADDRESS_PROOF)
async def confirm_code(call: Call) -> Answer:
    """Give the code that was mailed."""
    waiting = _waiting(call)
    if waiting is None:
        return GoTo(url=path_of("account_email"), notice="over")
    values, faults = call.read(KEY)
    outcome = await call.flows.verify_email.verify(call.visit, values.get("key"), faults=faults)
    if isinstance(outcome, Misfit) and call.visit.authenticated:
        return GoTo(url=path_of("account_email"), notice="over")
    added = call.visit.authenticated and isinstance(outcome, Standing)
    done = GoTo(url=path_of("account_email"), notice="email_verified") if added else None
    return settle(call, outcome, _page(call, waiting), done)


@code_pages.post("account_resend_email_verification", access=Access.ADDRESS_PROOF)
async def resend_code(call: Call) -> Answer:
    """Have another code mailed in place of the last."""
    waiting = _waiting(call)
    if waiting is None:
        return GoTo(url=path_of("account_email"))
    outcome = await call.flows.verify_email.resend(call.visit)
    done = GoTo(url=call.url("account_email_verification_sent"), notice="sent")
    return settle(call, outcome, _page(call, waiting), done)


@code_pages.post("account_change_signup_email", access=Access.ADDRESS_PROOF)
async def change_address(call: Call) -> Answer:
    """Give another address in place of the one that a sign-up began with."""
    waiting = _waiting(call)
    if waiting is None:
        return GoTo(url=path_of("account_email"))
    values, faults = call.read(EMAIL)
    outcome = await call.flows.signup_address.change(call.visit, values.get("email"), faults=faults)
    done = GoTo(url=call.url("account_email_verification_sent"), notice="sent")
    return settle(call, outcome, _page(call, waiting), done)


@link_pages.get("account_email_verification_sent", access=Access.ANYONE)
async def show_sent(call: Call) -> Answer:
    """Say that a mail with a link is on its way."""
    if call.visit.authenticated:
        return GoTo(url=path_of("account_email"))
    login = None if call.visit.session is None else call.visit.session.login
    return Show(
        template="verify_sent.html", facts={"address": "" if login is None else login.email or ""}
    )


@link_pages.get("account_confirm_email", access=Access.ANYONE)
async def show_link(call: Call) -> Answer:
    """Show which address a link is to verify. To open it does nothing: mail programs do."""
    outcome = await call.flows.verify_email.show(call.visit, call.parts["key"])
    match outcome:
        case AddressShown(address=address):
            return Show(template="verify_link.html", facts={"address": address})
        case Refused(faults=faults):
            return Show(template="verify_link.html", facts={"address": None}, faults=faults)
    return settle(call, outcome, Show(template="verify_link.html", facts={"address": None}))


@link_pages.post("account_confirm_email", access=Access.ANYONE)
async def follow_link(call: Call) -> Answer:
    """Verify the address by the key in the link."""
    again = Show(template="verify_link.html", facts={"address": None})
    outcome = await call.flows.verify_email.verify(call.visit, call.parts["key"])
    done = None
    if isinstance(outcome, Standing):
        done = GoTo(url=standing(call, outcome.visit), notice="email_verified")
    return settle(call, outcome, again, done)


def _waiting(call: Call) -> Login | AddressProof | None:
    """Return what waits for a code, or None if nothing does."""
    session = call.visit.session
    if session is None:
        return None
    return session.processes.address if call.visit.authenticated else session.login


def _page(call: Call, waiting: Login | AddressProof) -> Show:
    offers, code = call.site.offers, waiting.code
    at_signup = isinstance(waiting, Login)
    address = waiting.mailbox if isinstance(waiting, Login) else waiting.address
    changes = waiting.changes if isinstance(waiting, Login) else offers.max_address_changes
    facts = {
        "address": address,
        "resend": code is not None and code.can_be_resent(offers.verification_codes),
        "change": at_signup and changes < offers.max_address_changes,
        "at_signup": at_signup,
    }
    return Show(template="verify_code.html", facts=facts)
