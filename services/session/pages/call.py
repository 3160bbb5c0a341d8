"""One request for a page, as its handler gets it, and where it can lead."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from services.session.api import fields
from services.session.domain.access import Access
from services.session.domain.faults import Fault
from services.session.domain.reauthentication import Matter
from services.session.domain.stages import Stage
from services.session.flows import Flows
from services.session.flows.outcomes import (
    LoginNeeded,
    Misfit,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    StageNeeded,
    Standing,
    Throttled,
    Unsent,
    Visit,
)
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.paths import own_path, path_of
from services.session.pages.site import Site

STAGE_PAGES = {
    Stage.LOGIN_BY_CODE: "account_confirm_login_code",
    Stage.VERIFY_EMAIL: "account_email_verification_sent",
    Stage.MFA_AUTHENTICATE: "mfa_authenticate",
    Stage.MFA_TRUST: "mfa_trust",
    Stage.MFA_SIGNUP_WEBAUTHN: "mfa_signup_webauthn",
}
UNSENT = Fault(code="mail_not_sent", message="No other mail was sent.")


@dataclass(frozen=True, kw_only=True)
class Call:
    """Who asks for which page (`path`), and what they have typed.

    `parts` are what stands in the path, `query` what stands behind it.
    """

    flows: Flows
    visit: Visit
    site: Site
    path: str
    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def next(self) -> str | None:
        """Where the person was going: a path of this site, or None."""
        return own_path(self.form.get("next") or self.query.get("next"))

    @property
    def here(self) -> str:
        """This page, with what stands behind its path as far as it leads somewhere."""
        by = self.query.get("by")
        return self.path if by is None or not by.isalnum() else f"{self.path}?by={by}"

    def read(self, *takes: fields.Text) -> tuple[dict[str, str], list[Fault]]:
        """Return what was typed and is right, by name, and what is wrong with the rest."""
        return fields.read(takes, self.form)

    def url(self, name: str, **parts: str) -> str:
        """Return the path of a page that keeps in mind where the person was going."""
        return path_of(name, query={"next": self.next}, **parts)


Handler = Callable[[Call], Awaitable[Answer]]


def standing(call: Call, visit: Visit) -> str:
    """Return where somebody goes on: to what they wanted, or to what is missing before that."""
    if visit.authenticated:
        return call.next or call.site.home
    if visit.pending is not None:
        return call.url(STAGE_PAGES[visit.pending])
    return call.url("account_login")


def settle(call: Call, outcome: Outcome, again: Show, done: GoTo | None = None) -> Answer:
    """Return where an outcome leads: on, to what has to be done first, or to the page `again`.

    What is done leads to `done`, or to where the visitor stands then.
    """
    match outcome:
        case Refused(faults=faults, retry_after=retry_after):
            return replace(again.refused(faults, retry_after), outcome=outcome)
        case Throttled(retry_after=retry_after):
            return again.throttled(retry_after)
        case Unsent():
            return again.refused([UNSENT])
        case ReauthenticationNeeded(methods=methods):
            by = "".join(sorted(method.value[0] for method in methods))
            query = {"next": call.here, "as": by}
            return GoTo(url=path_of("account_reauthenticate", query=query))
        case Misfit() | LoginNeeded() | StageNeeded():
            return _elsewhere(call, outcome, again)
        case Standing(visit=visit):
            on = standing(call, visit)
            return replace(done, outcome=outcome) if done else GoTo(url=on, outcome=outcome)
        case _:
            return replace(done or GoTo(url=standing(call, call.visit)), outcome=outcome)


def barred(call: Call, access: Access) -> GoTo | None:
    """Return where somebody has to go who may not see a page, or None if they may."""
    if access is Access.LOGGED_OUT and call.visit.authenticated:
        return GoTo(url=call.next or call.site.home)
    outcome = call.flows.visits.admit(call.visit, access)
    if outcome is None:
        return None
    if access is Access.LOGGED_IN and call.visit.pending is None:
        wanted = None if call.here == call.site.home else call.here
        return GoTo(url=path_of("account_login", query={"next": wanted}))
    return _over(call, call.visit)


def gate(call: Call, matter: Matter) -> GoTo | None:
    """Return where somebody proves themselves first who is about to change something, or None."""
    needed = call.flows.reauthenticate.needed(call.visit, matter)
    if needed is None:
        return None
    answer = settle(call, needed, Show(template="error.html"))
    return answer if isinstance(answer, GoTo) else None


def _elsewhere(call: Call, outcome: Misfit | LoginNeeded | StageNeeded, again: Show) -> Answer:
    """Return where a step leads that does not fit: the page may have been open for long."""
    if isinstance(outcome, Misfit):
        return again.refused(outcome.faults) if outcome.faults else _over(call, call.visit)
    return replace(_over(call, outcome.visit), outcome=outcome)


def _over(call: Call, visit: Visit) -> GoTo:
    if visit.authenticated:
        return GoTo(url=call.next or call.site.home)
    if visit.pending is not None and path_of(STAGE_PAGES[visit.pending]) != call.path:
        return GoTo(url=standing(call, visit))
    return GoTo(url=call.url("account_login"), notice="over")
