"""The rules of TOTP (RFC 6238). Pure: no clock, no database, no network."""

import hashlib
import hmac
import secrets
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote, urlencode

import pyotp

from shared.code_form import Alphabet, CodeForm

SECRET_BYTES = 20  # 160 bits (RFC 4226 section 4, R6)
ENROLMENT_LIFETIME = timedelta(minutes=10)


class Algorithm(StrEnum):
    """The hash under the HMAC, by its name in an otpauth URL."""

    SHA1 = "SHA1"
    SHA256 = "SHA256"
    SHA512 = "SHA512"


@dataclass(frozen=True)
class Policy:
    """How codes are made. Kept with each authenticator: settings may change, devices do not."""

    digits: int = 6
    period: int = 30  # seconds
    algorithm: Algorithm = Algorithm.SHA1

    @property
    def code_form(self) -> CodeForm:
        """What such codes look like."""
        return CodeForm(Alphabet.DIGITS, self.digits)


class Verdict(StrEnum):
    """What became of a code."""

    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the authenticator that it is about, if the code belonged to one."""

    verdict: Verdict
    authenticator_id: str | None = None


def new_secret() -> bytes:
    """Return the random seed of a new authenticator."""
    return secrets.token_bytes(SECRET_BYTES)


def readable(secret: bytes) -> str:
    """Return `secret` in base32, the form in which people and devices take it."""
    return b32encode(secret).decode()


def current_step(now: datetime, policy: Policy) -> int:
    """Return the number of the period that `now` is in (T of RFC 6238 section 4.2)."""
    return int(now.timestamp()) // policy.period


def match_step(
    secret: bytes, code: str, now: datetime, policy: Policy, tolerance: int
) -> int | None:
    """Return the time step that `code` belongs to, or None.

    `tolerance` is the number of steps accepted either side of now (RFC 6238 section 5.2).
    """
    current = current_step(now, policy)
    matched = None
    # All steps are tried, matched or not: the time taken tells nothing.
    for step in range(max(0, current - tolerance), current + tolerance + 1):
        if is_code_of(secret, code, step, policy):
            matched = step
    return matched


def is_code_of(secret: bytes, code: str, step: int, policy: Policy) -> bool:
    """Tell whether `code`, however it is written, is the code of that time step."""
    digits = policy.code_form.normalise(code)
    if digits is None:
        return False
    digest = getattr(hashlib, policy.algorithm.lower())
    # TOTP is HOTP over time steps (RFC 6238 section 4.2).
    hotp = pyotp.HOTP(readable(secret), digits=policy.digits, digest=digest)
    return hmac.compare_digest(hotp.generate_otp(step), digits)


def is_bypass(code: str, bypass_code: str) -> bool:
    """Tell whether `code` is the one that development settings let through, if they name one."""
    return bool(bypass_code) and hmac.compare_digest(code.encode(), bypass_code.encode())


def otpauth_url(secret: bytes, *, account_name: str, issuer: str, policy: Policy) -> str:
    """Return the key URI that authenticator apps read.

    Neither name keeps a colon, for a colon separates them. What has its default value is left
    out, as some apps refuse what they do not expect.
    """
    issuer, account_name = issuer.replace(":", " "), account_name.replace(":", " ")
    parameters: dict[str, str | int] = {"secret": readable(secret), "issuer": issuer}
    if policy.algorithm is not Algorithm.SHA1:
        parameters["algorithm"] = policy.algorithm
    if policy.digits != Policy.digits:
        parameters["digits"] = policy.digits
    if policy.period != Policy.period:
        parameters["period"] = policy.period
    label = f"{quote(issuer, safe='')}:{quote(account_name, safe='')}"
    return f"otpauth://totp/{label}?{urlencode(parameters, quote_via=quote)}"
