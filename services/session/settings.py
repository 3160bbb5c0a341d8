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
from services.session.api.entrance import Entrance
from services.session.domain.code_settings import parse_code_format
from services.session.domain.codes import CodeFormat, CodeRules
from services.session.domain.colours import DARK_GROUND, LIGHT_GROUND, Colours, check_colour
from services.session.domain.factors import (
    KINDS,
    RECOVERY_CODES,
    TOTP,
    TYPES,
    WEBAUTHN,
    service_of,
)
from services.session.domain.frontend_urls import (
    CONFIRM_EMAIL,
    RESET_PASSWORD_FROM_KEY,
    FrontendUrls,
    read_frontend_urls,
)
from services.session.domain.frontend_urls import PAGES as FRONTEND_PAGES
from services.session.domain.hosts import is_loopback
from services.session.domain.identifiers import LoginMethod
from services.session.domain.languages import ENGLISH, NAMES, Languages
from services.session.domain.limits import (
    ABSENT,
    ACCOUNT_RATES,
    CONFIRM_BY_LINK,
    MFA_RATES,
    Limits,
    Rate,
    check_rates,
)
from services.session.domain.limits import CONFIRM_EMAIL as CONFIRM_EMAIL_ACTION
from services.session.domain.login_by_code import ALWAYS, LoginByCode
from services.session.domain.methods import MethodKind
from services.session.domain.password_reset import PasswordResets
from services.session.domain.password_settings import DEFAULT_VALIDATORS, parse_validators
from services.session.domain.passwords import MIN_LENGTH, PasswordRules
from services.session.domain.signup_fields import (
    EMAIL,
    USERNAME,
    SignupFields,
    parse_signup_fields,
)
from services.session.domain.stages import LOGIN_LIFETIME
from services.session.domain.token_keys import (
    TokenKeys,
    VerifyingKey,
    parse_signing_key,
    parse_verifying_keys,
)
from services.session.domain.token_strategy import STRATEGIES, Algorithm, TokenStrategy
from services.session.domain.tokens import TokenRules
from services.session.domain.usernames import MAX_USERNAME, Alphabet, UsernameRules, key_of
from services.session.domain.verification import (
    MOST_ADDRESSES,
    AddressRules,
    Verification,
    Verified,
)
from services.session.flows import PasswordPolicy, Policy, Reauthentication, Tracking
from services.session.flows.passwords import MEMORY, PASSES, is_strong
from services.session.gateway.common_passwords import common_passwords
from services.session.gateway.postbox import smtp_problems
from services.session.gateway.templates import template_problems
from services.session.pages.contract import page_template_problems
from services.session.pages.paths import PATHS, own_path
from services.session.pages.site import Brand, Offers
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
    split_commas,
)

LOGIN_METHODS = frozenset({LoginMethod.EMAIL.value})
SIGNUP_FIELDS = ("email*", "password1*")
SUPPORTED_TYPES = (RECOVERY_CODES, TOTP)
CLIENTS = frozenset({"app", "browser"})

BOOLS = {"true": True, "1": True, "false": False, "0": False}
LOGOS = (".svg", ".png", ".webp")
MOST_LOGO = 40960  # bytes
TWICE = 2
MOST_TIMES = 10

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


def _with_links(defaults: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
    """Return the defaults where addresses are verified by link, which does for a while."""
    by_code = info.data.get("account_email_verification_by_code_enabled", True)
    if by_code or CONFIRM_EMAIL_ACTION not in defaults:
        return defaults
    return {**defaults, CONFIRM_EMAIL_ACTION: CONFIRM_BY_LINK}


def _rates_over(all_defaults: Mapping[str, str]) -> PlainValidator:
    """Return what reads rates by action, laid over the defaults."""

    def read(value: object, info: ValidationInfo) -> Mapping[str, tuple[Rate, ...]]:
        defaults = _with_links(all_defaults, info)
        given = {} if value == json.dumps(all_defaults) else _given_rates(value, defaults)
        if absent := sorted(given.keys() & ABSENT):
            raise ValueError(f"has {', '.join(absent)}, for which there is nothing to limit yet")
        if unknown := sorted(given.keys() - defaults.keys()):
            raise ValueError(f"has {', '.join(unknown)}, of {', '.join(defaults)} that there are")
        texts = {**defaults, **given}
        return {action: check_rates(action, _rate_text(text)) for action, text in texts.items()}

    return PlainValidator(read, json_schema_input_type=str)


def _given_rates(value: object, defaults: Mapping[str, str]) -> Mapping[str, object]:
    """Read an object of rates; false is none of any."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON object, or false") from None
    if value is False:
        return dict.fromkeys(defaults)
    if not isinstance(value, Mapping):
        raise ValueError("must be a JSON object, or false")  # noqa: TRY004 - pydantic's kind
    return value


def _rate_text(value: object) -> str:
    if value is None or value is False:
        return ""
    if not isinstance(value, str):
        raise ValueError("has a rate that is not a text such as `5/m/user`")  # noqa: TRY004
    return value


def _validators(value: object) -> PasswordRules:
    return value if isinstance(value, PasswordRules) else parse_validators(value)


def _strategy(value: object) -> object:
    return STRATEGIES.get(value, value) if isinstance(value, str) else value


def _verifying_keys(value: object) -> tuple[VerifyingKey, ...]:
    if isinstance(value, str):
        return parse_verifying_keys(value)
    if isinstance(value, tuple) and all(isinstance(key, VerifyingKey) for key in value):
        return value
    raise ValueError("must be text")


def _frontend_urls(value: object, info: ValidationInfo) -> FrontendUrls:
    """Read addresses of pages by their names."""
    if isinstance(value, FrontendUrls):
        return value
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON object") from None
    if not isinstance(value, Mapping) or not all(isinstance(url, str) for url in value.values()):
        raise ValueError("must be a JSON object of URLs")
    return read_frontend_urls(value, str(info.data.get("public_url", "")))


def _links(value: object) -> Mapping[str, str]:
    """Read addresses by the words that lead to them."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON object") from None
    if not isinstance(value, Mapping) or not all(isinstance(url, str) for url in value.values()):
        raise ValueError("must be a JSON object of URLs")
    if strange := [url for url in value.values() if not (own_path(url) or origin_of(url))]:
        raise ValueError(f"has {', '.join(strange)}, which is no path and no http or https URL")
    return MappingProxyType({str(words): str(url) for words, url in value.items()})


def _login_methods(value: object) -> frozenset[MethodKind]:
    """Read true, false, or the methods that are meant."""
    if isinstance(value, str) and value.strip().lower() in BOOLS:
        value = BOOLS[value.strip().lower()]
    if isinstance(value, bool):
        return ALWAYS if value else frozenset()
    names = split_commas(value)
    if not isinstance(names, list | tuple | set | frozenset):
        raise ValueError("must be true, false, or a list of methods")  # noqa: TRY004
    known = {kind.value: kind for kind in ALWAYS}
    if unknown := sorted(str(name) for name in names if name not in known):
        raise ValueError(f"has {', '.join(unknown)}, of {', '.join(sorted(known))} that there are")
    return frozenset(known[name] for name in names)


def _times(value: object) -> int:
    """Read how often: true is twice, false never, as allauth has it."""
    if isinstance(value, str):
        text = value.strip().lower()
        value = int(text) if text.isascii() and text.isdigit() else BOOLS.get(text)
    if isinstance(value, bool):
        return TWICE if value else 0
    if not isinstance(value, int) or not 0 <= value <= MOST_TIMES:
        raise ValueError(f"must be true, false, or a number from 0 to {MOST_TIMES}")
    return value


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
Links = Annotated[Mapping[str, str], PlainValidator(_links, json_schema_input_type=str)]
NO_LINKS: Any = "{}"
NO_FACTORS: Any = "{}"  # as an operator writes it
NO_PAGES: Any = "{}"
NO_KEYS: Any = ""
VerifyingKeys = Annotated[
    tuple[VerifyingKey, ...], PlainValidator(_verifying_keys, json_schema_input_type=str)
]
Strategy = Annotated[TokenStrategy, BeforeValidator(_strategy)]
CodeFormatSetting = Annotated[
    CodeFormat, PlainValidator(parse_code_format, json_schema_input_type=str)
]
DEFAULT_CODE_FORMAT: Any = "{}"
FrontendUrlsSetting = Annotated[
    FrontendUrls, PlainValidator(_frontend_urls, json_schema_input_type=str)
]
LoginMethods = Annotated[
    frozenset[MethodKind], PlainValidator(_login_methods, json_schema_input_type=str)
]
NO_METHODS: Any = "false"
Times = Annotated[int, PlainValidator(_times, json_schema_input_type=str)]
NEVER: Any = "false"
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
        description="Keys that seal mails until they are sent, hash mailed codes and sign links "
        "in mails: the primary is used for what is new, all for what there is. "
        'JSON: `{"primary": "<id>", "keys": {"<id>": "<base64 of 32 bytes>"}}`.'
    )
    session_caller_key: PrivateKey = Field(
        description="Signs this service's calls to the factors. "
        'JSON: `{"kid": "<id>", "issuer": "session", "key": "<base64 of 32 bytes>"}`.'
    )
    session_event_key: PrivateKey = Field(
        description="Signs the events of this service on their way to the bus; as the caller key."
    )
    event_keys: PublicKeys | None = Field(
        default=None,
        description="Public keys of the services whose events people have to be told of: recovery "
        "and webauthn. The API has no use for them. "
        'JSON: `{"<key id>": {"issuer": "<service>", "key": "<base64>"}}`.',
        json_schema_extra={"needed_by": "worker"},
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
        description="Where the ledger answers: pages ask it what has happened to a person, and the "
        "worker has it forget who is deleted.",
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
        default=2,
        ge=0,
        le=1000,
        description="Passwords that may wait to be checked in one process, for each core. Whoever "
        "comes after them is answered 503, for each takes some 20 ms of a core: by default nobody "
        "waits for longer than twice what their own takes.",
    )
    password_hash_memory: int = Field(
        default=MEMORY,
        ge=8,
        le=4194304,
        description="KiB of memory that hashing a password by argon2id takes. With the passes it "
        "is at least one of OWASP's: 46 MiB and one pass, 19 MiB and two, 12 MiB and three, 9 MiB "
        "and four, 7 MiB and five. Only with COUNTERSIGN_DEVELOPMENT it may be less. Hashes of "
        "other parameters are renewed when their owners log in.",
    )
    password_hash_passes: int = Field(
        default=PASSES,
        ge=1,
        le=100,
        description="How often hashing a password goes through that memory.",
    )

    account_login_methods: CommaSet = Field(
        default=LOGIN_METHODS,
        description="By what people log in: `email`, `username`, or both.",
        json_schema_extra={"allauth": "username"},
    )
    account_signup_fields: CommaList = Field(
        default=SIGNUP_FIELDS,
        description="What people sign up with, in the order in which faults are told: `email`, "
        "`username` and `password1`; with `*` nobody signs up without. `password1*` has to be "
        "there. `password2*` means nothing, as with allauth's headless API. Where people have "
        "usernames, who gives none gets one that is made up.",
        json_schema_extra={"allauth": "username*, email, password1*, password2*"},
    )
    account_username_min_length: int = Field(
        default=1,
        ge=1,
        le=MAX_USERNAME,
        description="Characters that a username has at least; at most it has 150.",
        json_schema_extra={"allauth": "1"},
    )
    account_username_blacklist: CommaSet = Field(
        default=frozenset(),
        description="Usernames that nobody gets, in whatever case.",
        json_schema_extra={"allauth": "none"},
    )
    account_username_validators: Alphabet = Field(
        default=Alphabet.UNICODE,
        description="What usernames are written in: `unicode`, letters and digits of any script, "
        "or `ascii`; both with `@.+-_`, and neither as an address.",
        json_schema_extra={"allauth": "the path to a list of Python functions"},
    )
    account_preserve_username_casing: bool = Field(
        default=True,
        description="Whether usernames are shown as they were typed, or in lower case. They are "
        "one, however they are written, in any case.",
        json_schema_extra={"allauth": "True"},
    )
    account_email_verification: Verified = Field(
        default=Verified.MANDATORY,
        description="Whether an address has to be verified: with `mandatory` nobody is logged in "
        "before; with `optional` who signs up is logged in at once, and mailed a link; with `none` "
        "there is no mail. The latter two need verification by link, and tell who signs up with an "
        "address that is taken.",
        json_schema_extra={"allauth": "optional"},
    )
    account_email_verification_by_code_enabled: bool = Field(
        default=True,
        description="Whether addresses are verified by a mailed code, in the session that asked "
        "for it. Else by a link, wherever it is opened: it leads to `account_confirm_email` of "
        "HEADLESS_FRONTEND_URLS. A code needs ACCOUNT_EMAIL_VERIFICATION `mandatory`.",
        json_schema_extra={"allauth": "False"},
    )
    account_email_verification_by_code_max_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Wrong codes that end a sign-up, or the proof of another address.",
        json_schema_extra={"allauth": "3"},
    )
    account_email_verification_by_code_timeout: Duration = Field(
        default=timedelta(minutes=15),
        gt=timedelta(0),
        le=LOGIN_LIFETIME,
        description="How long such a code is good. At most 15 minutes, as a login is.",
        json_schema_extra={"allauth": "900"},
    )
    account_email_verification_by_code_format: CodeFormatSetting | None = Field(
        default=None,
        description="What such codes look like. Unset: as ALLAUTH_USER_CODE_FORMAT.",
        json_schema_extra={"allauth": "ALLAUTH_USER_CODE_FORMAT"},
    )
    account_email_verification_supports_resend: Times = Field(
        default=NEVER,
        validate_default=True,
        description="How often such a code may be sent anew; `true` is twice.",
        json_schema_extra={"allauth": "False"},
    )
    account_email_verification_max_resend_count: int | None = Field(
        default=None,
        ge=0,
        le=MOST_TIMES,
        description="The same, by another name. Unset: ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND.",
    )
    account_email_verification_supports_change: Times = Field(
        default=NEVER,
        validate_default=True,
        description="How often who signs up may give another address before one is verified by "
        "code; `true` is twice.",
        json_schema_extra={"allauth": "False"},
    )
    account_email_verification_max_change_count: int | None = Field(
        default=None,
        ge=0,
        le=MOST_TIMES,
        description="The same, by another name. Unset: ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE.",
    )
    account_email_confirmation_expire_days: int = Field(
        default=3,
        ge=1,
        le=30,
        description="Days for which a link that verifies an address is good, if nothing ends the "
        "sessions of the account before.",
        json_schema_extra={"allauth": "3"},
    )
    account_login_on_email_confirmation: bool = Field(
        default=False,
        description="Whether who signs up is logged in by opening the link in the session that "
        "waits for it. With a code they always are.",
        json_schema_extra={"allauth": "False"},
    )
    account_unique_email: bool = Field(
        default=True,
        description="One address, one account: it cannot be otherwise.",
        json_schema_extra={"allauth": "True"},
    )
    account_change_email: bool = Field(
        default=False,
        description="Whether an address that is added takes the place of all others once it is "
        "verified, so that people have one.",
        json_schema_extra={"allauth": "False"},
    )
    account_max_email_addresses: Annotated[int | None, BeforeValidator(_none)] = Field(
        default=None,
        ge=1,
        le=MOST_ADDRESSES,
        description="How many addresses a person has at most. Unset: 100. With "
        "ACCOUNT_CHANGE_EMAIL it is unset, or 2 as in allauth, and of no account.",
        json_schema_extra={"allauth": "None"},
    )
    allauth_user_code_format: CodeFormatSetting = Field(
        default=DEFAULT_CODE_FORMAT,
        validate_default=True,
        description="What mailed codes look like, as JSON: "
        '`{"numeric": false, "length": 8, "dashed": true}`. A `length` is from 6 to 16; without '
        "one codes have 8 letters, or 9 digits.",
        json_schema_extra={"allauth": "{}"},
    )
    headless_only: bool = Field(
        default=False,
        description="Whether there are no pages, but only the API for pages of yours; see "
        "docs/pages.md.",
        json_schema_extra={"allauth": "False"},
    )
    headless_frontend_urls: FrontendUrlsSetting = Field(
        default=NO_PAGES,
        validate_default=True,
        description="Pages of yours that mails lead to, as JSON: `account_confirm_email` and "
        "`account_reset_password_from_key` with the place of the key, such as "
        "`https://app.example.com/verify/{key}`; `account_reset_password` and `account_signup`. "
        "What has no host is on that of PUBLIC_URL. What is not named is a page of ours, if there "
        "is one, unless HEADLESS_ONLY.",
        json_schema_extra={"allauth": "{}"},
    )
    pages_name: str = Field(
        default="Countersign",
        min_length=1,
        max_length=60,
        description="What the site is called, on every page.",
    )
    pages_logo: Path | None = Field(
        default=None,
        description="A file with its logo, `.svg`, `.png` or `.webp`, of 40 KiB at most. Unset: "
        "ours.",
    )
    pages_colour: str = Field(
        default=Colours().light,
        description="The colour of buttons and links, such as `#2452c9`: one that people can read "
        "on white.",
    )
    pages_colour_dark: str = Field(
        default=Colours().dark,
        description="The same for those who like it dark: one that people can read on `#16191f`.",
    )
    pages_links: Links = Field(
        default=NO_LINKS,
        validate_default=True,
        description="Links at the foot of every page, as JSON: "
        '`{"Privacy": "https://www.example.com/privacy"}`.',
    )
    pages_templates_dir: Path | None = Field(
        default=None,
        description="A folder of templates that take the place of ours of the same name; see "
        "docs/pages.md.",
    )
    languages: CommaList = Field(
        default=tuple(NAMES),
        description="The languages that people are offered, by their tags: `en`, `de`, `fr`, `es`, "
        "`nl`, `ar`, `ja`.",
        json_schema_extra={"allauth": "all of Django's"},
    )
    language_code: str = Field(
        default=ENGLISH,
        description="The language for those who read none of them: one of LANGUAGES.",
        json_schema_extra={"allauth": "en-us (Django's)"},
    )
    login_redirect_url: str = Field(
        default="/accounts/",
        description="Where people go on who have logged in by the pages, unless they were on their "
        "way to another: a path of this site, or an http or https URL.",
        json_schema_extra={"allauth": "/accounts/profile/ (Django's)"},
    )
    account_logout_redirect_url: str = Field(
        default="/",
        description="Where people go on who have logged out by the pages, likewise.",
        json_schema_extra={"allauth": "/"},
    )
    account_prevent_enumeration: Literal["strict"] | bool = Field(
        default=True,
        description="Whether nobody is told which addresses have an account: not by a sign-up, nor "
        "by asking for a login code or a new password.",
        json_schema_extra={"allauth": "True"},
    )
    account_email_unknown_accounts: bool = Field(
        default=True,
        description="Whether who asks for a login code or a new password for an address that has "
        "no account is told so, by mail to that address.",
        json_schema_extra={"allauth": "True"},
    )
    account_login_timeout: Duration = Field(
        default=LOGIN_LIFETIME,
        gt=timedelta(0),
        le=LOGIN_LIFETIME,
        description="How long a login may take from its first proof to its last. At most 15 "
        "minutes.",
        json_schema_extra={"allauth": "900"},
    )
    account_login_by_code_enabled: bool = Field(
        default=False,
        description="Whether people log in by a code that is mailed, in place of a password. It is "
        "one factor, and no second one beside a password or another code to the same mailbox.",
        json_schema_extra={"allauth": "False"},
    )
    account_login_by_code_required: LoginMethods = Field(
        default=NO_METHODS,
        validate_default=True,
        description="Whether logins take a mailed code besides: `true`, `false`, or those that "
        "begin by `password`, by `mfa` (a passkey alone), or both. So does a sign-up then, in "
        "place of the code that verifies the address.",
        json_schema_extra={"allauth": "False"},
    )
    account_login_by_code_trust_enabled: bool = Field(
        default=False,
        description="Whether people may trust a browser after a code that is required, as with "
        "MFA_TRUST_ENABLED after a second factor: later logins in it take none.",
        json_schema_extra={"allauth": "False"},
    )
    account_login_by_code_max_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Wrong login codes that end a login.",
        json_schema_extra={"allauth": "3"},
    )
    account_login_by_code_supports_resend: Times = Field(
        default=NEVER,
        validate_default=True,
        description="How often a login code may be sent anew in one login; `true` is twice.",
        json_schema_extra={"allauth": "False"},
    )
    account_login_by_code_max_resend_count: int | None = Field(
        default=None,
        ge=0,
        le=MOST_TIMES,
        description="The same, by another name. Unset: ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND.",
    )
    account_login_by_code_timeout: Duration = Field(
        default=timedelta(minutes=3),
        gt=timedelta(0),
        le=LOGIN_LIFETIME,
        description="How long a login code is good.",
        json_schema_extra={"allauth": "180"},
    )
    account_login_by_code_format: CodeFormatSetting | None = Field(
        default=None,
        description="What login codes look like. Unset: as ALLAUTH_USER_CODE_FORMAT.",
        json_schema_extra={"allauth": "ALLAUTH_USER_CODE_FORMAT"},
    )
    account_password_reset_by_code_enabled: bool = Field(
        default=False,
        description="Whether a forgotten password is reset by a mailed code, in the session that "
        "asked for it. Else by a link, wherever it is opened: it leads to "
        "`account_reset_password_from_key` of HEADLESS_FRONTEND_URLS, or to our page. With "
        "HEADLESS_ONLY and neither nobody resets any.",
        json_schema_extra={"allauth": "False"},
    )
    account_password_reset_by_code_max_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Wrong codes that end a reset.",
        json_schema_extra={"allauth": "3"},
    )
    account_password_reset_by_code_timeout: Duration = Field(
        default=timedelta(minutes=3),
        gt=timedelta(0),
        le=LOGIN_LIFETIME,
        description="How long such a code is good, and from when it is first given on as long "
        "again.",
        json_schema_extra={"allauth": "180"},
    )
    account_password_reset_by_code_format: CodeFormatSetting | None = Field(
        default=None,
        description="What such codes look like. Unset: as ALLAUTH_USER_CODE_FORMAT.",
        json_schema_extra={"allauth": "ALLAUTH_USER_CODE_FORMAT"},
    )
    password_reset_timeout: Duration = Field(
        default=timedelta(days=1),
        ge=timedelta(minutes=1),
        le=timedelta(days=3),
        description="How long a link that resets a password is good, if nothing ends the sessions "
        "of the account before.",
        json_schema_extra={"allauth": "259200 (Django's)"},
    )
    account_login_on_password_reset: bool = Field(
        default=False,
        description="Whether a new password begins a login, through all its stages, where it was "
        "reset. It is one factor, as a mailed code is.",
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
    account_reauthentication_required: bool = Field(
        default=False,
        description="Whether people prove themselves again before their addresses change.",
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
        "for, to log in by passkey, as pages do when they are shown, or to make a key: who has "
        "proved something of an account is counted by that, in place of where they are. `null` "
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
        description="Whether people prove themselves again before their authenticators change. Who "
        "has a second factor and no password always does, by that factor.",
        json_schema_extra={"allauth": "True"},
    )
    mfa_allow_unverified_email: bool = Field(
        default=False,
        description="Whether who has an address that is not verified may add a second factor, and "
        "who has a second factor an address that is yet to be verified by link. Somebody else's "
        "address could be kept from them so.",
        json_schema_extra={"allauth": "False"},
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
    headless_serve_specification: bool = Field(
        default=False,
        description="Whether `/_allauth/openapi.json` and `/_allauth/openapi.yaml` tell anybody "
        "how the API is called, for clients to be generated from; see docs/clients.md.",
        json_schema_extra={"allauth": "False"},
    )
    headless_clients: CommaSet = Field(
        default=CLIENTS,
        description="The kinds of clients that are served: `app`, `browser`.",
        json_schema_extra={"allauth": "app, browser"},
    )
    headless_token_strategy: Strategy = Field(
        default=TokenStrategy.SESSIONS,
        description="What apps are given when somebody is logged in: with `sessions` the session "
        "token, with `jwt` access and refresh tokens besides, which other services can check; see "
        "docs/tokens.md. Allauth's names of the two classes will do as well.",
        json_schema_extra={
            "allauth": "allauth.headless.tokens.strategies.sessions.SessionTokenStrategy"
        },
    )
    headless_jwt_algorithm: Algorithm = Field(
        default=Algorithm.EDDSA,
        description="What tokens are signed by: `EdDSA` (Ed25519), `ES256` or `RS256`. Not by "
        "HS256 or its like: there, whoever can check a token can make one.",
        json_schema_extra={"allauth": "RS256"},
    )
    headless_jwt_private_key: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="The key that signs tokens, in PEM without a password, of the kind that "
        "HEADLESS_JWT_ALGORITHM needs. Line breaks may be written `\\n`. Needed with `jwt`.",
        json_schema_extra={"allauth": ""},
    )
    headless_jwt_public_keys: VerifyingKeys = Field(
        default=NO_KEYS,
        validate_default=True,
        description="Public keys that tokens may be checked by as well, in PEM, one after the "
        "other: those of before, and of hereafter, so that no change of keys ends anything.",
    )
    headless_jwt_audience: CommaList = Field(
        default=(),
        description="The services that access tokens are for: their claim `aud`. None: there is no "
        "such claim, and any service that knows PUBLIC_URL may take them.",
    )
    headless_jwt_access_token_expires_in: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=10),
        le=timedelta(hours=1),
        description="How long an access token is good. Until then other services believe it, even "
        "if the session is over.",
        json_schema_extra={"allauth": "300"},
    )
    headless_jwt_refresh_token_expires_in: Duration = Field(
        default=timedelta(days=1),
        ge=timedelta(minutes=1),
        le=timedelta(days=365),
        description="How long a refresh token is good, unless its session ends before.",
        json_schema_extra={"allauth": "86400"},
    )
    headless_jwt_authorization_header_scheme: Name = Field(
        default="Bearer",
        description="How the header Authorization begins where an access token is sent to this "
        "service in place of a session token.",
        json_schema_extra={"allauth": "Bearer"},
    )
    headless_jwt_stateful_validation_enabled: bool = Field(
        default=False,
        description="What is said here to an access token whose session is over. With `false` that "
        "it is (410), with `true` nothing: whoever shows it is nobody (401). In neither case does "
        "it open anything.",
        json_schema_extra={"allauth": "False"},
    )
    headless_jwt_rotate_refresh_token: bool = Field(
        default=True,
        description="Whether each use of a refresh token replaces it, so that a copy is noticed.",
        json_schema_extra={"allauth": "True"},
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
        "minute earlier; 2 minutes at least. Unset: only SESSION_COOKIE_AGE ends it.",
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
        description="The cookie of a browser's session. A name that begins with `__Host-` ties it "
        "to this very host; it then has to be secure, have the path `/` and no domain.",
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
        description="The cookie by which trusted browsers are known; `__Host-` as with the session "
        "cookie.",
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

    @field_validator("password_hash_passes")
    @classmethod
    def _hard_to_guess(cls, value: int, info: ValidationInfo) -> int:
        memory = info.data.get("password_hash_memory", MEMORY)
        if not info.data.get("countersign_development", True) and not is_strong(memory, value):
            raise ValueError(
                f"is too weak with {memory} KiB of memory: passwords that are stolen would be "
                "guessed; such hashes are for COUNTERSIGN_DEVELOPMENT"
            )
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

    @field_validator("pages_logo")
    @classmethod
    def _is_a_logo(cls, value: Path | None) -> Path | None:
        if value is None:
            return value
        if value.suffix.lower() not in LOGOS or not value.is_file():
            raise ValueError(f"is no file of {', '.join(LOGOS)}")
        if value.stat().st_size > MOST_LOGO:
            raise ValueError(f"has more than {MOST_LOGO // 1024} KiB, and pages are to be light")
        return value

    @field_validator("pages_colour")
    @classmethod
    def _on_light(cls, value: str) -> str:
        return check_colour(value, LIGHT_GROUND)

    @field_validator("pages_colour_dark")
    @classmethod
    def _on_dark(cls, value: str) -> str:
        return check_colour(value, DARK_GROUND)

    @field_validator("pages_templates_dir")
    @classmethod
    def _makes_pages(cls, value: Path | None) -> Path | None:
        if value is not None and (problems := list(page_template_problems(value))):
            raise ValueError("; ".join(problems))
        return value

    @field_validator("languages")
    @classmethod
    def _are_spoken(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(tag not in NAMES for tag in value):
            raise ValueError(f"must be some of {', '.join(NAMES)}")
        return value

    @field_validator("language_code")
    @classmethod
    def _is_offered(cls, value: str, info: ValidationInfo) -> str:
        offered = info.data.get("languages", NAMES)
        if value not in offered:
            raise ValueError(f"is not in LANGUAGES, which has {', '.join(offered)}")
        return value

    @field_validator("login_redirect_url", "account_logout_redirect_url")
    @classmethod
    def _leads_on(cls, value: str) -> str:
        if own_path(value) is None and origin_of(value) is None:
            raise ValueError("must be a path of this site, or an http or https URL")
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
    def _known_methods(cls, value: frozenset[str]) -> frozenset[str]:
        known = {method.value for method in LoginMethod}
        if "phone" in value:
            raise ValueError("has phone, and there are no telephone numbers yet")
        if not value or value - known:
            raise ValueError("must name one or both of email, username")
        return value

    @field_validator("account_signup_fields")
    @classmethod
    def _lets_people_back_in(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        fields = parse_signup_fields(value)
        methods = info.data.get("account_login_methods", LOGIN_METHODS)
        if not any(fields.requires(method) for method in methods):
            raise ValueError(
                f"needs one of {', '.join(f'`{method}*`' for method in sorted(methods))}, by which "
                "people log in (ACCOUNT_LOGIN_METHODS)"
            )
        return value

    @field_validator("account_email_verification")
    @classmethod
    def _has_something_to_verify(cls, value: Verified, info: ValidationInfo) -> Verified:
        listed = info.data.get("account_signup_fields", SIGNUP_FIELDS)
        if value is Verified.MANDATORY and not parse_signup_fields(listed).requires(EMAIL):
            raise ValueError("can be mandatory with `email*` in ACCOUNT_SIGNUP_FIELDS alone")
        return value

    @field_validator("account_login_by_code_required")
    @classmethod
    def _has_somewhere_to_go(
        cls, value: frozenset[MethodKind], info: ValidationInfo
    ) -> frozenset[MethodKind]:
        listed = info.data.get("account_signup_fields", SIGNUP_FIELDS)
        if value and not parse_signup_fields(listed).requires(EMAIL):
            raise ValueError(
                "needs `email*` in ACCOUNT_SIGNUP_FIELDS: who has no address gets no codes"
            )
        return value

    @field_validator("account_email_verification_by_code_enabled")
    @classmethod
    def _waits_for_the_code(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("account_email_verification") is not Verified.MANDATORY:
            raise ValueError(
                "needs ACCOUNT_EMAIL_VERIFICATION mandatory: nobody waits for a code otherwise"
            )
        return value

    @field_validator("headless_frontend_urls")
    @classmethod
    def _links_lead_somewhere(cls, value: FrontendUrls, info: ValidationInfo) -> FrontendUrls:
        by_code = info.data.get("account_email_verification_by_code_enabled", True)
        if info.data.get("headless_only") and not by_code and value.page(CONFIRM_EMAIL) is None:
            raise ValueError(
                f"needs {CONFIRM_EMAIL}, for ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED is false: "
                "the link that verifies an address has to lead to a page, and HEADLESS_ONLY is true"
            )
        return value

    @field_validator("account_unique_email")
    @classmethod
    def _one_account(cls, value: bool) -> bool:
        if not value:
            raise ValueError("cannot be false: people are found by their addresses")
        return value

    @field_validator("account_max_email_addresses")
    @classmethod
    def _room_for_another(cls, value: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("account_change_email") and value not in (None, 2):
            raise ValueError("can be unset or 2 with ACCOUNT_CHANGE_EMAIL")
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
        if value and not info.data.get("account_email_verification_by_code_enabled", True):
            raise ValueError(
                "needs ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED: the passkey is made in the "
                "session that waits for the code"
            )
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

    @field_validator("headless_token_strategy")
    @classmethod
    def _for_apps(cls, value: TokenStrategy, info: ValidationInfo) -> TokenStrategy:
        if value is TokenStrategy.JWT and "app" not in info.data.get("headless_clients", CLIENTS):
            raise ValueError("jwt is for apps, and HEADLESS_CLIENTS has none")
        return value

    @field_validator("headless_jwt_private_key")
    @classmethod
    def _signs(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("headless_token_strategy") is TokenStrategy.JWT:
            raise ValueError("must be set with HEADLESS_TOKEN_STRATEGY jwt")
        if value is not None and "headless_jwt_algorithm" in info.data:
            parse_signing_key(value.get_secret_value(), info.data["headless_jwt_algorithm"])
        return value

    @property
    def tokens(self) -> TokenRules | None:
        """The rules of access and refresh tokens; None if there are to be none."""
        key = self.headless_jwt_private_key
        if self.headless_token_strategy is not TokenStrategy.JWT or key is None:
            return None
        signing = parse_signing_key(key.get_secret_value(), self.headless_jwt_algorithm)
        return TokenRules(
            keys=TokenKeys(signing, self.headless_jwt_public_keys),
            issuer=self.public_url.rstrip("/"),
            audience=self.headless_jwt_audience,
            access_lifetime=self.headless_jwt_access_token_expires_in,
            refresh_lifetime=self.headless_jwt_refresh_token_expires_in,
            rotates=self.headless_jwt_rotate_refresh_token,
            stateful=self.headless_jwt_stateful_validation_enabled,
        )

    @property
    def bearer_scheme(self) -> str | None:
        """How Authorization begins where an access token is shown; None if none is any good."""
        if self.headless_token_strategy is not TokenStrategy.JWT:
            return None
        return self.headless_jwt_authorization_header_scheme

    @property
    def frontend_urls(self) -> FrontendUrls:
        """The pages that mails lead to: those that are configured, and ours for all others."""
        if self.headless_only:
            return self.headless_frontend_urls
        ours = {name: PATHS[name] for name in FRONTEND_PAGES if name in PATHS}
        return self.headless_frontend_urls.over(read_frontend_urls(ours, self.public_url))

    @property
    def brand(self) -> Brand:
        """What the pages look like."""
        return Brand(
            name=self.pages_name,
            logo=self.pages_logo,
            colours=Colours(self.pages_colour, self.pages_colour_dark),
            links=self.pages_links,
        )

    @property
    def spoken(self) -> Languages:
        """The languages that people are spoken to in."""
        return Languages(offered=self.languages, default=self.language_code)

    @property
    def offers(self) -> Offers:
        """What the pages have to know of what is offered."""
        policy = self.policy
        return Offers(
            types=self.offered_types,
            passkey_login=self.mfa_passkey_login_enabled,
            passkey_signup=self.mfa_passkey_signup_enabled,
            login_by_code=self.account_login_by_code_enabled,
            trust=self.trusts_browsers,
            resets_passwords=self.resets_passwords,
            reset_by_code=self.account_password_reset_by_code_enabled,
            verification_by_code=policy.verification.by_code,
            verification_codes=policy.verification.codes,
            login_codes=policy.login_by_code.codes,
            max_address_changes=policy.verification.max_changes,
            one_address=policy.addresses.replaces,
            password_min_length=policy.passwords.rules.min_length,
            tracks_activity=self.usersessions_track_activity,
            entrance=self.entrance,
        )

    @property
    def entrance(self) -> Entrance:
        """What people sign up with, and by which of it they log in."""
        return Entrance(
            signup=self.signup_fields, usernames=self.username_rules, methods=self.login_methods
        )

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
            verification=self._verification,
            addresses=AddressRules(
                most=self.account_max_email_addresses or MOST_ADDRESSES,
                replaces=self.account_change_email,
            ),
            login_by_code=self._login_by_code,
            password_resets=self._password_resets,
            login_lifetime=self.account_login_timeout,
            email_unknown_accounts=self.account_email_unknown_accounts,
            prevent_enumeration=self.account_prevent_enumeration,
            trusts_second_factors=self.mfa_trust_enabled,
            pages=self.frontend_urls,
            authenticators=self.offered_types,
            site=urlsplit(self.public_url).hostname or self.public_url,
            tokens=self.tokens,
            signup_fields=self.signup_fields,
            usernames=self.username_rules if self._has_usernames else None,
            login_methods=self.login_methods,
        )

    @property
    def login_methods(self) -> frozenset[LoginMethod]:
        """By what people log in."""
        return frozenset(LoginMethod(method) for method in self.account_login_methods)

    @property
    def signup_fields(self) -> SignupFields:
        """What people sign up with."""
        return parse_signup_fields(self.account_signup_fields)

    @property
    def username_rules(self) -> UsernameRules:
        """Which usernames there may be, if there are any."""
        return UsernameRules(
            min_length=self.account_username_min_length,
            blacklist=frozenset(map(key_of, self.account_username_blacklist)),
            alphabet=self.account_username_validators,
            preserves_casing=self.account_preserve_username_casing,
        )

    @property
    def _has_usernames(self) -> bool:
        return USERNAME in self.signup_fields.names or LoginMethod.USERNAME in self.login_methods

    @property
    def _verification(self) -> Verification:
        resends = self.account_email_verification_max_resend_count
        changes = self.account_email_verification_max_change_count
        return Verification(
            when=self.account_email_verification,
            by_code=self.account_email_verification_by_code_enabled,
            codes=CodeRules(
                format=self.account_email_verification_by_code_format
                or self.allauth_user_code_format,
                max_failures=self.account_email_verification_by_code_max_attempts,
                lifetime=self.account_email_verification_by_code_timeout,
                max_resends=self.account_email_verification_supports_resend
                if resends is None
                else resends,
            ),
            max_changes=self.account_email_verification_supports_change
            if changes is None
            else changes,
            link_lifetime=timedelta(days=self.account_email_confirmation_expire_days),
            login_by_link=self.account_login_on_email_confirmation,
            unverified_may_enrol=self.mfa_allow_unverified_email,
        )

    @property
    def _login_by_code(self) -> LoginByCode:
        resends = self.account_login_by_code_max_resend_count
        return LoginByCode(
            codes=CodeRules(
                format=self.account_login_by_code_format or self.allauth_user_code_format,
                max_failures=self.account_login_by_code_max_attempts,
                lifetime=self.account_login_by_code_timeout,
                max_resends=self.account_login_by_code_supports_resend
                if resends is None
                else resends,
            ),
            required=self.account_login_by_code_required,
            trusts=self.account_login_by_code_trust_enabled,
        )

    @property
    def _password_resets(self) -> PasswordResets:
        return PasswordResets(
            by_code=self.account_password_reset_by_code_enabled,
            format=self.account_password_reset_by_code_format or self.allauth_user_code_format,
            max_failures=self.account_password_reset_by_code_max_attempts,
            lifetime=self.account_password_reset_by_code_timeout,
            link_lifetime=self.password_reset_timeout,
            logs_in=self.account_login_on_password_reset,
        )

    @property
    def resets_passwords(self) -> bool:
        """Whether who has forgotten their password gets another one by mail."""
        has_page = self.frontend_urls.page(RESET_PASSWORD_FROM_KEY) is not None
        return self.account_password_reset_by_code_enabled or has_page

    @property
    def _reauthentication(self) -> Reauthentication:
        return Reauthentication(
            window=self.account_reauthentication_timeout,
            account=self.account_reauthentication_required,
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
    def mails_into_inbox(self) -> bool:
        """Whether mails are kept on this machine, to be read there."""
        return self.countersign_development and self.smtp_url is None

    @property
    def offered_types(self) -> tuple[str, ...]:
        """The kinds of authenticators that are offered, someone else's among them."""
        return (*self.mfa_supported_types, *self.mfa_other_factors)

    @property
    def trusts_browsers(self) -> bool:
        """Whether people may trust a browser, for whatever it stands in for."""
        return self.mfa_trust_enabled or self.account_login_by_code_trust_enabled

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
        if self.trusts_browsers:
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
