"""The chart of what has happened, and the words for it."""

from datetime import UTC, datetime, timedelta

from countersign_events.types import TYPES
from services.session.pages.activity import DAYS, HEIGHT, WIDTH, WORDS, bars
from shared.history import PastEvent

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


def past(*, days: float = 0, outcome: str = "success") -> PastEvent:
    """Return something that happened so many days ago."""
    at = NOW - timedelta(days=days)
    kind = "mfa.session.logged_in"
    return PastEvent(entry=1, type=kind, occurred_at=at.timestamp(), outcome=outcome)


def test_each_of_the_last_days_has_its_bar() -> None:
    found = bars([past(), past(), past(days=1, outcome="failure"), past(days=DAYS + 1)], NOW)

    assert len(found) == DAYS
    assert found[-1].day == NOW.date()
    assert [(bar.good, bar.bad) for bar in found[-3:]] == [(0, 0), (0, 1), (2, 0)]
    assert (found[-1].good_height, found[-2].bad_height) == (HEIGHT, HEIGHT / 2)
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in found)


def test_nothing_makes_a_chart_without_bars() -> None:
    assert all(bar.good_height == bar.bad_height == 0 for bar in bars([], NOW))


UNSHOWN = {
    "it is about nobody, or about an account that nobody is in": {
        "mfa.session.account_displaced",
        "mfa.session.account_reclaimed",
        "mfa.session.password_reset_failed",
        "mfa.session.signup_address_changed",
        "mfa.session.signup_limited",
        "mfa.session.user_deleted",
        "mfa.session.user_erased",
        "mfa.session.user_erasure_waived",
        "mfa.session.username_refused",
        "mfa.audit.person_forgotten",
    },
    "session tells it of what the factor says": {
        "mfa.recovery.code_failed",
        "mfa.recovery.code_replayed",
        "mfa.recovery.codes_generated",
        "mfa.recovery.codes_removed",
        "mfa.totp.accepted",
        "mfa.totp.activated",
        "mfa.totp.activation_failed",
        "mfa.totp.failed",
        "mfa.totp.removed",
        "mfa.totp.replayed",
        "mfa.webauthn.accepted",
        "mfa.webauthn.activated",
        "mfa.webauthn.activation_failed",
        "mfa.webauthn.failed",
        "mfa.webauthn.removed",
    },
    "another line says so much, or will": {
        "mfa.recovery.codes_confirmed",
        "mfa.recovery.trust_refused",
        "mfa.recovery.trust_used",
        "mfa.session.email_verification_resent",
        "mfa.session.login_code_resent",
        "mfa.totp.enrolment_started",
        "mfa.webauthn.enrolment_started",
    },
    "it is for the operator to mend": {
        "mfa.audit.events_due",
        "mfa.audit.resealed",
        "mfa.audit.resealing_started",
        "mfa.recovery.resealed",
        "mfa.recovery.resealing_started",
        "mfa.session.activation_abandoned",
        "mfa.session.mail_given_up",
        "mfa.session.register_repaired",
        "mfa.session.resealed",
        "mfa.session.resealing_started",
        "mfa.totp.resealed",
        "mfa.totp.resealing_started",
    },
}
"""Of which facts people are shown nothing, by why."""


def test_of_every_fact_it_is_settled_whether_people_are_shown_it() -> None:
    """Whoever adds a type of event says what people read of it, or why they do not."""
    unshown = [kind for kinds in UNSHOWN.values() for kind in kinds]

    assert sorted([*WORDS, *unshown]) == sorted(TYPES)
