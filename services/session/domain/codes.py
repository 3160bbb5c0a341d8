"""Codes that are mailed: what they look like, and how often one may be guessed."""

import math
import secrets
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, no words (RFC 8628 section 6.1)
LENGTH = 8  # 34 bits: with three guesses, one in 8 thousand million
DIGITS_LENGTH = 9  # 30 bits
SHORTEST = 6
LONGEST = 16
TWO_GROUPS = 8  # characters at most; longer codes are shown in three


@dataclass(frozen=True, kw_only=True)
class CodeFormat:
    """What a code looks like: `length` letters or digits, shown in groups if it is `dashed`.

    As allauth's USER_CODE_FORMAT; without a `length` it is 8 letters or 9 digits.
    """

    numeric: bool = False
    length: int | None = None
    dashed: bool = True

    @property
    def characters(self) -> str:
        """What codes are made of."""
        return string.digits if self.numeric else ALPHABET

    @property
    def size(self) -> int:
        """How many characters a code has, dashes apart."""
        return self.length or (DIGITS_LENGTH if self.numeric else LENGTH)


LETTERS = CodeFormat()


@dataclass(frozen=True, kw_only=True)
class CodeRules:
    """How long a code is good, how many wrong ones end it, and how often it is sent anew."""

    format: CodeFormat = LETTERS
    max_failures: int = 3
    lifetime: timedelta = timedelta(minutes=15)
    max_resends: int = 0


RULES = CodeRules()


@dataclass(frozen=True, kw_only=True)
class MailedCode:
    """A code that is awaited since `made_at`. Only its keyed hash is kept.

    Sent anew it is another code, but failures and age stay.
    """

    hash: bytes
    made_at: datetime
    failures: int = 0
    resends: int = 0

    def failed(self, rules: CodeRules = RULES) -> "MailedCode | None":
        """Return the code with one wrong guess more, or None: that was the last."""
        failures = self.failures + 1
        return replace(self, failures=failures) if failures < rules.max_failures else None

    def is_over(self, now: datetime, rules: CodeRules = RULES) -> bool:
        """Tell whether it is too late for the code."""
        return now >= self.made_at + rules.lifetime

    def can_be_resent(self, rules: CodeRules) -> bool:
        """Tell whether another one may be sent in its place."""
        return self.resends < rules.max_resends

    def resent(self, hash: bytes) -> "MailedCode":
        """Return the code that takes its place."""
        return replace(self, hash=hash, resends=self.resends + 1)


def new_code(
    format: CodeFormat = LETTERS,
    choose: Callable[[Sequence[str]], str] = secrets.choice,
) -> str:
    """Return a fresh code as it is shown: by default in two groups of four, as BCDF-GHJK."""
    code = "".join(choose(format.characters) for _ in range(format.size))
    if not format.dashed:
        return code
    group = math.ceil(format.size / (2 if format.size <= TWO_GROUPS else 3))
    return "-".join(code[i : i + group] for i in range(0, format.size, group))


def normalise_code(text: str) -> str:
    """Return what is compared: case, dashes and white space do not count."""
    return "".join(text.replace("-", "").split()).upper()
