"""Codes that are mailed: what they look like, and how often one may be guessed."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, no words (RFC 8628 section 6.1)
LENGTH = 8  # 34 bits: with three guesses, one in 8 thousand million
MAX_FAILURES = 3  # allauth's ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class MailedCode:
    """A code that is awaited. Only its keyed hash is kept."""

    hash: bytes
    failures: int = 0

    def failed(self) -> "MailedCode | None":
        """Return the code with one wrong guess more, or None: that was the last."""
        failures = self.failures + 1
        return replace(self, failures=failures) if failures < MAX_FAILURES else None


def new_code(choose: Callable[[Sequence[str]], str] = secrets.choice) -> str:
    """Return a fresh code as it is shown: two groups of four letters, such as BCDF-GHJK."""
    letters = "".join(choose(ALPHABET) for _ in range(LENGTH))
    return f"{letters[: LENGTH // 2]}-{letters[LENGTH // 2 :]}"


def normalise_code(text: str) -> str:
    """Return what is compared: case, dashes and white space do not count."""
    return "".join(text.replace("-", "").split()).upper()
