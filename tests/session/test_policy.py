"""Every setting that rules flows arrives in `Policy`, and no field of it is without one."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

import pytest

from services.session.domain.factors import TYPES
from services.session.domain.identifiers import LoginMethod
from services.session.domain.limits import ACCOUNT_RATES, Per, Rate
from services.session.domain.methods import MethodKind
from services.session.domain.usernames import Alphabet, UsernameRules
from services.session.domain.verification import Verified
from services.session.flows import Policy
from tests.session.test_api_settings import settings
from tests.session.tokens import private_pem, rules

PACKAGE = "django.contrib.auth.password_validation"
VALIDATORS = (
    f'[{{"NAME": "{PACKAGE}.MinimumLengthValidator", "OPTIONS": {{"min_length": 11}}}},'
    f' {{"NAME": "{PACKAGE}.UserAttributeSimilarityValidator",'
    ' "OPTIONS": {"max_similarity": 0.4}}]'
)

SIGNUP = '{"account_signup": "https://app.example.org/signup"}'

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
    "verification.when": ("account_email_verification", "optional", Verified.OPTIONAL),
    "verification.by_code": ("account_email_verification_by_code_enabled", "false", False),
    "verification.codes.format.numeric": (
        "account_email_verification_by_code_format",
        '{"numeric": true}',
        True,
    ),
    "verification.codes.format.length": (
        "account_email_verification_by_code_format",
        '{"length": 12}',
        12,
    ),
    "verification.codes.format.dashed": (
        "account_email_verification_by_code_format",
        '{"dashed": false}',
        False,
    ),
    "verification.codes.max_failures": (
        "account_email_verification_by_code_max_attempts",
        "5",
        5,
    ),
    "verification.codes.lifetime": (
        "account_email_verification_by_code_timeout",
        "4m",
        timedelta(minutes=4),
    ),
    "verification.codes.max_resends": ("account_email_verification_supports_resend", "true", 2),
    "verification.max_changes": ("account_email_verification_supports_change", "true", 2),
    "verification.link_lifetime": (
        "account_email_confirmation_expire_days",
        "7",
        timedelta(days=7),
    ),
    "verification.login_by_link": ("account_login_on_email_confirmation", "true", True),
    "verification.unverified_may_enrol": ("mfa_allow_unverified_email", "true", True),
    "addresses.most": ("account_max_email_addresses", "5", 5),
    "addresses.replaces": ("account_change_email", "true", True),
    "reauthentication.account": ("account_reauthentication_required", "true", True),
    "tokens.issuer": ("public_url", "http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
    "tokens.audience": ("headless_jwt_audience", "api,files", ("api", "files")),
    "tokens.access_lifetime": (
        "headless_jwt_access_token_expires_in",
        "7m",
        timedelta(minutes=7),
    ),
    "tokens.refresh_lifetime": (
        "headless_jwt_refresh_token_expires_in",
        "3d",
        timedelta(days=3),
    ),
    "tokens.rotates": ("headless_jwt_rotate_refresh_token", "false", False),
    "tokens.stateful": ("headless_jwt_stateful_validation_enabled", "true", True),
    "authenticators": ("mfa_supported_types", "totp", ("totp",)),
    "site": ("public_url", "http://127.0.0.1:8000", "127.0.0.1"),
    "password_resets.by_code": ("account_password_reset_by_code_enabled", "true", True),
    "password_resets.format.numeric": (
        "account_password_reset_by_code_format",
        '{"numeric": true}',
        True,
    ),
    "password_resets.format.length": (
        "account_password_reset_by_code_format",
        '{"length": 12}',
        12,
    ),
    "password_resets.format.dashed": (
        "account_password_reset_by_code_format",
        '{"dashed": false}',
        False,
    ),
    "password_resets.max_failures": ("account_password_reset_by_code_max_attempts", "5", 5),
    "password_resets.lifetime": (
        "account_password_reset_by_code_timeout",
        "4m",
        timedelta(minutes=4),
    ),
    "password_resets.link_lifetime": ("password_reset_timeout", "2h", timedelta(hours=2)),
    "password_resets.logs_in": ("account_login_on_password_reset", "true", True),
    "login_by_code.codes.format.numeric": (
        "account_login_by_code_format",
        '{"numeric": true}',
        True,
    ),
    "login_by_code.codes.format.length": (
        "account_login_by_code_format",
        '{"length": 12}',
        12,
    ),
    "login_by_code.codes.format.dashed": (
        "account_login_by_code_format",
        '{"dashed": false}',
        False,
    ),
    "login_by_code.codes.max_failures": ("account_login_by_code_max_attempts", "5", 5),
    "login_by_code.codes.lifetime": (
        "account_login_by_code_timeout",
        "4m",
        timedelta(minutes=4),
    ),
    "login_by_code.codes.max_resends": ("account_login_by_code_supports_resend", "true", 2),
    "login_by_code.required": (
        "account_login_by_code_required",
        "password",
        frozenset({MethodKind.PASSWORD}),
    ),
    "login_by_code.trusts": ("account_login_by_code_trust_enabled", "true", True),
    "trusts_second_factors": ("mfa_trust_enabled", "true", True),
    "pages.urls": ("headless_frontend_urls", SIGNUP, json.loads(SIGNUP)),
    "login_lifetime": ("account_login_timeout", "4m", timedelta(minutes=4)),
    "prevent_enumeration": ("account_prevent_enumeration", "false", False),
    "email_unknown_accounts": ("account_email_unknown_accounts", "false", False),
    "notifications": ("account_email_notifications", "false", False),
    "signup_fields.names": (
        "account_signup_fields",
        "username*,email*,password1*",
        ("username", "email"),
    ),
    "signup_fields.required": (
        "account_signup_fields",
        "username,email*,password1*",
        frozenset({"email"}),
    ),
    "usernames.min_length": ("account_username_min_length", "3", 3),
    "usernames.blacklist": ("account_username_blacklist", "Root", frozenset({"root"})),
    "usernames.alphabet": ("account_username_validators", "ascii", Alphabet.ASCII),
    "usernames.preserves_casing": ("account_preserve_username_casing", "false", False),
    "login_methods": (
        "account_login_methods",
        "email,username",
        frozenset({LoginMethod.EMAIL, LoginMethod.USERNAME}),
    ),
}
"""For each field of the policy: a setting, what is written there, and what has to arrive."""

BY_LINK = {
    "account_email_verification_by_code_enabled": "false",
    "headless_frontend_urls": '{"account_confirm_email": "https://app.example.org/{key}"}',
}
BY_JWT = {"headless_token_strategy": "jwt", "headless_jwt_private_key": private_pem()}
WITH_NAMES = {"account_signup_fields": "email*,username*,password1*"}
BESIDES: dict[str, dict[str, str]] = {
    **{name: WITH_NAMES for name in TABLE if name.startswith(("signup_fields.", "usernames."))},
    "login_methods": WITH_NAMES,
    **{name: BY_JWT for name in TABLE if name.startswith("tokens.")},
    "verification.when": BY_LINK,
    "verification.by_code": {
        "headless_frontend_urls": BY_LINK["headless_frontend_urls"],
        "account_rate_limits": '{"confirm_email": "1/10s/key"}',
    },
}
"""What has to be set besides, before and after."""

LONGEST_OF_TWO = {"passwords.rules.min_length"}
"""Fields that more than one setting rules."""


READ_ANEW = {"tokens.keys.signing.key"}
"""Fields that equal nothing but themselves; the key's public half stands beside it."""


@pytest.fixture(autouse=True)
def no_pages_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours have addresses that follow from others."""
    monkeypatch.setenv("HEADLESS_ONLY", "true")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the fields of `value`, and those of the dataclasses in it, by their paths."""
    for field in fields(value):
        own, name = getattr(value, field.name), f"{path}{field.name}"
        if is_dataclass(own):
            yield from leaves(own, f"{name}.")
        else:
            yield name, own


def test_every_field_of_the_policy_has_its_row() -> None:
    """Whoever adds a field says here by which setting it is ruled.

    What keys there are is not told by one: see `test_tokens_settings`.
    """
    fields = {name for name, _ in leaves(Policy(tokens=rules(), usernames=UsernameRules()))}
    assert {name for name in fields if not name.startswith("tokens.keys.")} == TABLE.keys()


@pytest.mark.parametrize("name", TABLE)
def test_every_setting_arrives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting, written, expected = TABLE[name]
    for other, value in BESIDES.get(name, {}).items():
        monkeypatch.setenv(other.upper(), value)
    before = dict(leaves(settings().policy))
    monkeypatch.setenv(setting.upper(), str(written))
    after = dict(leaves(settings().policy))

    assert after[name] == expected
    assert before[name] != expected, "the default would have passed, too"
    own = {path for path, row in TABLE.items() if row[0] == setting}
    others = after.keys() - own - LONGEST_OF_TWO - READ_ANEW
    assert {path: after[path] for path in others} == {path: before[path] for path in others}


def test_without_a_word_the_policy_is_the_default() -> None:
    """But for the list of common passwords, which flows are handed, and that keys are a choice."""
    every = settings(mfa_supported_types=",".join(TYPES), mfa_trust_enabled=True)
    given, default = dict(leaves(every.policy)), dict(leaves(Policy()))
    for own in (given, default):
        own["authenticators"] = set(own["authenticators"])  # type: ignore[call-overload]

    assert len(given.pop("passwords.rules.common")) > 10_000  # type: ignore[arg-type]
    assert default.pop("passwords.rules.common") == frozenset()
    assert given == default
