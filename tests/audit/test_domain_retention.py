"""What is kept for how long is told by patterns, and what was dropped by statements on record."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from countersign_events.types import TYPES
from services.audit.domain.outcome import Outcome, outcome_of
from services.audit.domain.retention import Statement, covered, due, is_pattern, matches, stated

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
TODAY = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("pattern", "type", "fits"),
    [
        ("mfa.totp.accepted", "mfa.totp.accepted", True),
        ("mfa.totp.accepted", "mfa.totp.accepted_", False),
        ("mfa.*.failed", "mfa.totp.failed", True),
        ("mfa.*", "mfa.session.logged_in", True),
        ("mfa.*failed", "mfa.session.login_failed", True),
        ("mfa.*", "mfa.audit.events_due", False),
    ],
)
def test_a_pattern_names_types(pattern: str, type: str, fits: bool) -> None:
    assert matches(pattern, type) is fits


@pytest.mark.parametrize("text", ["", "totp", "mfa", "mfa.", "mfa.A", "mfa.audit.*", "mfa.totp.%"])
def test_what_names_no_type_is_no_pattern(text: str) -> None:
    assert not is_pattern(text)


def test_the_first_pattern_that_fits_counts() -> None:
    policy = {"mfa.totp.*": 30 * DAY, "mfa.*": 2 * DAY}
    oldest = dict.fromkeys(("mfa.totp.failed", "mfa.session.logged_in"), TODAY - 10 * DAY)

    assert due(policy, oldest, NOW) == [Statement("mfa.session.logged_in", TODAY - 2 * DAY)]


def test_what_fits_none_is_kept() -> None:
    assert due({"mfa.totp.*": DAY}, {"mfa.session.logged_in": TODAY - 900 * DAY}, NOW) == []


def test_days_are_whole_so_that_each_is_stated_once() -> None:
    policy, oldest = {"mfa.*": DAY}, {"mfa.totp.failed": TODAY - 3 * DAY}

    assert due(policy, oldest, NOW) == due(policy, oldest, NOW + timedelta(hours=11))


def test_a_statement_is_read_off_its_event() -> None:
    event = {"data": {"event_type": "mfa.totp.failed", "before": "2026-06-01T00:00:00.000000Z"}}
    statement = stated(json.dumps(event))

    assert statement == Statement("mfa.totp.failed", datetime(2026, 6, 1, tzinfo=UTC))
    assert stated('{"data":{}}') is None
    assert covered([statement], "mfa.totp.failed", datetime(2026, 5, 31, tzinfo=UTC))
    assert not covered([statement], "mfa.totp.failed", datetime(2026, 6, 1, tzinfo=UTC))
    assert not covered([statement], "mfa.totp.accepted", datetime(2026, 5, 31, tzinfo=UTC))


@pytest.mark.parametrize(
    ("type", "outcome"),
    [
        ("mfa.totp.failed", "failure"),
        ("mfa.session.login_failed", "failure"),
        ("mfa.recovery.trust_refused", "failure"),
        ("mfa.webauthn.clone_suspected", "failure"),
        ("mfa.session.mail_given_up", "failure"),
        ("mfa.session.refresh_token_reused", "failure"),
        ("mfa.session.login_limited", "failure"),
        ("mfa.totp.accepted", "success"),
        ("mfa.session.logged_in", "success"),
        ("mfa.session.unlimited", "success"),
    ],
)
def test_the_outcome_is_in_the_name(type: str, outcome: str) -> None:
    assert outcome_of(type) is Outcome(outcome)


SUCCESSES = (
    *("accepted", "activated", "added", "changed", "claimed", "confirmed", "created", "deleted"),
    *("disabled", "displaced", "due", "enabled", "ended", "erased", "forgotten", "generated"),
    *("given", "in", "low", "out", "reauthenticated", "reclaimed", "removed", "renamed"),
    *("repaired", "repeated", "replaced", "requested", "resealed", "resent", "reset", "revoked"),
    *("set", "signed_up", "started", "unlocked", "used", "verified", "viewed", "waived"),
)
"""How the names of types end that tell of no failure."""


@pytest.mark.parametrize("type", sorted(TYPES))
def test_no_type_of_the_catalogue_passes_for_a_success_unasked(type: str) -> None:
    """The filter, the colours and the chart go by it: whoever adds a word says what it means."""
    is_success = type.replace(".", "_").endswith(tuple(f"_{word}" for word in SUCCESSES))

    assert outcome_of(type) is (Outcome.SUCCESS if is_success else Outcome.FAILURE)
