"""What can be set, and how what cannot work is told."""

from datetime import timedelta

import pytest
from pydantic import ValidationError
from starlette.responses import Response

from services.session.domain.identifiers import LoginMethod
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
        ("ACCOUNT_LOGIN_METHODS", "phone"),
        ("ACCOUNT_LOGIN_METHODS", "name"),
        ("ACCOUNT_LOGIN_METHODS", "[]"),
        ("ACCOUNT_SIGNUP_FIELDS", "email*,username*"),
        ("ACCOUNT_SIGNUP_FIELDS", "email*,password*"),
        ("ACCOUNT_SIGNUP_FIELDS", "email*,password1"),
        ("ACCOUNT_SIGNUP_FIELDS", "email*,email2*,password1*"),
        ("ACCOUNT_SIGNUP_FIELDS", "username*,password1*"),  # by which nobody logs in
        ("ACCOUNT_USERNAME_MIN_LENGTH", "0"),
        ("ACCOUNT_USERNAME_MIN_LENGTH", "151"),
        ("ACCOUNT_USERNAME_VALIDATORS", "site.validators"),
        ("ACCOUNT_EMAIL_VERIFICATION", "sometimes"),
        ("ACCOUNT_EMAIL_VERIFICATION_BY_CODE_FORMAT", '{"length": 5}'),
        ("ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT", "16m"),
        ("ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND", "often"),
        ("ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS", "0"),
        ("ACCOUNT_UNIQUE_EMAIL", "false"),
        ("ACCOUNT_MAX_EMAIL_ADDRESSES", "0"),
        ("ALLAUTH_USER_CODE_FORMAT", '{"alphabet": "abc"}'),
        ("ALLAUTH_USER_CODE_FORMAT", '{"numeric": "yes"}'),
        ("ALLAUTH_USER_CODE_FORMAT", '{"length": true}'),
        ("ALLAUTH_USER_CODE_FORMAT", "8"),
        ("HEADLESS_FRONTEND_URLS", "https://app.example.org/{key}"),
        ("HEADLESS_FRONTEND_URLS", '{"account_confirm_email": "https://app.example.org/"}'),
        ("HEADLESS_FRONTEND_URLS", '{"account_confirm_email": "https://{key}.example.org/"}'),
        ("HEADLESS_FRONTEND_URLS", '{"account_confirm_email": "javascript:alert({key})"}'),
        ("HEADLESS_FRONTEND_URLS", '{"account_confirm_email": "https://[/{key}"}'),
        ("HEADLESS_FRONTEND_URLS", '{"account_signup": "https://app.example.org/{key}"}'),
        ("HEADLESS_FRONTEND_URLS", '{"account_login": "https://app.example.org/"}'),
        ("HEADLESS_FRONTEND_URLS", '{"account_signup": 1}'),
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
        ("PAGES_TEMPLATES_DIR", "/nowhere/at/all"),
        ("PAGES_LOGO", "/nowhere/logo.svg"),
        ("PAGES_LOGO", "/etc/hostname"),
        ("PAGES_COLOUR", "blue"),
        ("PAGES_COLOUR", "#8fb0ff"),  # nobody could read it on white
        ("PAGES_COLOUR_DARK", "#2452c9"),
        ("PAGES_LINKS", '{"Help": "javascript:alert(1)"}'),
        ("PAGES_LINKS", '{"Help": 1}'),
        ("PAGES_LINKS", "Help"),
        ("LANGUAGES", "tlh"),
        ("LANGUAGE_CODE", "tlh"),
        ("LOGIN_REDIRECT_URL", "//evil.example/"),
        ("ACCOUNT_LOGOUT_REDIRECT_URL", "javascript:alert(1)"),
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


NAMELESS = "username*,email,password1*"
CONFIRM = '{"account_confirm_email": "/verify/{key}"}'


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"ACCOUNT_EMAIL_VERIFICATION": "optional"}, "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED"),
        ({"ACCOUNT_EMAIL_VERIFICATION": "none"}, "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED"),
        (
            {"ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED": "false", "HEADLESS_ONLY": "true"},
            "HEADLESS_FRONTEND_URLS",
        ),
        ({"LANGUAGES": "de,nl"}, "LANGUAGE_CODE"),
        ({"ACCOUNT_LOGIN_METHODS": "username"}, "ACCOUNT_SIGNUP_FIELDS"),
        (
            {
                "ACCOUNT_LOGIN_METHODS": "username,email",
                "ACCOUNT_SIGNUP_FIELDS": "email,username,password1*",
            },
            "ACCOUNT_SIGNUP_FIELDS",
        ),
        (
            {
                "ACCOUNT_LOGIN_METHODS": "username",
                "ACCOUNT_SIGNUP_FIELDS": "username*,email,password1*",
            },
            "ACCOUNT_EMAIL_VERIFICATION",
        ),
        (
            {
                "ACCOUNT_LOGIN_METHODS": "username",
                "ACCOUNT_SIGNUP_FIELDS": "username*,email,password1*",
                "ACCOUNT_LOGIN_BY_CODE_REQUIRED": "true",
            },
            "ACCOUNT_LOGIN_BY_CODE_REQUIRED",
        ),
        (
            {
                "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED": "false",
                "HEADLESS_FRONTEND_URLS": CONFIRM,
                "MFA_SUPPORTED_TYPES": "webauthn",
                "MFA_PASSKEY_LOGIN_ENABLED": "true",
                "MFA_PASSKEY_SIGNUP_ENABLED": "true",
            },
            "MFA_PASSKEY_SIGNUP_ENABLED",
        ),
        (
            {"ACCOUNT_CHANGE_EMAIL": "true", "ACCOUNT_MAX_EMAIL_ADDRESSES": "3"},
            "ACCOUNT_MAX_EMAIL_ADDRESSES",
        ),
    ],
)
def test_what_does_not_go_together_is_told(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], told: str
) -> None:
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    assert any(problem.startswith(f"{told}:") for problem in raised.value.problems)


def test_pages_without_a_host_are_on_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """N11: links are made of what is configured, never of what a request claims."""
    monkeypatch.setenv("HEADLESS_FRONTEND_URLS", CONFIRM)
    monkeypatch.setenv("ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED", "false")
    pages = settings(public_url="https://id.example.org").policy.pages

    assert pages.page_with("account_confirm_email", "a/b") == "https://id.example.org/verify/a%2Fb"
    assert pages.page("account_signup") == "https://id.example.org/accounts/signup/"
    alone = settings(public_url="https://id.example.org", headless_only=True).policy.pages
    assert alone.page("account_signup") is None


def test_by_link_mails_are_further_apart() -> None:
    """As in allauth: a link does for a while, a code does not."""
    by_link = {
        "account_email_verification_by_code_enabled": False,
        "headless_frontend_urls": CONFIRM,
    }

    def confirm(**values: object) -> str:
        rates = settings(**values).account_rate_limits["confirm_email"]
        return ",".join(map(str, rates))

    assert confirm() == "1/10s/key"
    assert confirm(**by_link) == "1/180s/key"
    assert confirm(**by_link, account_rate_limits='{"login": "9/m"}') == "1/180s/key"
    assert confirm(**by_link, account_rate_limits='{"confirm_email": "2/m/key"}') == "2/60s/key"


@pytest.mark.parametrize("what", ["resend", "change"])
@pytest.mark.parametrize(
    ("supports", "count", "times"), [("true", None, 2), ("true", "1", 1), ("false", "3", 3)]
)
def test_how_often_a_verification_is_sent_anew_or_goes_elsewhere(
    what: str, supports: str, count: str | None, times: int
) -> None:
    """By allauth's name, or by that of what it means."""
    given = {
        f"account_email_verification_supports_{what}": supports,
        f"account_email_verification_max_{what}_count": count,
    }
    chosen = settings(**given).policy.verification

    assert {"resend": chosen.codes.max_resends, "change": chosen.max_changes}[what] == times


def test_the_csrf_cookie_is_as_it_is_set() -> None:
    """N8: as Django names it; pages read it unless they are not to."""
    cookie = edge_settings(
        settings(
            csrf_cookie_age="2h",
            csrf_cookie_path="/login",
            csrf_cookie_secure=True,
            csrf_cookie_httponly=True,
        )
    ).csrf_cookie
    answer = Response()
    cookie.set(answer, "token")
    said = answer.headers["set-cookie"].lower()

    for attribute in ("path=/login", "max-age=7200", "secure", "httponly"):
        assert attribute in said
    plain = edge_settings(settings()).csrf_cookie
    assert (plain.path, plain.httponly, plain.secure) == ("/", False, False)


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


@pytest.mark.parametrize(("memory", "passes"), [(19455, 2), (47104, 0), (8, 100), (47103, 1)])
def test_hashes_that_are_guessed_are_for_development_alone(memory: int, passes: int) -> None:
    """Whatever is at least one of OWASP's choices may be made."""
    weak = {"password_hash_memory": memory, "password_hash_passes": passes}
    with pytest.raises(ValidationError) as raised:
        settings(**weak)

    assert [error["loc"] for error in raised.value.errors()] == [("password_hash_passes",)]
    assert settings(password_hash_memory=7168, password_hash_passes=5).password_hash_passes == 5
    if passes:
        assert settings(**weak, countersign_development=True).password_hash_memory == memory


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


def test_usernames_are_as_they_are_set() -> None:
    """Each setting of them has its effect; without one there are none."""
    assert settings().policy.usernames is None
    chosen = settings(
        account_login_methods="username,email",
        account_signup_fields="username*,email*,password1*,password2*",
        account_username_min_length=3,
        account_username_blacklist="Admin,ROOT",
        account_username_validators="ascii",
        account_preserve_username_casing=False,
    ).policy

    rules = chosen.usernames
    assert rules is not None
    assert chosen.signup_fields.names == ("username", "email")
    assert chosen.login_methods == set(LoginMethod)
    assert rules.parse("Ada") == "ada"
    assert [getattr(rules.parse(name), "code", None) for name in ("ab", "root", "\xe4da")] == [
        "min_length",
        "username_blacklisted",
        "invalid",
    ]


@pytest.mark.parametrize(
    ("chosen", "needed"),
    [
        ({}, True),
        ({"account_login_methods": "username", "account_signup_fields": NAMELESS}, False),
        ({"account_signup_fields": "email*,username,password1*"}, True),
        (
            {
                "account_login_methods": "username",
                "account_signup_fields": "email*,username*,password1*",
                "account_login_by_code_required": "true",
            },
            True,
        ),
    ],
)
def test_an_address_is_needed_where_people_log_in_by_it(
    chosen: dict[str, object], needed: bool
) -> None:
    unverified = {
        "account_email_verification": "none",
        "account_email_verification_by_code_enabled": False,
        "headless_frontend_urls": CONFIRM,
    }

    assert settings(**{**unverified, **chosen}).policy.needs_address == needed
