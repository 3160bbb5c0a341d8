"""What can be set, and how what cannot work is told."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from services.session.main import edge_settings
from services.session.settings import Settings
from shared.errors import ConfigurationError
from shared.settings import load
from tests.session.house import RING
from tests.signers import Signer

SIGNER = Signer("session")


def settings(**values: object) -> Settings:
    given: dict[str, object] = {
        "session_database_url": "sqlite:///session.db",
        "session_sealing_keys": RING,
        "session_caller_key": SIGNER.key,
        "session_event_key": SIGNER.key,
        "event_keys": SIGNER.listed,
        "broker_url": "redis://127.0.0.1:1/0",
        "smtp_url": "smtp://localhost:2525",
        **values,
    }
    return Settings(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCOUNT_LOGIN_METHODS", "username"),
        ("ACCOUNT_SIGNUP_FIELDS", "email*,username*"),
        ("ACCOUNT_EMAIL_VERIFICATION", "optional"),
        ("ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED", "false"),
        ("ACCOUNT_REAUTHENTICATION_TIMEOUT", "1h"),
        ("MFA_SUPPORTED_TYPES", "totp,carrier_pigeon"),
        ("HEADLESS_CLIENTS", "app,fax"),
        ("HEADLESS_CLIENTS", "[]"),
        ("SESSION_COOKIE_SAMESITE", "sometimes"),
        ("CSRF_HEADER_NAME", "X-CSRFToken"),
        ("SESSION_COOKIE_AGE", "0"),
        ("TOTP_URL", "totp:8001"),
        ("PUBLIC_URL", "login.example.org"),
        ("PUBLIC_URL", "https://login.example.org:x"),
        ("DEFAULT_FROM_EMAIL", "webmaster"),
        ("DEFAULT_FROM_EMAIL", "a@b.example\r\nBcc: c@d.example"),
        ("ALLOWED_HOSTS", "login.example.org,https://example.org"),
        ("ALLOWED_HOSTS", "login.example.org:8000"),
        ("CSRF_TRUSTED_ORIGINS", "https://app.example.org,https://*.example.org"),
        ("CSRF_TRUSTED_ORIGINS", "https://app.example.org/"),
        ("CORS_ALLOWED_ORIGINS", "*"),
        ("CORS_ALLOWED_ORIGINS", "https://*.example.org"),
        ("CORS_ALLOWED_ORIGINS", "https://app.example.org/path"),
        ("CORS_ALLOWED_ORIGINS", "null"),
        ("SECURE_HSTS_SECONDS", "-1"),
        ("ACCOUNT_RATE_LIMITS", "5/m"),
        ("ACCOUNT_RATE_LIMITS", "[]"),
        ("ACCOUNT_RATE_LIMITS", '{"login": 30}'),
        ("ACCOUNT_RATE_LIMITS", '{"login": "30/m/user"}'),
        ("ACCOUNT_RATE_LIMITS", '{"fax": "5/m"}'),
        ("MFA_SUPPORTED_TYPES", "totp,pigeon"),
        ("MFA_PASSKEY_LOGIN_ENABLED", "true"),  # without passkeys
        ("WEBAUTHN_URL", "webauthn:8004"),
        ("MFA_RATE_LIMITS", "false"),
        ("MFA_RATE_LIMITS", '{"second_factor": null}'),
        ("MAIL_TEMPLATES_DIR", "/nowhere/at/all"),
        ("ALLAUTH_TRUSTED_CLIENT_IP_HEADER", "X-Real-IP:"),
        ("SESSION_COOKIE_NAME", "session id"),
        ("CSRF_COOKIE_NAME", "csrf=token"),
    ],
)
def test_what_is_not_supported_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    assert any(problem.startswith(f"{name}:") for problem in raised.value.problems)


def test_everything_that_cannot_work_is_told_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """N8, N11: each in one sentence that names its variable, missing keys among them."""
    wrong = {
        "PUBLIC_URL": "login.example.org",
        "TOTP_URL": "totp",
        "DEFAULT_FROM_EMAIL": "nobody",
        "ALLOWED_HOSTS": "https://example.org",
        "CSRF_TRUSTED_ORIGINS": "example.org",
        "ALLAUTH_TRUSTED_CLIENT_IP_HEADER": "a header",
        "SESSION_COOKIE_NAME": "__Host-sessionid",
        "SESSION_COOKIE_SECURE": "false",
        "CSRF_COOKIE_NAME": "csrf;token",
        "CSRF_COOKIE_SAMESITE": "none",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    told = [problem.partition(":")[0] for problem in raised.value.problems if ":" in problem]
    assert sorted(told) == sorted([*wrong.keys() - {"SESSION_COOKIE_SECURE"}, "SMTP_URL"])
    assert any(p.startswith("SESSION_SEALING_KEYS is not set") for p in raised.value.problems)


def test_without_a_mail_server_it_starts_in_development_alone() -> None:
    """D1: no code lies readable on a production machine because a setting was forgotten."""
    with pytest.raises(ValidationError, match="COUNTERSIGN_DEVELOPMENT") as raised:
        settings(smtp_url=None)

    assert [error["loc"] for error in raised.value.errors()] == [("smtp_url",)]
    assert settings(smtp_url=None, countersign_development=True).smtp_url is None


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("__Host-sessionid", {"session_cookie_secure": False}),
        ("__Host-sessionid", {"session_cookie_path": "/a"}),
        ("__Host-sessionid", {"session_cookie_domain": "example.org"}),
        ("__Secure-sessionid", {"session_cookie_secure": False}),
        ("sessionid", {"session_cookie_secure": False, "session_cookie_samesite": "none"}),
    ],
)
def test_a_cookie_that_browsers_would_drop_is_refused(
    name: str, changes: dict[str, object]
) -> None:
    """N8: the prefixes' conditions hold, or the service says so at its start."""
    https = "https://login.example.org"
    assert settings(public_url=https, session_cookie_name=name).session_cookie_name == name

    with pytest.raises(ValidationError, match="browsers refuse"):
        settings(public_url=https, session_cookie_name=name, **changes)


@pytest.mark.parametrize(
    "hosts", ["*", "login.example.org", ".example.org", "localhost,[2001:db8::1],127.0.0.1"]
)
def test_hosts_are_told_as_django_has_them(hosts: str) -> None:
    assert settings(allowed_hosts=hosts).allowed_hosts == tuple(hosts.split(","))


@pytest.mark.parametrize("sender", ["webmaster@localhost", "Countersign <no-reply@example.com>"])
def test_a_sender_may_have_a_name(sender: str) -> None:
    assert settings(default_from_email=sender).default_from_email == sender


def test_settings_are_carried_over_from_django_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "ACCOUNT_LOGIN_METHODS": "email",
        "ACCOUNT_SIGNUP_FIELDS": "email*,password1*",
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_AGE": "1209600",
        "CSRF_HEADER_NAME": "HTTP_X_CSRFTOKEN",
        "HEADLESS_CLIENTS": '["app"]',
    }.items():
        monkeypatch.setenv(name, value)
    outside = edge_settings(settings())

    assert outside.session_cookie.samesite == "strict"
    assert outside.session_cookie.age == timedelta(days=14)
    assert outside.csrf_header == "x-csrftoken"
    assert outside.clients == {"app"}


@pytest.mark.parametrize(("url", "secure"), [("https://id.example", True), ("http://x", False)])
def test_cookies_are_secure_where_people_come_by_https(url: str, secure: bool) -> None:
    """N8: unless it is said otherwise."""
    by_default = edge_settings(settings(public_url=url))
    insisted = edge_settings(settings(public_url=url, session_cookie_secure=True))

    assert by_default.session_cookie.secure is by_default.csrf_cookie.secure is secure
    assert insisted.session_cookie.secure


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "https://localhost"],
)
def test_development_is_for_this_machine(url: str) -> None:
    """D6: where the mails of everybody are shown."""
    assert settings(public_url=url, countersign_development=True).public_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example",
        "http://192.0.2.1:8000",
        "http://localhost.id.example",
        "http://0.0.0.0",
    ],
)
def test_development_is_for_no_public_address(url: str) -> None:
    """D6: it is refused at the start, in a plain sentence."""
    with pytest.raises(ValidationError, match="on this machine with COUNTERSIGN_DEVELOPMENT"):
        settings(public_url=url, countersign_development=True)
    assert settings(public_url=url).public_url == url


def test_no_secret_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: neither in a representation, nor in a problem."""
    own = settings(
        session_database_url="postgresql://u:hunter2@db/x", smtp_url="smtps://u:hunter2@mail"
    )
    monkeypatch.setenv("SESSION_SEALING_KEYS", "hunter2")
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    assert "hunter2" not in repr(own) + str(raised.value)


@pytest.mark.parametrize(
    ("told", "age"),
    [(None, True), ("None", True), ("True", True), ("False", False)],
)
def test_a_session_outlives_the_browser_unless_it_is_not_to_be_remembered(
    monkeypatch: pytest.MonkeyPatch, told: str | None, age: bool
) -> None:
    if told is not None:
        monkeypatch.setenv("ACCOUNT_SESSION_REMEMBER", told)
    outside = edge_settings(settings())

    assert outside.session_cookie.age == (timedelta(days=14) if age else None)
    assert outside.csrf_cookie.age == timedelta(days=364)


def test_who_signs_up_by_passkey_has_to_be_able_to_come_back() -> None:
    """Without a password, and without login by passkey, there would be no way in."""
    keys = {"mfa_supported_types": "totp,webauthn"}
    with pytest.raises(ValidationError, match="needs MFA_PASSKEY_LOGIN_ENABLED"):
        settings(**keys, mfa_passkey_signup_enabled=True)

    both = {"mfa_passkey_login_enabled": True, "mfa_passkey_signup_enabled": True}
    assert settings(**keys, **both).mfa_passkey_signup_enabled


@pytest.mark.parametrize(
    ("types", "needed"),
    [
        ("totp", {"totp"}),
        ("recovery_codes,totp", {"recovery", "totp"}),
        ("webauthn", {"webauthn"}),
    ],
)
def test_only_the_factors_that_are_offered_are_called(types: str, needed: set[str]) -> None:
    assert settings(mfa_supported_types=types).factor_urls.keys() == needed


@pytest.mark.parametrize("enabled", [True, False])
def test_login_by_passkey_is_offered_where_it_is_enabled(enabled: bool) -> None:
    offered = settings(mfa_supported_types="webauthn", mfa_passkey_login_enabled=enabled)

    assert ("mfa_login_webauthn" in edge_settings(offered).ways) is enabled
