"""Drives the journey through django-allauth, in a process of its own, and prints what it saw.

    python -m tests.reference.peer app|browser <journey>

prints a JSON list of `Seen`. Django wants its settings before anything else is imported, and keeps
them for ever: hence the process.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import django
import pyotp
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.core.management import call_command

from tests.contract.document import Answer
from tests.contract.peer import of_itself
from tests.reference.emails import (
    code_journey,
    link_journey,
    one_address_journey,
    optional_journey,
    proved_journey,
)
from tests.reference.journey import (
    AGENT,
    Ask,
    CalmDown,
    Code,
    Forget,
    Journey,
    Json,
    MailedCode,
    MailedKey,
    NoMail,
    Seen,
    StartOver,
    Wait,
    journey,
)
from tests.reference.keys import keys_journey
from tests.reference.login_codes import login_codes_journey, required_codes_journey
from tests.reference.passkeys import passkeys_journey
from tests.reference.password_resets import resets_journey
from tests.reference.stages import beginnings, links, required_codes, second_steps
from tests.reference.together import together
from tests.reference.tokens import tokens_journey
from tests.reference.trust import trust_journey
from tests.reference.usernames import both_journey, made_up_journey, named_journey

VALIDATORS = (
    "UserAttributeSimilarityValidator",
    "MinimumLengthValidator",
    "CommonPasswordValidator",
    "NumericPasswordValidator",
)
PERIOD = 30  # seconds
LINK = re.compile(r"https://testserver/([^\s/]+)$", re.MULTILINE)


ORIGIN = "https://testserver"
JOURNEYS: dict[str, Callable[[], Journey]] = {
    "whole": journey,
    "trust": trust_journey,
    "keys": lambda: keys_journey(ORIGIN),
    "passkeys": lambda: passkeys_journey(ORIGIN),
    "emails by code": code_journey,
    "emails by link": link_journey,
    "optional emails": optional_journey,
    "one email": one_address_journey,
    "proved emails": proved_journey,
    "login codes": login_codes_journey,
    "told login codes": login_codes_journey,
    "required codes": lambda: required_codes_journey(ORIGIN),
    "resets by code": lambda: resets_journey(MailedCode, logs_in=False),
    "resets by link": lambda: resets_journey(MailedKey, logs_in=False),
    "told resets by code": lambda: resets_journey(MailedCode, logs_in=True),
    "told resets by link": lambda: resets_journey(MailedKey, logs_in=True),
    "usernames": named_journey,
    "both names": both_journey,
    "made-up names": made_up_journey,
    "tokens": tokens_journey,
    "beginnings": lambda: beginnings(ORIGIN),
    "second steps": lambda: second_steps(ORIGIN),
    "stages with required codes": lambda: required_codes(ORIGIN),
    "stages with links": lambda: links(ORIGIN),
    "together": lambda: together(ORIGIN),
}
KEYS: dict[str, Any] = {
    "MFA_SUPPORTED_TYPES": ["recovery_codes", "totp", "webauthn"],
    "MFA_PASSKEY_LOGIN_ENABLED": True,
    "MFA_PASSKEY_SIGNUP_ENABLED": True,
}
LOGIN_CODES: dict[str, Any] = {
    "ACCOUNT_LOGIN_BY_CODE_ENABLED": True,
    "ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND": True,
}
RESETS_BY_CODE: dict[str, Any] = {"ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED": True}
TOLD: dict[str, Any] = {
    "ACCOUNT_LOGIN_ON_PASSWORD_RESET": True,
    "ACCOUNT_PREVENT_ENUMERATION": False,
}
BY_LINK: dict[str, Any] = {"ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED": False}
UNLIMITED: dict[str, Any] = {"ACCOUNT_RATE_LIMITS": False, "MFA_RATE_LIMITS": False}
TOKENS: dict[str, Any] = {
    "HEADLESS_TOKEN_STRATEGY": "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy",
    "HEADLESS_JWT_PRIVATE_KEY": generate_private_key(65537, 2048)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode(),
}
STAGES: dict[str, Any] = {
    **KEYS,
    **LOGIN_CODES,
    **RESETS_BY_CODE,
    **UNLIMITED,
    "MFA_TRUST_ENABLED": True,
    "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND": True,
    "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE": True,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "emails by code": {
        "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS": 5,
        "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND": True,
        "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE": True,
        "ACCOUNT_MAX_EMAIL_ADDRESSES": 3,
    },
    "emails by link": {**BY_LINK, "ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION": True},
    "optional emails": {**BY_LINK, "ACCOUNT_EMAIL_VERIFICATION": "optional"},
    "one email": {**BY_LINK, "ACCOUNT_CHANGE_EMAIL": True},
    "proved emails": {"ACCOUNT_REAUTHENTICATION_REQUIRED": True},
    "trust": {"MFA_TRUST_ENABLED": True},
    "keys": KEYS,
    "passkeys": KEYS,
    "login codes": LOGIN_CODES,
    "told login codes": {**LOGIN_CODES, "ACCOUNT_PREVENT_ENUMERATION": False},
    "resets by code": RESETS_BY_CODE,
    "told resets by code": {**RESETS_BY_CODE, **TOLD},
    "told resets by link": TOLD,
    "required codes": {
        **KEYS,
        **LOGIN_CODES,
        "ACCOUNT_LOGIN_BY_CODE_REQUIRED": True,
        "ACCOUNT_LOGIN_BY_CODE_TRUST_ENABLED": True,
        "MFA_TRUST_ENABLED": True,
    },
    "usernames": {
        **BY_LINK,
        "ACCOUNT_EMAIL_VERIFICATION": "optional",
        "ACCOUNT_LOGIN_METHODS": {"username"},
        "ACCOUNT_SIGNUP_FIELDS": ["username*", "email", "password1*"],
    },
    "both names": {
        **KEYS,
        "ACCOUNT_LOGIN_METHODS": {"username", "email"},
        "ACCOUNT_SIGNUP_FIELDS": ["email*", "username*", "password1*", "password2*"],
        "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE": True,
        "ACCOUNT_USERNAME_MIN_LENGTH": 3,
        "ACCOUNT_USERNAME_BLACKLIST": ["Admin"],
        "ACCOUNT_PRESERVE_USERNAME_CASING": False,
    },
    "made-up names": {
        **BY_LINK,
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "ACCOUNT_LOGIN_METHODS": {"username", "email"},
        "ACCOUNT_SIGNUP_FIELDS": ["email*", "username", "password1*"],
    },
    "tokens": TOKENS,
    "beginnings": STAGES,
    "second steps": STAGES,
    "stages with required codes": {
        **STAGES,
        "ACCOUNT_LOGIN_BY_CODE_REQUIRED": True,
        "ACCOUNT_LOGIN_BY_CODE_TRUST_ENABLED": True,
    },
    "stages with links": {**BY_LINK, **UNLIMITED, "ACCOUNT_REAUTHENTICATION_REQUIRED": True},
    "together": {
        **TOKENS,
        **KEYS,
        **LOGIN_CODES,
        **RESETS_BY_CODE,
        "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS": 5,
        "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND": True,
        "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE": True,
        "ACCOUNT_MAX_EMAIL_ADDRESSES": 3,
    },
}
"""What is otherwise on a journey than on the others."""


def configure(changes: dict[str, Any]) -> None:
    """Set Django up as deploy/development.env sets Countersign up, as far as both have it.

    `changes` are settings that differ from that.
    """
    common: dict[str, Any] = {
        "SECRET_KEY": "a key for this process only",
        "ALLOWED_HOSTS": ["testserver"],
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
            "allauth.mfa",
            "allauth.headless",
            "allauth.usersessions",
            "django.contrib.humanize",
        ],
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
            "allauth.usersessions.middleware.UserSessionsMiddleware",
        ],
        "ROOT_URLCONF": "tests.reference.urls",
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
        "TEMPLATES": [
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": f"django.contrib.auth.password_validation.{name}"} for name in VALIDATORS
        ],
        "ACCOUNT_LOGIN_METHODS": {"email"},
        "ACCOUNT_SIGNUP_FIELDS": ["email*", "password1*"],
        "ACCOUNT_EMAIL_VERIFICATION": "mandatory",
        "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED": True,
        "MFA_SUPPORTED_TYPES": ["recovery_codes", "totp"],
        "HEADLESS_ONLY": True,
        "HEADLESS_FRONTEND_URLS": {
            "account_confirm_email": "https://testserver/{key}",
            "account_reset_password": "https://testserver/reset",
            "account_reset_password_from_key": "https://testserver/{key}",
            "account_signup": "https://testserver/signup",
        },
        "USE_TZ": True,
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "LOGGING_CONFIG": None,
    }
    settings.configure(**(common | changes))
    django.setup()
    call_command("migrate", verbosity=0)


class Peer:
    """One client of django-allauth."""

    def __init__(self, kind: str) -> None:
        # None of these can be imported before Django is set up.
        from django.core import mail  # noqa: PLC0415
        from django.core.cache import cache  # noqa: PLC0415
        from django.test import Client  # noqa: PLC0415

        self.kind = kind
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.mail = mail
        self.cache = cache
        self.token: str | None = None
        self.now = time.time()
        self.waited = 0
        self.seen: list[Seen] = []

    def grant(self, wish: object) -> Any:
        """Return what the journey wants."""
        match wish:
            case Ask():
                return self.ask(wish)
            case MailedCode():
                last = getattr(self.mail, "outbox", [])[-1:]
                found = re.search(r"(?m)^[A-Z]{4}-[A-Z]{4}$", str(last[0].body) if last else "")
                return found.group() if found else ""
            case MailedKey(address=address):
                mails = [m for m in getattr(self.mail, "outbox", []) if address in m.to]
                found = re.search(LINK, str(mails[-1].body) if mails else "")
                return unquote(found[1]) if found else ""
            case Code(secret=secret, steps=steps):
                self.now += steps * PERIOD
                return pyotp.TOTP(secret).at(int(self.now))
            case _:
                return self.let(wish)

    def let(self, wish: object) -> None:
        """Let happen what is not answered."""
        match wish:
            case Forget():
                self.token = None
                self.client.cookies.pop("sessionid", None)
            case NoMail():
                getattr(self.mail, "outbox", []).clear()
            case Wait(seconds=seconds):
                self.waited += seconds
                self.now += seconds
            case CalmDown():
                self.cache.clear()
            case StartOver():
                self.start_over()

    def start_over(self) -> None:
        """Begin with nothing on either side."""
        self.token = None
        self.client.cookies.clear()
        self.cache.clear()
        self.let(NoMail())
        call_command("flush", interactive=False, verbosity=0)

    def time(self) -> float:
        """Return what time it is for logins and codes."""
        return time.time() + self.waited

    def ask(self, ask: Ask) -> Json:
        """Make a request, and keep what was seen of the answer."""
        content = ask.raw if ask.raw is not None else b""
        if ask.body is not None:
            content = json.dumps(ask.body).encode()
        response = self.client.generic(
            ask.method,
            f"/_allauth/{self.kind}/v1/{ask.path}",
            content,
            content_type="application/json",
            headers=self.headers(ask),
        )
        is_json = response.headers["Content-Type"].startswith("application/json")
        body: Json | None = json.loads(response.content) if is_json else None
        problems = [] if body is None else of_itself(_answer(self.kind, ask, body))
        assert not problems, (ask.name, body, problems)
        token = (body or {}).get("meta", {}).get("session_token")
        self.token = token or self.token
        self.seen.append(
            Seen(
                name=ask.name,
                status=response.status_code,
                body=body,
                no_store="no-store" in response.headers.get("Cache-Control", ""),
                holds=tuple(sorted(n for n, c in self.client.cookies.items() if c.value)),
                token=token is not None,
            )
        )
        return body or {}

    def headers(self, ask: Ask) -> dict[str, str]:
        """Return what this kind of client sends along."""
        headers = {"User-Agent": AGENT, **ask.headers}
        headers |= {} if ask.origin is None else {"Origin": ask.origin}
        if self.kind == "app":
            token = ask.session_token or self.token
            return headers | ({"X-Session-Token": token} if token else {})
        cookie = self.client.cookies.get("csrftoken")
        sent = ask.csrf_token or (cookie.value if cookie else "")
        return headers | {"X-CSRFToken": sent}


def _answer(kind: str, ask: Ask, body: Json) -> Answer:
    path = f"/_allauth/{kind}/v1/{ask.path.partition('?')[0]}"
    return Answer(method=ask.method, path=path, status=body["status"], body=body)


def main(kind: str, name: str) -> None:
    """Drive the journey of that name as a client of this kind."""
    configure(SETTINGS.get(name, {}))
    from allauth.account import models  # noqa: PLC0415
    from allauth.account.internal import stagekit  # noqa: PLC0415
    from allauth.account.internal.flows import (  # noqa: PLC0415
        code_verification,
        password_reset_by_code,
    )
    from allauth.mfa.totp.internal import auth  # noqa: PLC0415

    peer = Peer(kind)
    # A code is good in its own time step only, and those that are mailed for some minutes.
    auth.time = SimpleNamespace(time=lambda: peer.now)
    for module in (models, stagekit, code_verification, password_reset_by_code):
        module.time = SimpleNamespace(time=peer.time)
    steps = JOURNEYS[name]()
    wish = next(steps)
    while True:
        try:
            wish = steps.send(peer.grant(wish))
        except StopIteration:
            break
    json.dump([asdict(seen) for seen in peer.seen], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
