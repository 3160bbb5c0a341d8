"""What a code that is typed looks like: which factor it may be for is told by its form alone."""

import re
from dataclasses import dataclass
from enum import StrEnum

SEPARATORS = re.compile(r"[\s\-\u2010-\u2015]+")  # people type codes as they are grouped
GROUP = 4  # characters of a code that stand together
FORM = re.compile(r"(digits|base32):([1-9][0-9]?)", re.ASCII)


class Alphabet(StrEnum):
    """The characters of a code."""

    DIGITS = "digits"
    BASE32 = "base32"  # RFC 4648 section 6: no 0, 1, 8 or 9 to be taken for a letter

    @property
    def characters(self) -> str:
        """All of them, in the form in which codes are written."""
        return "0123456789" if self is Alphabet.DIGITS else "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class CodeForm:
    """So many characters of that alphabet. Written `digits:8` or `base32:16`."""

    alphabet: Alphabet
    length: int

    def __str__(self) -> str:
        return f"{self.alphabet}:{self.length}"

    @classmethod
    def parse(cls, text: str) -> "CodeForm":
        """Return the form that `text` names. Raises ValueError for what is none."""
        found = FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not a form such as digits:8 or base32:16")
        return cls(Alphabet(found[1]), int(found[2]))

    def normalise(self, text: str) -> str | None:
        """Return the code in `text`, however it is cased and grouped, or None if it is of no such
        form."""
        code = SEPARATORS.sub("", text)
        # ASCII first: some letters of other scripts become A to Z in capitals.
        if len(code) != self.length or not code.isascii():
            return None
        code = code.upper()
        return code if set(code) <= set(self.alphabet.characters) else None

    def grouped(self, code: str) -> str:
        """Return a normalised code as people read it: letters in fours, digits as they are."""
        if self.alphabet is Alphabet.DIGITS:
            return code
        return "-".join(code[at : at + GROUP] for at in range(0, len(code), GROUP))
