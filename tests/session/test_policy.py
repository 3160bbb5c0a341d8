"""Every setting that rules flows arrives in `Policy`, and no field of it is without one."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

import pytest

from services.session.domain.factors import TYPES
from services.session.domain.limits import ACCOUNT_RATES, Per, Rate
from services.session.flows import Policy
from tests.session.test_api_settings import settings

PACKAGE = "django.contrib.auth.password_validation"
VALIDATORS = (
    f'[{{"NAME": "{PACKAGE}.MinimumLengthValidator", "OPTIONS": {{"min_length": 11}}}},'
    f' {{"NAME": "{PACKAGE}.UserAttributeSimilarityValidator",'
    ' "OPTIONS": {"max_similarity": 0.4}}]'
)

TABLE: dict[str, tuple[str, object, object]] = {
    "session_lifetime": ("session_cookie_age", "3d", timedelta(days=3)),
    "reauthentication.window": (
        "account_reauthentication_timeout",
        "7m",
        timedelta(minutes=7),
    ),
    "reauthentication.mfa": ("mfa_reauthentication_required", "false", False),
    "reauthentication.mfa_by_mfa": ("mfa_require_mfa_for_changes", "true", True),
    "passwords.rules.min_length": ("account_password_min_length", "13", 13),
    "passwords.rules.similarity": ("auth_password_validators", VALIDATORS, 0.4),
    "passwords.rules.refuse_common": ("auth_password_validators", VALIDATORS, False),
    "passwords.rules.refuse_numeric": ("auth_password_validators", VALIDATORS, False),
    "passwords.rules.common": ("auth_password_validators", VALIDATORS, frozenset()),
    "passwords.log_out": ("account_logout_on_password_change", "true", True),
    "tracking.activity": ("usersessions_track_activity", "true", True),
    "tracking.idle": ("session_idle_timeout", "1h", timedelta(hours=1)),
    "limits.account": (
        "account_rate_limits",
        "false",
        dict.fromkeys(ACCOUNT_RATES, ()),
    ),
    "limits.mfa": (
        "mfa_rate_limits",
        '{"second_factor": "7/h/user", "webauthn_login": "3/m", "webauthn_options": null}',
        {
            "second_factor": (Rate(7, timedelta(hours=1), Per.USER),),
            "webauthn_login": (Rate(3, timedelta(minutes=1), Per.IP),),
            "webauthn_options": (),
        },
    ),
    "authenticators": ("mfa_supported_types", "totp", ("totp",)),
    "site": ("public_url", "http://127.0.0.1:8000", "127.0.0.1"),
    "notifications": ("account_email_notifications", "false", False),
}
"""For each field of the policy: a setting, what is written there, and what has to arrive."""

LONGEST_OF_TWO = {"passwords.rules.min_length"}
"""Fields that more than one setting rules."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the fields of `value`, and those of the dataclasses in it, by their paths."""
    for field in fields(value):
        own, name = getattr(value, field.name), f"{path}{field.name}"
        if is_dataclass(own):
            yield from leaves(own, f"{name}.")
        else:
            yield name, own


def test_every_field_of_the_policy_has_its_row() -> None:
    """Whoever adds a field says here by which setting it is ruled."""
    assert {name for name, _ in leaves(Policy())} == TABLE.keys()


@pytest.mark.parametrize("name", TABLE)
def test_every_setting_arrives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting, written, expected = TABLE[name]
    before = dict(leaves(settings().policy))
    monkeypatch.setenv(setting.upper(), str(written))
    after = dict(leaves(settings().policy))

    assert after[name] == expected
    assert before[name] != expected, "the default would have passed, too"
    own = {path for path, row in TABLE.items() if row[0] == setting}
    others = after.keys() - own - LONGEST_OF_TWO
    assert {path: after[path] for path in others} == {path: before[path] for path in others}


def test_without_a_word_the_policy_is_the_default() -> None:
    """But for the list of common passwords, which flows are handed, and that keys are a choice."""
    every = settings(mfa_supported_types=",".join(TYPES))
    given, default = dict(leaves(every.policy)), dict(leaves(Policy()))
    for own in (given, default):
        own["authenticators"] = set(own["authenticators"])  # type: ignore[call-overload]

    assert len(given.pop("passwords.rules.common")) > 10_000  # type: ignore[arg-type]
    assert default.pop("passwords.rules.common") == frozenset()
    assert given == default
