"""An authenticator app: set up by a QR code or a secret, and a first code; removed again."""

from base64 import b64encode

from services.session.api.fields import CODE
from services.session.domain.access import Access
from services.session.domain.reauthentication import Matter
from services.session.flows.outcomes import Enrolled, NotEnrolled
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, gate, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

GROUP = 4  # characters of the secret that are shown together, for whoever types it

pages = Pages()


@pages.get("mfa_activate_totp", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show a new secret, as a picture and in letters."""
    if first := gate(call, Matter.MFA):
        return first
    outcome = await call.flows.totp.show(call.visit)
    match outcome:
        case NotEnrolled(display=display):
            secret, svg = str(display.get("secret", "")), str(display.get("totp_svg", ""))
            parts = [secret[at : at + GROUP] for at in range(0, len(secret), GROUP)]
            facts = {
                "secret": " ".join(parts),
                "link": display.get("totp_url"),
                # As a picture of its own: what is in it is not of this page.
                "picture": f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}",
            }
            return Show(template="totp_activate.html", facts=facts)
        case Enrolled():
            return GoTo(url=path_of("mfa_index"))
    return settle(call, outcome, Show(template="totp_activate.html", facts=AGAIN))


AGAIN = {"secret": None, "link": None, "picture": None}
"""After a wrong code the secret stays what it was, and is not shown again: the app has it."""


@pages.post("mfa_activate_totp", access=Access.LOGGED_IN)
async def activate(call: Call) -> Answer:
    """Let the app count, by a code of the secret that was shown last."""
    again = Show(template="totp_activate.html", facts=AGAIN)
    values, faults = call.read(CODE)
    if faults:
        return again.refused(faults)
    outcome = await call.flows.totp.activate(call.visit, values["code"])
    return settle(call, outcome, again, after_first(call, outcome, "totp_added"))


@pages.get("mfa_deactivate_totp", access=Access.LOGGED_IN)
async def show_removal(call: Call) -> Answer:
    """Ask whether the app is to be removed."""
    return gate(call, Matter.MFA) or Show(template="totp_deactivate.html")


@pages.post("mfa_deactivate_totp", access=Access.LOGGED_IN)
async def deactivate(call: Call) -> Answer:
    """Remove the app."""
    outcome = await call.flows.totp.deactivate(call.visit)
    done = GoTo(url=path_of("mfa_index"), notice="totp_removed")
    return settle(call, outcome, Show(template="totp_deactivate.html"), done)


def after_first(call: Call, outcome: object, notice: str) -> GoTo:
    """Return where one goes on after an authenticator was added: to the codes that came with it."""
    made = outcome.codes_generated if isinstance(outcome, Enrolled) else None
    if made is None or not call.site.offers.recovery_codes:
        return GoTo(url=path_of("mfa_index"), notice=notice)
    if made:
        return GoTo(url=path_of("mfa_view_recovery_codes"), notice=notice)
    return GoTo(url=path_of("mfa_index"), notice="codes_missing")
