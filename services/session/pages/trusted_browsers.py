"""The browsers that a person trusts."""

from services.session.domain.access import Access
from services.session.flows.outcomes import TrustedBrowsers
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

MAX_ID = 256  # characters

pages = Pages()


@pages.get("mfa_trusted_browsers", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show them, the newest first."""
    outcome = await call.flows.trusted_browsers.list(call.visit)
    if not isinstance(outcome, TrustedBrowsers):
        return settle(call, outcome, _page(()))
    return _page(outcome.browsers)


@pages.post("mfa_trusted_browsers", access=Access.LOGGED_IN)
async def revoke(call: Call) -> Answer:
    """Trust one no more, or none at all."""
    here = path_of("mfa_trusted_browsers")
    if call.form.get("all") == "true":
        outcome = await call.flows.trusted_browsers.revoke_all(call.visit)
        return settle(call, outcome, _page(()), GoTo(url=here, notice="trust_all_removed"))
    named = call.form.get("browser", "")[:MAX_ID]
    outcome = await call.flows.trusted_browsers.revoke(call.visit, [named])
    return settle(call, outcome, _page(()), GoTo(url=here, notice="trust_removed"))


def _page(browsers: object) -> Show:
    return Show(template="trusted_browsers.html", facts={"browsers": browsers})
