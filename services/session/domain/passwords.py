"""Which passwords are too weak, in the terms of the public contract.

What is common is told by a list, which is handed in, and by a few rules for what no list can hold:
digits and signs put around its entries, letters that only look otherwise, keys in a row.
"""

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from services.session.domain.faults import Fault

MIN_LENGTH = 8  # NIST SP 800-63B-4 section 3.1.1.2 for one factor of two; Django's validator too
SIMILARITY = 0.7  # of 1: Django's limit
MIN_PART = 3  # characters: shorter parts of an address are in everything
LONGEST_COMMON = 32  # characters; no list has longer ones, and looking for them takes time
DECORATION = 6  # characters: a date, or a year and two signs
RUN = 4  # characters: from here on a row of keys or an alphabet is no accident

LOOK_ALIKES = str.maketrans("@4310$5!7", "aaeiossit")
KEY_ROWS = (
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiopu",
    "azertyuiop",
    "1qaz2wsx3edc4rfv5tgb",
    "1q2w3e4r5t6y7u8i9o0p",
)
SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", *KEY_ROWS)

SIGNS = r"[\W\d_]+"
AT_START = re.compile(rf"\A{SIGNS}")
AT_END = re.compile(rf"{SIGNS}\Z")


PASSWORD_CODES = (
    "password_entirely_numeric",
    "password_too_common",
    "password_too_short",
    "password_too_similar",
)
"""Codes of what `password_faults` finds."""


@dataclass(frozen=True, kw_only=True)
class PasswordRules:
    """Which rules new passwords are held to. Without a `similarity` no name is looked at.

    `common` are the passwords, in lower case, of which `refuse_common` speaks, beside its rules.
    """

    min_length: int = MIN_LENGTH
    similarity: float | None = SIMILARITY
    refuse_common: bool = True
    refuse_numeric: bool = True
    common: frozenset[str] = field(default=frozenset(), repr=False)


RULES = PasswordRules()


def password_faults(
    password: str,
    rules: PasswordRules = RULES,
    *,
    email: str | None,
    username: str | None = None,
    param: str = "password",
) -> list[Fault]:
    """Return everything that is wrong with a new password, in allauth's order of rules."""
    broken = []
    theirs = {"username": username, "email address": email}
    for what, value in theirs.items():
        if value and rules.similarity and is_similar(password, value, rules.similarity):
            broken.append(("too_similar", f"The password is too similar to the {what}."))
            break
    if len(password) < rules.min_length:
        least = f"It must contain at least {rules.min_length} characters."
        broken.append(("too_short", f"This password is too short. {least}"))
    if rules.refuse_common and is_common(password, rules.common):
        broken.append(("too_common", "This password is too common."))
    if rules.refuse_numeric and password.isdigit():
        broken.append(("entirely_numeric", "This password is entirely numeric."))
    return [
        Fault(code=f"password_{code}", message=message, param=param) for code, message in broken
    ]


def is_similar(password: str, value: str, limit: float = SIMILARITY) -> bool:
    """Tell whether a password is like `value`, or a part of it, by `limit` or more of 1."""
    whole, lowered = value.lower(), password.lower()
    parts = {whole, *re.split(r"\W+", whole)}
    return any(_alike(lowered, part, limit) for part in parts if len(part) >= MIN_PART)


def is_common(password: str, common: frozenset[str] = frozenset()) -> bool:
    """Tell whether a password is one that guessers try first: of `common`, or made like them."""
    lowered = password.lower()
    if len(set(lowered)) <= 2:  # noqa: PLR2004 - one or two characters, over and over
        return True
    if len(lowered) > LONGEST_COMMON:
        return False
    return _is_pattern(lowered) or any(
        form in common or (_once(form) or "") in common for form in _readings(lowered)
    )


def _readings(lowered: str) -> set[str]:
    """Return what a password may be made of: itself, bared, and with look-alikes as letters.

    It is bared of digits and signs around it, if they are few. Those at the end are mostly an
    appendix and not letters in disguise, so it is read with and without them.
    """
    bodies = {lowered, AT_END.sub("", lowered)}
    readable = bodies | {body.translate(LOOK_ALIKES) for body in bodies}
    bared = readable | {AT_START.sub("", body) for body in readable}
    return {form for form in bared if len(lowered) - len(form) <= DECORATION}


def _once(form: str) -> str | None:
    """Return what is written twice in a row, or None."""
    half = form[: len(form) // 2]
    return half if half * 2 == form else None


def _is_pattern(lowered: str) -> bool:
    """Tell whether nothing is left but runs along a keyboard or an alphabet, and repetition."""
    rest = lowered
    while rest:
        run = _run_at_start(rest)
        if run < RUN and run != len(rest):
            return len(rest) <= 2 and rest != lowered  # noqa: PLR2004 - a stray sign at the end
        rest = rest[run:]
    return True


def _run_at_start(text: str) -> int:
    """Return the length of the longest run that `text` begins with, at least 1."""
    repeated = len(text) - len(text.lstrip(text[0]))
    longest = max(repeated, 1)
    for sequence in (*SEQUENCES, *(s[::-1] for s in SEQUENCES)):
        for length in range(len(text), longest, -1):
            if text[:length] in sequence:
                longest = length
                break
    return longest


def _alike(password: str, part: str, limit: float) -> bool:
    """Compare as Django does. Lengths that differ too much cannot be alike: spare the work."""
    if 2 * min(len(password), len(part)) < limit * (len(password) + len(part)):
        return False
    return SequenceMatcher(a=password, b=part).quick_ratio() >= limit
