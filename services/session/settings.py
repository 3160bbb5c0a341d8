"""What can be set for the session service."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from services.session.api.browser import origin_of
from services.session.domain.factors import (
    KINDS,
    RECOVERY_CODES,
    TOTP,
    TYPES,
    WEBAUTHN,
    service_of,
)
from services.session.domain.hosts import is_loopback
from services.session.domain.limits import (
    ABSENT,
    ACCOUNT_RATES,
    MFA_RATES,
    Limits,
    Rate,
    check_rates,
)
from services.session.domain.password_settings import DEFAULT_VALIDATORS, parse_validators
from services.session.domain.passwords import MIN_LENGTH, PasswordRules
from services.session.flows import PasswordPolicy, Policy, Reauthentication, Tracking
from services.session.gateway.common_passwords import common_passwords
from services.session.gateway.postbox import smtp_problems
from services.session.gateway.templates import template_problems
from shared.settings import (
    BrokerUrl,
    CommaList,
    CommaSet,
    DatabaseUrl,
    Duration,
    KeyRing,
    PrivateKey,
    PublicKeys,
    ServiceSettings,
)

LOGIN_METHODS = frozenset({"email"})
SIGNUP_FIELDS = ("email*", "password1*")
SUPPORTED_TYPES = (RECOVERY_CODES, TOTP)
CLIENTS = frozenset({"app", "browser"})

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110 section 5.6.2)
FACTOR = re.compile(r"[a-z][a-z0-9_]{0,31}")
HOST = re.compile(r"\*|\.?[\w-]+(\.[\w-]+)*|\[[0-9a-f:.]+\]", re.ASCII | re.IGNORECASE)


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _none(value: object) -> object:
    return None if value == "None" else value


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("must be a name of letters, digits and signs that HTTP knows no use for")
    return value


def _http_url(value: str) -> str:
    if origin_of(value) is None:
        raise ValueError("must be an http or https URL with a host")
    return value


def _https_url(value: str) -> str:
    origin = origin_of(value)
    if origin is None or not (
        origin.startswith("https://") or is_loopback(urlsplit(origin).hostname or "")
    ):
        raise ValueError("must be an https URL with a host")
    return value


def _rates_over(defaults: Mapping[str, str]) -> PlainValidator:
    """Return what reads rates by action, laid over `defaults`."""

    def read(value: object) -> Mapping[str, tuple[Rate, ...]]:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValueError("must be a JSON object, or false") from None
        if value is False:
            value = dict.fromkeys(defaults)
        if not isinstance(value, Mapping):
            raise ValueError("must be a JSON object, or false")  # noqa: TRY004 - pydantic's kind
        if absent := sorted(value.keys() & ABSENT):
            raise ValueError(f"has {', '.join(absent)}, for which there is nothing to limit yet")
        if unknown := sorted(value.keys() - defaults.keys()):
            raise ValueError(f"has {', '.join(unknown)}, of {', '.join(defaults)} that there are")
        texts = {**defaults, **value}
        return {action: check_rates(action, _rate_text(text)) for action, text in texts.items()}

    return PlainValidator(read, json_schema_input_type=str)


def _rate_text(value: object) -> str:
    if value is None or value is False:
        return ""
    if not isinstance(value, str):
        raise ValueError("has a rate that is not a text such as `5/m/user`")  # noqa: TRY004
    return value


def _validators(value: object) -> PasswordRules:
    return value if isinstance(value, PasswordRules) else parse_validators(value)


# A factor is called by its type, with tokens that are good there: never those of another service.
OURS = frozenset({*TYPES, *(kind.service for kind in KINDS), "session", "audit"})


def _factor_urls(value: object) -> Mapping[str, str]:
    """Read addresses of factors by their types."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON object") from None
    if not isinstance(value, Mapping):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - pydantic's kind
    if unfit := [str(name) for name in value if not FACTOR.fullmatch(str(name))]:
        raise ValueError(f"has {', '.join(unfit)}, which is not 1 to 32 of a-z, 0-9 and _")
    if ours := sorted(value.keys() & OURS):
        raise ValueError(f"has {', '.join(ours)}, which is a name of ours")
    return MappingProxyType({name: _http_url(str(url)) for name, url in value.items()})


OtherFactors = Annotated[
    Mapping[str, str], PlainValidator(_factor_urls, json_schema_input_type=str)
]
NO_FACTORS: Any = "{}"  # as an operator writes it
Validators = Annotated[PasswordRules, PlainValidator(_validators, json_schema_input_type=str)]
Rates = Mapping[str, tuple[Rate, ...]]
AccountRates = Annotated[Rates, _rates_over(ACCOUNT_RATES)]
MfaRates = Annotated[Rates, _rates_over(MFA_RATES)]
DEFAULT_ACCOUNT_RATES: Any = json.dumps(ACCOUNT_RATES)  # as an operator writes them
DEFAULT_MFA_RATES: Any = json.dumps(MFA_RATES)
SameSite = Annotated[Literal["lax", "strict", "none"], BeforeValidator(_lower_case)]
Name = Annotated[str, AfterValidator(_name)]  # of a cookie (RFC 6265 section 4.1.1) or a header
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]


class Settings(ServiceSettings):
    """Read once, at start, by `main` and `worker`.

    Validators see the fields above their own: whatever depends on others comes after them.
    """

    session_database_url: DatabaseUrl = Field(
        description="The service's own database: `sqlite:///…` or `postgresql://…`."
    )
    session_sealing_keys: KeyRing = Field(
        description="Keys that seal mails until they are sent, and hash mailed codes: the primary "
        'seals, all open. JSON: `{"primary": "<id>", "keys": {"<id>": "<base64 of 32 bytes>"}}`.'
    )
    session_caller_key: PrivateKey = Field(
        description="Signs this service's calls to the factors. "
        'JSON: `{"kid": "<id>", "issuer": "session", "key": "<base64 of 32 bytes>"}`.'
    )
    session_event_key: PrivateKey = Field(
        description="Signs the events of this service on their way to the bus; as the caller key."
    )
    event_keys: PublicKeys = Field(
        description="Public keys of the services whose events the worker believes, where people "
        "have to be told of them. "
        'JSON: `{"<key id>": {"issuer": "<service>", "key": "<base64>"}}`.'
    )
    broker_url: BrokerUrl = Field(
        description="The message broker: `amqp://…` (RabbitMQ) or `redis://…` (Valkey)."
    )
    totp_url: HttpUrl = Field(
        default="http://127.0.0.1:8001",
        description="Where the TOTP service answers. Not used where it runs in the same process.",
    )
    recovery_url: HttpUrl = Field(
        default="http://127.0.0.1:8002",
        description="Where the recovery service answers, for recovery codes and trust in browsers. "
        "Not used where it runs in the same process.",
    )
    webauthn_url: HttpUrl = Field(
        default="http://127.0.0.1:8004",
        description="Where the WebAuthn service answers, for security keys and passkeys. Not used "
        "where it runs in the same process.",
    )
    mfa_other_factors: OtherFactors = Field(
        default=NO_FACTORS,
        description="Where factors of someone else's answer, by the type of their authenticators, "
        'which is also the name that they are called by: `{"yubikey": "http://…"}`. They keep '
        "docs/factors.md, take codes, and are offered besides MFA_SUPPORTED_TYPES.",
    )
    audit_url: HttpUrl = Field(
        default="http://127.0.0.1:8003",
        description="Where the ledger answers: the worker has it forget who is deleted.",
    )
    public_url: HttpUrl = Field(
        default="http://localhost:8000",
        description="The address at which people reach this service: scheme, host and port. "
        "Origins and links are made from it, never from what a request claims.",
    )
    var_dir: Path = Field(
        default=Path("var"), description="Folder for what the suite keeps on this machine."
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="The mail server: `smtp://`, `smtp+starttls://` or `smtps://`, then "
        "`[user:password@]host[:port]`. A password needs one of the encrypted two. "
        "In development it may be left out: mails then go to an inbox under VAR_DIR.",
    )
    default_from_email: str = Field(
        default="webmaster@localhost",
        description="The sender of all mail.",
        json_schema_extra={"allauth": "webmaster@localhost (Django's)"},
    )
    mail_templates_dir: Path | None = Field(
        default=None,
        description="A folder of mail templates that take the place of ours of the same name; "
        "see docs/mail.md.",
    )
    password_hash_queue: int = Field(
        default=16,
        ge=0,
        le=1000,
        description="Passwords that may wait to be checked in one process, beyond one per core. "
        "Whoever comes after them is answered 503; each takes some 20 ms of a core.",
    )

    account_login_methods: CommaSet = Field(
        default=LOGIN_METHODS,
        description="By what people log in: `email`.",
        json_schema_extra={"allauth": "username"},
    )
    account_signup_fields: CommaList = Field(
        default=SIGNUP_FIELDS,
        description="What people sign up with: `email*,password1*`.",
        json_schema_extra={"allauth": "username*, email, password1*, password2*"},
    )
    account_email_verification: Literal["mandatory"] = Field(
        default="mandatory",
        description="Nobody is logged in before their address is verified.",
        json_schema_extra={"allauth": "optional"},
    )
    account_email_verification_by_code_enabled: bool = Field(
        default=True,
        description="Addresses are verified by a mailed code.",
        json_schema_extra={"allauth": "False"},
    )
    account_password_min_length: int = Field(
        default=MIN_LENGTH,
        ge=6,
        le=64,
        description="Characters that a new password has at least. Of this and the `min_length` of "
        "AUTH_PASSWORD_VALIDATORS the larger holds.",
        json_schema_extra={"allauth": "6, and only without AUTH_PASSWORD_VALIDATORS"},
    )
    auth_password_validators: Validators = Field(
        default=DEFAULT_VALIDATORS,
        validate_default=True,
        description="The rules for new passwords, as JSON: a list of "
        '`{"NAME": "django.contrib.auth.password_validation.<Class>", "OPTIONS": {}}` of Django\'s '
        "four. `CommonPasswordValidator` has a list of its own; similarity is to the "
        "address. What is not listed is not asked for.",
        json_schema_extra={"allauth": "none (Django's); its template for projects lists the four"},
    )
    account_logout_on_password_change: bool = Field(
        default=False,
        description="Whether a change of the password ends the session that it is made in, too. "
        "All others end in any case.",
        json_schema_extra={"allauth": "False"},
    )
    account_reauthentication_timeout: Duration = Field(
        default=timedelta(minutes=5),
        gt=timedelta(0),
        le=timedelta(minutes=15),
        description="How long after proving themselves again people may change what protects them.",
        json_schema_extra={"allauth": "300"},
    )
    account_rate_limits: AccountRates = Field(
        default=DEFAULT_ACCOUNT_RATES,
        validate_default=True,
        description="How often what may be done, as JSON over the defaults: "
        '`{"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}`. A rate is '
        "`<amount>/<duration>/<per ip, user or key>`; `null` switches one off, `false` all. Mails "
        "that anybody can cause are limited besides to 5 in 5 minutes and 20 in a day per address.",
        json_schema_extra={"allauth": "the same, of actions that there are here"},
    )
    mfa_rate_limits: MfaRates = Field(
        default=DEFAULT_MFA_RATES,
        validate_default=True,
        description="As JSON: `second_factor` is how many failures in a row are free, and how long "
        "the first rest after them is. Each failure more doubles it, up to a day; after the "
        "hundredth the second factor rests until it is reset. `webauthn_login` is how often "
        "people may try to log in by passkey, and `webauthn_options` how often options are asked "
        "for, to log in by passkey, as pages do when they are shown, or to make a key; `null` "
        "switches one of these two off.",
        json_schema_extra={"allauth": "webauthn_login; the rest follows login_failed"},
    )
    account_email_notifications: bool = Field(
        default=True,
        description="Whether people are told by mail what happens to their account.",
        json_schema_extra={"allauth": "False"},
    )
    mfa_reauthentication_required: bool = Field(
        default=True,
        description="Whether people prove themselves again before their authenticators change.",
        json_schema_extra={"allauth": "True"},
    )
    mfa_require_mfa_for_changes: bool = Field(
        default=False,
        description="Whether who has a second factor proves that one before authenticators change, "
        "and a password does not do. Whoever loses all of theirs then needs an operator.",
    )
    mfa_supported_types: CommaList = Field(
        default=SUPPORTED_TYPES,
        description="The kinds of authenticators that are offered: `totp`, `webauthn` (security "
        "keys and passkeys), and `recovery_codes` to log in with when the others are lost.",
        json_schema_extra={"allauth": "recovery_codes, totp"},
    )
    mfa_passkey_login_enabled: bool = Field(
        default=False,
        description="Whether people log in with a passkey alone, which is both factors in one. "
        "Needs `webauthn` in MFA_SUPPORTED_TYPES.",
        json_schema_extra={"allauth": "False"},
    )
    mfa_passkey_signup_enabled: bool = Field(
        default=False,
        description="Whether people sign up with an address and a passkey, without a password. "
        "They log in with it: needs MFA_PASSKEY_LOGIN_ENABLED.",
        json_schema_extra={"allauth": "False, and without login by passkey it is let be"},
    )
    webauthn_related_origins: CommaList = Field(
        default=(),
        description="Pages of other domains that may use the passkeys of this one, as the WebAuthn "
        "service is told them: here for /.well-known/webauthn, where browsers look for them.",
    )
    passkey_enroll_url: HttpsUrl | None = Field(
        default=None,
        description="The page on which people add a passkey, which password managers are told at "
        "/.well-known/passkey-endpoints.",
    )
    passkey_manage_url: HttpsUrl | None = Field(
        default=None, description="The page on which they look after their passkeys, likewise."
    )
    mfa_trust_enabled: bool = Field(
        default=False,
        description="Whether people may trust a browser after a second factor: later logins in it "
        "take none. For `browser` clients, by the recovery service.",
        json_schema_extra={"allauth": "False"},
    )
    headless_clients: CommaSet = Field(
        default=CLIENTS,
        description="The kinds of clients that are served: `app`, `browser`.",
        json_schema_extra={"allauth": "app, browser"},
    )

    allowed_hosts: CommaList = Field(
        default=(),
        description="Hosts to answer for, in Django's notation. Empty: the host of PUBLIC_URL, "
        "and in development those of the loopback.",
        json_schema_extra={"allauth": "none (Django's)"},
    )
    csrf_trusted_origins: CommaList = Field(
        default=(),
        description="Origins of pages that may write, besides PUBLIC_URL's: an exact list of "
        "`scheme://host[:port]`.",
        json_schema_extra={"allauth": "none (Django's)"},
    )
    cors_allowed_origins: CommaList = Field(
        default=(),
        description="Origins of pages elsewhere that may read the API's answers (CORS): an exact "
        "list of `scheme://host[:port]`. To write as `browser` client, a page's origin has to be "
        "in CSRF_TRUSTED_ORIGINS too.",
        json_schema_extra={"allauth": "none (django-cors-headers')"},
    )
    secure_hsts_seconds: int = Field(
        default=0,
        ge=0,
        le=10 * 365 * 86400,
        description="Seconds for which browsers come back by https alone (HSTS), told them where "
        "PUBLIC_URL is https. 0: they are not told.",
        json_schema_extra={"allauth": "0 (Django's)"},
    )
    secure_hsts_include_subdomains: bool = Field(
        default=False,
        description="Whether HSTS is for all hosts below this one too.",
        json_schema_extra={"allauth": "False (Django's)"},
    )
    secure_hsts_preload: bool = Field(
        default=False,
        description="Whether browsers' makers may list this host among those of HSTS.",
        json_schema_extra={"allauth": "False (Django's)"},
    )
    csrf_header_name: str = Field(
        default="HTTP_X_CSRFTOKEN",
        pattern="^HTTP_[A-Z0-9_]+$",
        description="The header that carries the CSRF token, in Django's notation.",
        json_schema_extra={"allauth": "HTTP_X_CSRFTOKEN (Django's)"},
    )
    allauth_trusted_proxy_count: int = Field(
        default=0,
        ge=0,
        le=16,
        description="Proxies in front of this service, each of which appends to X-Forwarded-For.",
        json_schema_extra={"allauth": "0"},
    )
    allauth_trusted_client_ip_header: Name | None = Field(
        default=None,
        description="A header in which a trusted proxy names the client, such as `X-Real-IP`. "
        "Takes the place of X-Forwarded-For.",
        json_schema_extra={"allauth": "None"},
    )

    account_session_remember: Annotated[bool | None, BeforeValidator(_none)] = Field(
        default=None,
        description="Whether a browser keeps the session when it is closed. Unset: it does. In "
        "either case the session is over after SESSION_COOKIE_AGE.",
        json_schema_extra={"allauth": "None, not heeded by its headless API"},
    )
    session_cookie_age: Duration = Field(
        default=timedelta(days=14),
        gt=timedelta(0),
        le=timedelta(days=365),
        description="How long a session lasts, of a browser or an app.",
        json_schema_extra={"allauth": "14d (Django's)"},
    )
    session_idle_timeout: Annotated[Duration | None, BeforeValidator(_none)] = Field(
        default=None,
        ge=timedelta(minutes=2),
        le=timedelta(days=365),
        description="How long a session may be unused before it is over; for second factors NIST "
        "wants one hour at most. Use is written down once a minute, so that it may be over a "
        "minute earlier. Unset: only SESSION_COOKIE_AGE ends it.",
    )
    usersessions_track_activity: bool = Field(
        default=False,
        description="Whether people see when each of their sessions was last used, from where and "
        "with what. Costs a write a minute for each session in use.",
        json_schema_extra={"allauth": "False"},
    )
    session_cookie_domain: str | None = Field(
        default=None,
        description="Domain of the session cookie; none is this host alone.",
        json_schema_extra={"allauth": "None (Django's)"},
    )
    session_cookie_path: str = Field(
        default="/",
        description="Path of the session cookie.",
        json_schema_extra={"allauth": "/ (Django's)"},
    )
    session_cookie_secure: bool | None = Field(
        default=None,
        description="Whether the session cookie is sent by https only. Unset: if PUBLIC_URL is.",
        json_schema_extra={"allauth": "False (Django's)"},
    )
    session_cookie_httponly: bool = Field(
        default=True,
        description="Whether scripts may not read the session cookie.",
        json_schema_extra={"allauth": "True (Django's)"},
    )
    session_cookie_samesite: SameSite = Field(
        default="lax",
        description="`lax`, `strict` or `none`: whether other sites' requests carry the session.",
        json_schema_extra={"allauth": "Lax (Django's)"},
    )
    session_cookie_name: Name = Field(
        default="sessionid",
        description="The cookie of a browser's session.",
        json_schema_extra={"allauth": "sessionid (Django's)"},
    )
    csrf_cookie_age: Duration = Field(
        default=timedelta(days=364),
        gt=timedelta(0),
        description="How long a browser keeps the CSRF token.",
        json_schema_extra={"allauth": "364d (Django's)"},
    )
    csrf_cookie_domain: str | None = Field(
        default=None,
        description="Domain of the CSRF cookie; none is this host alone.",
        json_schema_extra={"allauth": "None (Django's)"},
    )
    csrf_cookie_path: str = Field(
        default="/",
        description="Path of the CSRF cookie.",
        json_schema_extra={"allauth": "/ (Django's)"},
    )
    csrf_cookie_secure: bool | None = Field(
        default=None,
        description="Whether the CSRF cookie is sent by https only. Unset: if PUBLIC_URL is.",
        json_schema_extra={"allauth": "False (Django's)"},
    )
    csrf_cookie_httponly: bool = Field(
        default=False,
        description="Whether scripts may not read the CSRF cookie. They have to, to send it back.",
        json_schema_extra={"allauth": "False (Django's)"},
    )
    csrf_cookie_samesite: SameSite = Field(
        default="lax",
        description="`lax`, `strict` or `none`: whether other sites' requests carry the token.",
        json_schema_extra={"allauth": "Lax (Django's)"},
    )
    csrf_cookie_name: Name = Field(
        default="csrftoken",
        description="The cookie of the CSRF token.",
        json_schema_extra={"allauth": "csrftoken (Django's)"},
    )

    mfa_trust_cookie_age: Duration = Field(
        default=timedelta(days=14),
        ge=timedelta(minutes=1),
        le=timedelta(days=30),
        description="How long a browser is trusted, whether it is used or not. At most 30 days.",
        json_schema_extra={"allauth": "14d"},
    )
    mfa_trust_cookie_domain: str | None = Field(
        default=None,
        description="Domain of the cookie by which trusted browsers are known. Unset: that of the "
        "session cookie.",
        json_schema_extra={"allauth": "SESSION_COOKIE_DOMAIN"},
    )
    mfa_trust_cookie_path: str | None = Field(
        default=None,
        description="Path of that cookie. Unset: that of the session cookie.",
        json_schema_extra={"allauth": "SESSION_COOKIE_PATH"},
    )
    mfa_trust_cookie_secure: bool | None = Field(
        default=None,
        description="Whether it is sent by https only. Unset: as the session cookie.",
        json_schema_extra={"allauth": "SESSION_COOKIE_SECURE"},
    )
    mfa_trust_cookie_httponly: bool | None = Field(
        default=None,
        description="Whether scripts may not read it. Unset: as the session cookie.",
        json_schema_extra={"allauth": "SESSION_COOKIE_HTTPONLY"},
    )
    mfa_trust_cookie_samesite: SameSite | None = Field(
        default=None,
        description="`lax`, `strict` or `none`. Unset: as the session cookie.",
        json_schema_extra={"allauth": "SESSION_COOKIE_SAMESITE"},
    )
    mfa_trust_cookie_name: Name = Field(
        default="mfa_trusted",
        description="The cookie by which trusted browsers are known.",
        json_schema_extra={"allauth": "mfa_trusted"},
    )

    @field_validator("public_url")
    @classmethod
    def _private_in_development(cls, value: str, info: ValidationInfo) -> str:
        host = urlsplit(value).hostname or ""
        if info.data.get("countersign_development") and not is_loopback(host):
            raise ValueError(
                "must be on this machine with COUNTERSIGN_DEVELOPMENT, such as "
                "http://localhost:8000, for whoever reads the inbox page can become anyone"
            )
        return value

    @field_validator("smtp_url")
    @classmethod
    def _usable(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and not info.data.get("countersign_development", True):
            raise ValueError(
                "must be set, unless COUNTERSIGN_DEVELOPMENT is: without a mail server the codes "
                "that open accounts would lie readable on this machine, and reach nobody"
            )
        if value and (problems := smtp_problems(value.get_secret_value())):
            raise ValueError("; ".join(problems))
        return value

    @field_validator("default_from_email")
    @classmethod
    def _an_address(cls, value: str) -> str:
        local, _, host = parseaddr(value)[1].rpartition("@")
        if not local or not host or not value.isprintable():
            raise ValueError("must be an address such as `Countersign <no-reply@example.com>`")
        return value

    @field_validator("mail_templates_dir")
    @classmethod
    def _makes_letters(cls, value: Path | None) -> Path | None:
        if value is not None and (problems := list(template_problems(value))):
            raise ValueError("; ".join(problems))
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [host for host in value if not HOST.fullmatch(host)]:
            raise ValueError(
                f"has {', '.join(unknown)}, which is not a host, `.domain` or `*`, without a port"
            )
        return value

    @field_validator("csrf_trusted_origins", "cors_allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [origin for origin in value if origin_of(origin) != origin or "*" in origin]:
            raise ValueError(f"has {', '.join(unknown)}, which is not scheme://host[:port]")
        return value

    @field_validator("webauthn_related_origins")
    @classmethod
    def _pages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if strange := [o for o in value if origin_of(o) != o or not o.startswith("https:")]:
            raise ValueError(f"has {', '.join(strange)}, which is not https://host[:port]")
        return value

    @field_validator("session_cookie_samesite", "csrf_cookie_samesite", "mfa_trust_cookie_samesite")
    @classmethod
    def _kept_by_browsers(cls, value: SameSite | None, info: ValidationInfo) -> SameSite | None:
        if value == "none" and not _is_secure(info):
            raise ValueError("can be `none` for secure cookies alone, or browsers refuse them")
        return value

    @field_validator("session_cookie_name", "csrf_cookie_name", "mfa_trust_cookie_name")
    @classmethod
    def _keeps_its_promise(cls, value: str, info: ValidationInfo) -> str:
        """Browsers refuse a cookie that is not what its prefix says (RFC 6265bis 4.1.3)."""
        secure = _is_secure(info)
        if value.startswith("__Secure-") and not secure:
            raise ValueError(f"{value} must be secure, or browsers refuse it")
        alone = _of_cookie(info, "domain") is None and _of_cookie(info, "path") == "/"
        if value.startswith("__Host-") and not (secure and alone):
            raise ValueError(
                f"{value} must be secure, have the path / and no domain, or browsers refuse it"
            )
        return value

    @field_validator("account_login_methods")
    @classmethod
    def _email_only(cls, value: frozenset[str]) -> frozenset[str]:
        if value != LOGIN_METHODS:
            raise ValueError("only `email` is supported")
        return value

    @field_validator("account_signup_fields")
    @classmethod
    def _email_and_password(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if sorted(value) != sorted(SIGNUP_FIELDS):
            raise ValueError("only `email*,password1*` is supported")
        return value

    @field_validator("account_email_verification_by_code_enabled")
    @classmethod
    def _by_code_only(cls, value: bool) -> bool:
        if not value:
            raise ValueError("only verification by code is supported")
        return value

    @field_validator("mfa_supported_types")
    @classmethod
    def _known_factors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(TYPES)):
            raise ValueError(f"has {', '.join(unknown)}, of {', '.join(TYPES)} that there are")
        return value

    @field_validator("mfa_passkey_login_enabled")
    @classmethod
    def _with_passkeys(cls, value: bool, info: ValidationInfo) -> bool:
        if value and WEBAUTHN not in info.data.get("mfa_supported_types", (WEBAUTHN,)):
            raise ValueError(f"needs {WEBAUTHN} in MFA_SUPPORTED_TYPES")
        return value

    @field_validator("mfa_passkey_signup_enabled")
    @classmethod
    def _to_come_back(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not info.data.get("mfa_passkey_login_enabled", True):
            raise ValueError(
                "needs MFA_PASSKEY_LOGIN_ENABLED: whoever has a passkey and no password has no "
                "other way to log in"
            )
        return value

    @field_validator("headless_clients")
    @classmethod
    def _known_clients(cls, value: frozenset[str]) -> frozenset[str]:
        if not value or value - CLIENTS:
            raise ValueError("must name one or both of app, browser")
        return value

    @property
    def policy(self) -> Policy:
        """What the operator chose, as flows take it."""
        return Policy(
            session_lifetime=self.session_cookie_age,
            reauthentication=self._reauthentication,
            passwords=PasswordPolicy(
                rules=self._password_rules, log_out=self.account_logout_on_password_change
            ),
            tracking=Tracking(
                activity=self.usersessions_track_activity, idle=self.session_idle_timeout
            ),
            limits=Limits(account=self.account_rate_limits, mfa=self.mfa_rate_limits),
            notifications=self.account_email_notifications,
            authenticators=self.offered_types,
            site=urlsplit(self.public_url).hostname or self.public_url,
        )

    @property
    def _reauthentication(self) -> Reauthentication:
        return Reauthentication(
            window=self.account_reauthentication_timeout,
            mfa=self.mfa_reauthentication_required,
            mfa_by_mfa=self.mfa_require_mfa_for_changes,
        )

    @property
    def _password_rules(self) -> PasswordRules:
        rules = self.auth_password_validators
        return replace(
            rules,
            min_length=max(rules.min_length, self.account_password_min_length),
            common=common_passwords() if rules.refuse_common else frozenset(),
        )

    @property
    def inbox(self) -> Path:
        """Where mails go without a mail server."""
        return self.var_dir / "inbox"

    @property
    def offered_types(self) -> tuple[str, ...]:
        """The kinds of authenticators that are offered, someone else's among them."""
        return (*self.mfa_supported_types, *self.mfa_other_factors)

    @property
    def factor_urls(self) -> Mapping[str, str]:
        """The address of each factor that is needed, by the name of its service."""
        urls = {
            "totp": self.totp_url,
            "recovery": self.recovery_url,
            "webauthn": self.webauthn_url,
            **self.mfa_other_factors,
        }
        needed = {service_of(kind) for kind in self.offered_types}
        if self.mfa_trust_enabled:
            needed.add("recovery")
        return {service: url for service, url in urls.items() if service in needed}


def _is_secure(info: ValidationInfo) -> bool:
    """Tell whether the cookie that a validator looks at is sent by https only."""
    secure = _of_cookie(info, "secure")
    if secure is None:
        return str(info.data.get("public_url", "")).lower().startswith("https://")
    return bool(secure)


def _of_cookie(info: ValidationInfo, what: str) -> object:
    """Return another setting of the cookie that a validator looks at.

    What is not said of the cookie of trust is as with the session cookie.
    """
    kind = str(info.field_name).partition("_cookie_")[0]
    value = info.data.get(f"{kind}_cookie_{what}")
    if value is None and kind == "mfa_trust":
        return info.data.get(f"session_cookie_{what}")
    return value
