"""Recovery codes: shown, kept as a file, and made anew."""

from services.session.domain.access import Access
from services.session.domain.reauthentication import Matter
from services.session.flows.outcomes import Absent, Codes, Outcome
from services.session.pages.answers import Answer, File, GoTo, Show
from services.session.pages.call import Call, gate, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

FILE = "recovery-codes.txt"

pages = Pages()


@pages.get("mfa_view_recovery_codes", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show the codes that are left, if they may be seen."""
    return _shown(call, await call.flows.recovery_codes.show(call.visit))


@pages.get("mfa_download_recovery_codes", access=Access.LOGGED_IN)
async def download(call: Call) -> Answer:
    """Give the codes as a file."""
    outcome = await call.flows.recovery_codes.show(call.visit)
    if isinstance(outcome, Codes) and outcome.text is not None:
        return File(text=outcome.text, name=FILE)
    return _shown(call, outcome)


@pages.get("mfa_generate_recovery_codes", access=Access.LOGGED_IN)
async def show_renewal(call: Call) -> Answer:
    """Ask whether new codes are to take the place of those that there are."""
    return gate(call, Matter.MFA) or _renewal(call)


@pages.post("mfa_generate_recovery_codes", access=Access.LOGGED_IN)
async def generate(call: Call) -> Answer:
    """Make new codes, and show them in this very answer: there may be no other chance."""
    outcome = await call.flows.recovery_codes.generate(call.visit)
    if isinstance(outcome, Codes):
        return _page(outcome)
    return settle(call, outcome, _renewal(call))


def _shown(call: Call, outcome: Outcome) -> Answer:
    match outcome:
        case Codes():
            return _page(outcome)
        case Absent():
            return GoTo(url=path_of("mfa_generate_recovery_codes"))
    return settle(call, outcome, _renewal(call))


def _page(codes: Codes) -> Show:
    facts = {"entry": codes.entry, "codes": codes.codes, "text": codes.text, "file": FILE}
    return Show(template="recovery_codes.html", facts=facts)


def _renewal(call: Call) -> Show:
    account = call.visit.account
    register = None if account is None else account.register
    facts = {
        "has": register is not None and bool(register.of_type("recovery_codes")),
        "may": register is not None and register.has_second_factor,
    }
    return Show(template="recovery_codes_generate.html", facts=facts)
