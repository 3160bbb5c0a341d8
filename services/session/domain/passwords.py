"""Which passwords are too weak, in the terms of the public contract.

What is common is told by rule rather than by a long list: the words and patterns that lists of
leaked passwords consist of, whatever digits, signs or look-alike letters are put around them.
"""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from services.session.domain.faults import Fault

MIN_LENGTH = 8  # NIST SP 800-63B-4 section 3.1.1.2 for one factor of two; Django's validator too
SIMILARITY = 0.7  # of 1: Django's limit
MIN_PART = 3  # characters: shorter parts of an address are in everything
LONGEST_COMMON = 32  # characters; no list has longer ones, and looking for them takes time
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
WORDS = frozenset(
    """
    abc access account action admin administrator airplane alexander alexandra amanda america
    andrea andrew angel angels animal anthony apple april arsenal ashley asshole august austin
    babygirl banana barcelona baseball basketball batman beautiful bitch blessed blink bond
    boomer brandon buster butterfly casper change changeme charlie cheese chelsea chicken chocolate
    chris christian coffee computer cookie corvette cowboy cowboys creative dallas daniel danielle
    default demo dolphin donald dragon eagle eagles einstein elephant elizabeth eminem enter
    falcon family ferrari fish flower football forever freedom friend friends fuck fuckme fuckoff
    fuckyou gandalf george ginger giants gizmo golden google guest guitar hahaha hammer hannah
    happy harley heather hello hockey home honda hunter iceman iloveu iloveyou internet jackson
    jaguar jasmine jennifer jessica jesus johnny jordan joshua junior justin killer king knight
    lakers letmein liverpool login london love lovely loveme lover madison maggie manchester
    marina marlboro martin master matrix matthew maverick mercedes merlin michael michelle mickey
    midnight mike minecraft money monkey monster morgan mother mustang mynoob naruto nascar natasha
    nicholas nicole ninja nirvana nothing october oracle orange pass passion passphrase passwd
    password patrick peanut peaches pepper phoenix player please pokemon porsche prince princess
    private purple qwerty rabbit rainbow ranger rangers richard robert rocket root samantha
    samsung scooter secret security september server shadow shadows silver simple slayer snoopy
    soccer softball spider spiderman spring starwars stupid summer sunflower sunshine superman
    superstar system taylor temp temporary tennis test tester testing thomas thunder thx tigger
    tiger tinkerbell tomcat trustno trustnoone turtle unknown user vanessa victoria victor viking
    warrior welcome whatever wheels william willow windows winner winter wizard xavier yamaha
    yankees yellow zaq zxc
    """.split()  # noqa: SIM905 - a page of quotation marks says no more
)

DIGITS_OR_SIGNS = re.compile(r"[^a-z]+")


@dataclass(frozen=True, kw_only=True)
class PasswordRules:
    """Which rules new passwords are held to. Without a `similarity` no address is looked at."""

    min_length: int = MIN_LENGTH
    similarity: float | None = SIMILARITY
    refuse_common: bool = True
    refuse_numeric: bool = True


RULES = PasswordRules()


def password_faults(
    password: str, rules: PasswordRules = RULES, *, email: str | None, param: str = "password"
) -> list[Fault]:
    """Return everything that is wrong with a new password, in allauth's order of rules."""
    broken = []
    if email and rules.similarity and is_similar(password, email, rules.similarity):
        broken.append(("too_similar", "The password is too similar to the email address."))
    if len(password) < rules.min_length:
        least = f"It must contain at least {rules.min_length} characters."
        broken.append(("too_short", f"This password is too short. {least}"))
    if rules.refuse_common and is_common(password):
        broken.append(("too_common", "This password is too common."))
    if rules.refuse_numeric and password.isdigit():
        broken.append(("entirely_numeric", "This password is entirely numeric."))
    return [
        Fault(code=f"password_{code}", message=message, param=param) for code, message in broken
    ]


def is_similar(password: str, email: str, limit: float = SIMILARITY) -> bool:
    """Tell whether a password is like an address, or a part of it, by `limit` or more of 1."""
    address, lowered = email.lower(), password.lower()
    parts = {address, *re.split(r"\W+", address)}
    return any(_alike(lowered, part, limit) for part in parts if len(part) >= MIN_PART)


def is_common(password: str) -> bool:
    """Tell whether a password is one that guessers try first."""
    lowered = password.lower()
    if len(set(lowered)) <= 2:  # noqa: PLR2004 - one or two characters, over and over
        return True
    if len(lowered) > LONGEST_COMMON:
        return False
    return _is_pattern(lowered) or any(
        _is_words(DIGITS_OR_SIGNS.sub("", form)) for form in _spellings(lowered)
    )


def _spellings(lowered: str) -> set[str]:
    """Return the readings of a password: as it stands, and with look-alikes as letters.

    Digits at the end are mostly an appendix, not letters in disguise.
    """
    bare = re.sub(r"[\W\d_]+$", "", lowered)
    return {lowered, lowered.translate(LOOK_ALIKES), bare.translate(LOOK_ALIKES)}


def _is_words(letters: str) -> bool:
    """Tell whether `letters` are one common word, or one or two of them in a row."""
    if letters in WORDS:
        return True
    return any(
        letters[:cut] in WORDS and letters[cut:] in WORDS for cut in range(3, len(letters) - 2)
    )


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
