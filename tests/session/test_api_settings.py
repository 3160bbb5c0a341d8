"""What can be set, and how what cannot work is told."""

from datetime import timedelta

import pytest

from services.session.main import create_app, edge_settings
from services.session.settings import Settings
from shared.errors import ConfigurationError
from shared.settings import load
from tests.session.house import RING, Signer

SIGNER = Signer("session")


def settings(**values: object) -> Settings:
    given: dict[str, object] = {
        "session_database_url": "sqlite:///session.db",
        "session_sealing_keys": RING,
        "session_caller_key": SIGNER.key,
        "session_event_key": SIGNER.key,
        "broker_url": "redis://127.0.0.1:1/0",
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
    ],
)
def test_what_is_not_supported_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    assert any(problem.startswith(f"{name}:") for problem in raised.value.problems)


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
    assert edge_settings(settings(public_url=url, countersign_development=True)).problems() == []


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
    with pytest.raises(ConfigurationError, match=r"COUNTERSIGN_DEVELOPMENT needs a PUBLIC_URL"):
        create_app(settings(public_url=url, countersign_development=True))
    assert edge_settings(settings(public_url=url)).problems() == []


def test_no_secret_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: neither in a representation, nor in a problem."""
    own = settings(
        session_database_url="postgresql://u:hunter2@db/x", smtp_url="smtps://u:hunter2@mail"
    )
    monkeypatch.setenv("SESSION_SEALING_KEYS", "hunter2")
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    assert "hunter2" not in repr(own) + str(raised.value)
