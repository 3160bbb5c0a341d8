"""Proving oneself again, in between: afterwards one is back at what one was doing."""

from dataclasses import replace

from services.session.api.fields import CODE, PASSWORD
from services.session.domain.access import Access
from services.session.domain.faults import Fault
from services.session.flows.outcomes import Outcome, Standing
from services.session.pages.answers import Answer, Given, GoTo, Show
from services.session.pages.call import Call, settle
from services.session.pages.ceremonies import options, read_credential
from services.session.pages.frame import Pages
from services.session.pages.second_factor import PASSWORD as PASSWORD_WAY
from services.session.pages.second_factor import choice, ranked, ways

pages = Pages()
key_pages = Pages()


@pages.get("account_reauthenticate", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show the best way to prove oneself, and the others to switch to."""
    kinds = _ways(call)
    if not kinds:  # there is nothing to prove oneself by, and nothing that would ask for it
        return GoTo(url=call.next or call.site.home)
    return _page(call, choice(call.query.get("by"), kinds))


@pages.get("mfa_reauthenticate", access=Access.LOGGED_IN)
async def show_second_factor(call: Call) -> Answer:
    """Show the same, where the reference has it for second factors."""
    return await show(call)


@pages.post("account_reauthenticate", access=Access.LOGGED_IN)
async def by_password(call: Call) -> Answer:
    """Prove oneself by password."""
    again = _page(call, PASSWORD_WAY)
    values, faults = call.read(PASSWORD)
    if faults:
        return again.refused(faults)
    outcome = await call.flows.reauthenticate.by_password(call.visit, values["password"])
    return _back(call, outcome, again)


@pages.post("mfa_reauthenticate", access=Access.LOGGED_IN)
async def by_code(call: Call) -> Answer:
    """Prove oneself by a code."""
    again = _page(call, choice(call.query.get("by"), ways(call.visit)))
    values, faults = call.read(CODE)
    if faults:
        return again.refused(faults)
    outcome = await call.flows.reauthenticate.by_code(call.visit, values["code"])
    return _back(call, outcome, again)


@key_pages.get("mfa_reauthenticate_webauthn", access=Access.LOGGED_IN)
async def ask_for_key(call: Call) -> Given:
    """Give a script what it asks a key of the person with."""
    return options(await call.flows.reauthenticate.ask_for_key(call.visit))


@key_pages.post("mfa_reauthenticate_webauthn", access=Access.LOGGED_IN)
async def by_key(call: Call) -> Answer:
    """Prove oneself by a key."""
    again = _page(call, choice("webauthn", ways(call.visit)))
    answer = read_credential(call)
    if isinstance(answer, Fault):
        return again.refused([answer])
    outcome = await call.flows.reauthenticate.by_key(call.visit, answer)
    return _back(call, outcome, again)


def _ways(call: Call) -> list[str]:
    """Return how the person can prove themselves, of what `as` in the query will do."""
    wanted = call.query.get("as", "mp")
    account = call.visit.account
    kinds = list(call.visit.types) if "m" in wanted else []
    if "p" in wanted and account is not None and account.has_usable_password:
        kinds.append(PASSWORD_WAY)
    return ranked(kinds)


def _page(call: Call, chosen: str | None) -> Show:
    facts = {"by": chosen, "ways": _ways(call), "wanted": call.query.get("as")}
    return Show(template="reauthenticate.html", facts=facts)


def _back(call: Call, outcome: Outcome, again: Show) -> Answer:
    answer = settle(call, outcome, again)
    if isinstance(outcome, Standing) and isinstance(answer, GoTo):
        return replace(answer, notice="reauthenticated")
    return answer
