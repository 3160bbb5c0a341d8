"""What has happened to an account lately, as the ledger has it, with a small chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from services.session.domain.access import Access
from services.session.flows.history import Past
from services.session.gateway.catalogs import marked
from services.session.pages.answers import Answer, Show
from services.session.pages.call import Call, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of
from shared.history import PastEvent

DAYS = 14  # shown in the chart
WIDTH, HEIGHT, GAP = 560, 84, 6  # of the chart, in its own units
FAILURE = "failure"

WORDS: Mapping[str, str] = {
    "mfa.session.signed_up": marked("Account created"),
    "mfa.session.signup_repeated": marked("Sign-up with your address"),
    "mfa.session.user_created": marked("Account created for you"),
    "mfa.session.login_started": marked("Login begun"),
    "mfa.session.logged_in": marked("Logged in"),
    "mfa.session.logged_out": marked("Logged out"),
    "mfa.session.login_failed": marked("Login with something wrong"),
    "mfa.session.login_limited": marked("Login refused, after too many tries"),
    "mfa.session.login_code_requested": marked("Login code asked for"),
    "mfa.session.login_code_failed": marked("Wrong login code"),
    "mfa.session.second_factor_failed": marked("Wrong second step"),
    "mfa.session.second_factor_limited": marked("Second step refused, after too many tries"),
    "mfa.session.reauthenticated": marked("Proved who you are"),
    "mfa.session.reauthentication_failed": marked("Failed to prove who you are"),
    "mfa.session.reauthentication_limited": marked(
        "Proof of who you are refused, after too many tries"
    ),
    "mfa.session.key_options_limited": marked("New keys refused, after too many tries"),
    "mfa.session.password_changed": marked("Password changed"),
    "mfa.session.password_set": marked("Password set"),
    "mfa.session.password_change_failed": marked("Wrong current password, at a change of it"),
    "mfa.session.password_change_limited": marked(
        "Change of password refused, after too many tries"
    ),
    "mfa.session.password_reset": marked("Password reset by mail"),
    "mfa.session.password_reset_requested": marked("New password asked for"),
    "mfa.session.password_reset_limited": marked("New password refused, after too many tries"),
    "mfa.session.email_claimed": marked("Email address given, to be verified"),
    "mfa.session.email_verified": marked("Email address verified"),
    "mfa.session.email_verification_failed": marked("Wrong code for an email address"),
    "mfa.session.email_added": marked("Email address added"),
    "mfa.session.email_removed": marked("Email address removed"),
    "mfa.session.primary_email_changed": marked("Main address changed"),
    "mfa.session.email_limited": marked("Change of email addresses refused, after too many tries"),
    "mfa.session.email_refused": marked("Email address refused: another account has it"),
    "mfa.session.authenticator_added": marked("Second step added"),
    "mfa.session.authenticator_removed": marked("Second step removed"),
    "mfa.session.authenticator_replaced": marked("Recovery codes made anew"),
    "mfa.session.session_ended": marked("Session ended"),
    "mfa.session.sessions_ended": marked("All sessions ended"),
    "mfa.session.refresh_token_reused": marked("Copied app session found, and ended"),
    "mfa.session.user_disabled": marked("Account disabled by an operator"),
    "mfa.session.user_enabled": marked("Account enabled again by an operator"),
    "mfa.session.user_unlocked": marked("Failed tries forgiven by an operator"),
    "mfa.session.user_sessions_ended": marked("Sessions ended by an operator"),
    "mfa.session.user_trust_revoked": marked("Trust in browsers ended by an operator"),
    "mfa.session.second_factor_reset": marked("All second steps removed by an operator"),
    "mfa.recovery.trust_given": marked("Browser trusted"),
    "mfa.recovery.codes_viewed": marked("Recovery codes shown"),
    "mfa.recovery.code_accepted": marked("Recovery code used"),
    "mfa.recovery.codes_low": marked("Few recovery codes left"),
    "mfa.recovery.trust_revoked": marked("Browser trusted no more"),
    "mfa.recovery.trust_replayed": marked("Copied trust in a browser found, and ended"),
    "mfa.webauthn.clone_suspected": marked("A key may have been copied"),
    "mfa.webauthn.renamed": marked("Key renamed"),
}
"""What is said of the facts that people can do something with. Of others nothing is shown."""

pages = Pages()


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A day in the chart: two bars, one on the other, where they are and how high."""

    day: date
    good: int
    bad: int
    x: float
    width: float
    good_height: float
    bad_height: float


@pages.get("account_activity", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show what has happened."""
    before = call.query.get("before", "")
    entry = int(before) if before.isdecimal() and len(before) < 19 else None  # noqa: PLR2004
    outcome = await call.flows.history.show(call.visit, before=entry)
    if not isinstance(outcome, Past):
        return settle(call, outcome, Show(template="error.html"))
    events = [event for event in outcome.events if event.type in WORDS]
    last = outcome.events[-1].entry if outcome.is_full else None
    facts = {
        "events": events,
        "words": WORDS,
        "bars": bars(events, outcome.at) if entry is None else [],
        "height": HEIGHT,
        "width": WIDTH,
        "older": None if last is None else path_of("account_activity", query={"before": str(last)}),
    }
    return Show(template="activity.html", facts=facts)


def bars(events: Sequence[PastEvent], now: datetime) -> list[Bar]:
    """Return the last days, the oldest first, with what went well and what did not on each."""
    days = [(now - timedelta(days=back)).date() for back in reversed(range(DAYS))]
    good, bad = dict.fromkeys(days, 0), dict.fromkeys(days, 0)
    for event in events:
        day = datetime.fromtimestamp(event.occurred_at, UTC).date()
        if day in good:
            counted = bad if event.outcome == FAILURE else good
            counted[day] += 1
    most = max((good[day] + bad[day] for day in days), default=0) or 1
    step = WIDTH / DAYS
    return [
        Bar(
            day=day,
            good=good[day],
            bad=bad[day],
            x=place * step + GAP / 2,
            width=step - GAP,
            good_height=HEIGHT * good[day] / most,
            bad_height=HEIGHT * bad[day] / most,
        )
        for place, day in enumerate(days)
    ]
