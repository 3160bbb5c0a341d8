"""The rules of recovery codes (NIST SP 800-63B-4 section 3.1.2: look-up secrets).

Pure: no clock, no database, no network.
"""

import math
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.code_form import SEPARATORS, CodeForm

LEAST_BITS = 20  # of a code whose guesses are counted (63B-4 section 3.1.2.1)
LONGEST = 32  # characters that people are asked to type
TYPED = re.compile(rf"[0-9A-Z]{{1,{LONGEST}}}", re.ASCII)


@dataclass(frozen=True)
class Policy:
    """How sets are made and shown. The form is kept with each set; all else is as it is set now.

    `confirm` is heeded when a set is made: switching it on leaves the sets that there are alone.
    """

    form: CodeForm
    count: int = 10
    show_once: bool = False
    warn_at: int = 3  # unused codes; a whole set is never low
    confirm: bool = False


@dataclass(frozen=True)
class CodeSet:
    """The codes of a person, without the codes. `session_id` made it, and may ask for it again.

    `confirmed_at` is when it was sure that somebody has the codes; `has_copies` tells whether
    they can still be shown.
    """

    id: str
    user_id: str
    session_id: str = field(repr=False)
    form: CodeForm
    total: int
    unused: int
    created_at: datetime
    last_used_at: datetime | None
    viewed_at: datetime | None
    confirmed_at: datetime | None
    has_copies: bool


@dataclass(frozen=True)
class Use:
    """What is left of a set after one of its codes has been spent."""

    set_id: str
    unused: int
    total: int


class Verdict(StrEnum):
    """What became of a code."""

    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what is left of the set if a code was spent."""

    verdict: Verdict
    use: Use | None = None


def bits_of(form: CodeForm) -> float:
    """Return how many bits a guesser has to guess."""
    return form.length * math.log2(len(form.alphabet.characters))


def check_form(form: CodeForm) -> None:
    """Raise ValueError if such codes are too easy to guess, or too long to type."""
    if bits_of(form) < LEAST_BITS:
        raise ValueError(f"{form} has fewer than {LEAST_BITS} bits: make it longer")
    if form.length > LONGEST:
        raise ValueError(f"{form} has more than {LONGEST} characters: make it shorter")


def new_codes(
    form: CodeForm, count: int, choose: Callable[[Sequence[str]], str] = secrets.choice
) -> tuple[str, ...]:
    """Return `count` random codes, normalised, no two of them alike."""
    characters = form.alphabet.characters
    codes: dict[str, None] = {}
    while len(codes) < count:
        codes["".join(choose(characters) for _ in range(form.length))] = None
    return tuple(codes)


def canonical(text: str) -> str | None:
    """Return what is looked up of a code that was typed, or None if it can be no code.

    The same as the form of its set makes of it, without that form being known.
    """
    code = SEPARATORS.sub("", text)
    if (
        not code.isascii()
    ):  # before it is put in capitals: other scripts have letters that become A-Z
        return None
    code = code.upper()
    return code if TYPED.fullmatch(code) else None


def is_low(policy: Policy, *, unused: int, total: int) -> bool:
    """Tell whether so few codes are left that the person should make new ones."""
    return unused < total and unused <= policy.warn_at


def is_confirmed(policy: Policy, kept: CodeSet) -> bool:
    """Tell whether the set counts as set up."""
    return not policy.confirm or kept.confirmed_at is not None


def may_be_shown(policy: Policy, kept: CodeSet) -> bool:
    """Tell whether the codes may be seen (again)."""
    return kept.has_copies and not (policy.show_once and kept.viewed_at is not None)


def facts_of(policy: Policy, kept: CodeSet) -> dict[str, str | int | bool]:
    """Return what everybody who shows the set may know of it."""
    return {
        "code_form": str(kept.form),
        "total": kept.total,
        "unused": kept.unused,
        "low": is_low(policy, unused=kept.unused, total=kept.total),
        "confirmed": is_confirmed(policy, kept),
    }


def changed_by(policy: Policy, use: Use) -> dict[str, int | bool]:
    """Return those of the facts that a use has changed."""
    low = is_low(policy, unused=use.unused, total=use.total)
    return {"unused": use.unused, "low": low, "confirmed": True}


def has_confirmed(policy: Policy, use: Use) -> bool:
    """Tell whether it was this use that proved that the codes were saved: the first of its set."""
    return policy.confirm and use.unused == use.total - 1
