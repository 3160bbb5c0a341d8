"""Drives the journey through django-allauth, in a process of its own, and prints what it saw.

    python -m tests.reference.peer app|browser whole|trust|keys|passkeys

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

import django
import pyotp
from django.conf import settings
from django.core.management import call_command

from tests.reference.journey import (
    AGENT,
    Ask,
    CalmDown,
    Code,
    Forget,
    Journey,
    Json,
    MailedCode,
    Seen,
    journey,
)
from tests.reference.keys import keys_journey
from tests.reference.passkeys import passkeys_journey
from tests.reference.trust import trust_journey

VALIDATORS = (
    "UserAttributeSimilarityValidator",
    "MinimumLengthValidator",
    "CommonPasswordValidator",
    "NumericPasswordValidator",
)
PERIOD = 30  # seconds


ORIGIN = "https://testserver"
JOURNEYS: dict[str, Callable[[], Journey]] = {
    "whole": journey,
    "trust": trust_journey,
    "keys": lambda: keys_journey(ORIGIN),
    "passkeys": lambda: passkeys_journey(ORIGIN),
}
WITH_KEYS = frozenset({"keys", "passkeys"})  # journeys on which there are any


def configure(*, trust: bool, keys: bool) -> None:
    """Set Django up as deploy/development.env sets Countersign up, as far as both have it.

    Browsers can be trusted only if `trust`, and there are keys only if `keys`.
    """
    settings.configure(
        SECRET_KEY="a key for this process only",
        ALLOWED_HOSTS=["testserver"],
        INSTALLED_APPS=[
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
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
            "allauth.usersessions.middleware.UserSessionsMiddleware",
        ],
        ROOT_URLCONF="tests.reference.urls",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        AUTH_PASSWORD_VALIDATORS=[
            {"NAME": f"django.contrib.auth.password_validation.{name}"} for name in VALIDATORS
        ],
        ACCOUNT_LOGIN_METHODS={"email"},
        ACCOUNT_SIGNUP_FIELDS=["email*", "password1*"],
        ACCOUNT_EMAIL_VERIFICATION="mandatory",
        ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED=True,
        MFA_SUPPORTED_TYPES=["recovery_codes", "totp", *(["webauthn"] if keys else [])],
        MFA_PASSKEY_LOGIN_ENABLED=keys,
        MFA_PASSKEY_SIGNUP_ENABLED=keys,
        MFA_TRUST_ENABLED=trust,
        HEADLESS_ONLY=True,
        HEADLESS_FRONTEND_URLS={
            "account_confirm_email": "https://testserver/{key}",
            "account_reset_password": "https://testserver/reset",
            "account_reset_password_from_key": "https://testserver/{key}",
            "account_signup": "https://testserver/signup",
        },
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        LOGGING_CONFIG=None,
    )
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
        self.client = Client(enforce_csrf_checks=True)
        self.mail = mail
        self.cache = cache
        self.token: str | None = None
        self.now = time.time()
        self.seen: list[Seen] = []

    def grant(self, wish: object) -> Any:
        """Return what the journey wants."""
        match wish:
            case Ask():
                return self.ask(wish)
            case MailedCode():
                found = re.search(r"(?m)^[A-Z]{4}-[A-Z]{4}$", str(self.mail.outbox[-1].body))
                return found.group() if found else ""
            case Code(secret=secret, steps=steps):
                self.now += steps * PERIOD
                return pyotp.TOTP(secret).at(int(self.now))
            case Forget():
                self.token = None
                self.client.cookies.pop("sessionid", None)
            case CalmDown():
                self.cache.clear()
        return None

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
        headers = {"User-Agent": AGENT} | ({} if ask.origin is None else {"Origin": ask.origin})
        if self.kind == "app":
            token = ask.session_token or self.token
            return headers | ({"X-Session-Token": token} if token else {})
        cookie = self.client.cookies.get("csrftoken")
        sent = ask.csrf_token or (cookie.value if cookie else "")
        return headers | {"X-CSRFToken": sent}


def main(kind: str, name: str) -> None:
    """Drive the journey of that name as a client of this kind."""
    configure(trust=name == "trust", keys=name in WITH_KEYS)
    from allauth.mfa.totp.internal import auth  # noqa: PLC0415

    peer = Peer(kind)
    # The one clock that the journey has to move: a code is good in its own time step only.
    auth.time = SimpleNamespace(time=lambda: peer.now)
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
