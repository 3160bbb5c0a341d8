"""The second factor of a login, and the question whether this browser is trusted from now on."""

from collections.abc import Iterable

from services.session.api.fields import CODE
from services.session.domain.access import Access
from services.session.domain.factors import RECOVERY_CODES, TOTP, WEBAUTHN
from services.session.domain.faults import Fault
from services.session.flows.outcomes import Visit
from services.session.pages.answers import Answer, Given, Show
from services.session.pages.call import Call, settle
from services.session.pages.ceremonies import options, read_credential
from services.session.pages.frame import Pages

PASSWORD = "password"  # noqa: S105 - a way to prove oneself
BEST = {WEBAUTHN: 0, TOTP: 1, PASSWORD: 3, RECOVERY_CODES: 4}
OTHERS = 2  # factors of someone else's come behind ours

pages = Pages()
key_pages = Pages()
trust_pages = Pages()


@pages.get("mfa_authenticate", access=Access.MFA_AUTHENTICATE)
async def show(call: Call) -> Show:
    """Show the best way to give a second factor, and the others to switch to."""
    kinds = ways(call.visit)
    chosen = choice(call.query.get("by"), kinds)
    return Show(template="authenticate.html", facts={"by": chosen, "ways": kinds})


@pages.post("mfa_authenticate", access=Access.MFA_AUTHENTICATE)
async def authenticate(call: Call) -> Answer:
    """Give a code."""
    again = await show(call)
    values, faults = call.read(CODE)
    if faults:
        return again.refused(faults)
    outcome = await call.flows.authenticate.authenticate(call.visit, values["code"])
    return settle(call, outcome, again)


@key_pages.get("mfa_authenticate_webauthn", access=Access.MFA_AUTHENTICATE)
async def ask_for_key(call: Call) -> Given:
    """Give a script what it asks a key of the person with."""
    return options(await call.flows.authenticate.ask_for_key(call.visit))


@key_pages.post("mfa_authenticate_webauthn", access=Access.MFA_AUTHENTICATE)
async def authenticate_by_key(call: Call) -> Answer:
    """Give the answer of a key."""
    again = await show(call)
    answer = read_credential(call)
    if isinstance(answer, Fault):
        return again.refused([answer])
    outcome = await call.flows.authenticate.authenticate_by_key(call.visit, answer)
    return settle(call, outcome, again)


@trust_pages.get("mfa_trust", access=Access.MFA_TRUST)
async def show_trust(_call: Call) -> Show:
    """Ask whether this browser is trusted from now on."""
    return Show(template="trust.html")


@trust_pages.post("mfa_trust", access=Access.MFA_TRUST)
async def trust(call: Call) -> Answer:
    """Complete the login, with trust or without."""
    trusts = call.form.get("trust") == "true"
    outcome = await call.flows.trust.decide(call.visit, trusts=trusts)
    return settle(call, outcome, await show_trust(call))


def ways(visit: Visit) -> list[str]:
    """Return the kinds of authenticators that the person has, the best first."""
    return ranked(visit.types)


def ranked(kinds: Iterable[str]) -> list[str]:
    """Return `kinds`, the best first: what cannot be phished, and last what is for emergencies."""
    return sorted(kinds, key=lambda kind: (BEST.get(kind, OTHERS), kind))


def choice(wish: str | None, kinds: list[str]) -> str | None:
    """Return the kind that was asked for, or the best; None if there is none."""
    short = {kind.replace("_", ""): kind for kind in kinds}
    return short.get(wish or "") or next(iter(kinds), None)
