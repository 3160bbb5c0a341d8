"""How a person proved who they are, and how much that is worth."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MAX_METHODS = 32  # records kept in one session: reauthentication adds one each time


class MethodKind(StrEnum):
    """By what means."""

    PASSWORD = "password"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    CODE = "code"
    MFA = "mfa"


BY_MAIL = frozenset({MethodKind.CODE, MethodKind.PASSWORD_RESET})
"""Kinds of proof that whoever reads a person's mails can give, alone or together."""

MAILED_CODE = ("mca",)
"""What a code or link that was mailed proves: that its channel is the person's as well (RFC 8176).

It is no one-time password of RFC 4226 or 6238, and no out-of-band authenticator either, for which
NIST SP 800-63B-4 does not take e-mail: it adds no factor to another proof.
"""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One proof that was accepted.

    `amr` are authentication method references (RFC 8176); `id` and `type` name the authenticator.
    `email` or `username` is what was typed. One that is `passwordless` has logged the person in by
    itself.
    """

    kind: MethodKind
    at: datetime
    amr: tuple[str, ...]
    email: str | None = None
    username: str | None = None
    id: str | None = None
    type: str | None = None
    reauthenticated: bool = False
    passwordless: bool = False


def amr(methods: Iterable[Method]) -> tuple[str, ...]:
    """Return the references of all `methods`, in order and once each; `mfa` if there are several.

    `mfa` stands for more than one *kind* of proof (RFC 8176 section 2): two passwords are one, and
    so are two references of one key.
    """
    proofs = tuple(methods)
    names = [name for method in proofs for name in method.amr]
    return tuple(dict.fromkeys([*names, *(["mfa"] if assurance_level(proofs) > 1 else [])]))


def assurance_level(methods: Iterable[Method]) -> int:
    """Return the authenticator assurance level, 1 or 2 (NIST SP 800-63B-4 section 2).

    A passkey that verifies its user, as it has to in order to log in alone, is two factors in one.
    What was mailed is none: not a code, and not a password that was reset by mail.
    """
    proofs = tuple(methods)
    kinds = {method.kind for method in proofs} - BY_MAIL
    return 2 if len(kinds) > 1 or any(method.passwordless for method in proofs) else 1


def add_method(methods: tuple[Method, ...], method: Method) -> tuple[Method, ...]:
    """Return `methods` with one more. Beyond the bound the oldest reauthentication is dropped."""
    grown = [*methods, method]
    if len(grown) > MAX_METHODS:
        oldest = next((i for i, m in enumerate(grown) if m.reauthenticated), 0)
        del grown[oldest]
    return tuple(grown)


def reauthenticated_within(methods: Iterable[Method], window: timedelta, now: datetime) -> bool:
    """Tell whether the person has proved themselves again, less than `window` ago.

    The login itself does not count: whoever finds a session open has not made it.
    """
    return any(m.reauthenticated and now - window < m.at <= now for m in methods)
