"""Usernames: which there may be, which are one, and those that are made up for who gives none."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from services.session.domain.addresses import display_of, parse_address
from services.session.domain.faults import (
    USERNAME_BLACKLISTED,
    Fault,
    invalid_username,
    too_long,
    too_short,
)

MAX_USERNAME = 150  # characters, as in Django's own model of a user
MADE_UP = "user"  # what somebody is called of whom nothing is known

UNICODE = re.compile(r"[\w.@+-]+")
ASCII = re.compile(r"[\w.@+-]+", re.ASCII)
NO_PART = re.compile(r"[^\w\s@+.-]")


class Alphabet(StrEnum):
    """What usernames are written in: as Django's two validators of that name."""

    UNICODE = "unicode"
    ASCII = "ascii"


@dataclass(frozen=True, kw_only=True)
class UsernameRules:
    """Which usernames there may be. `blacklist` has canonical ones.

    Without `preserves_casing` they are kept in lower case, as people see them.
    """

    min_length: int = 1
    blacklist: frozenset[str] = frozenset()
    alphabet: Alphabet = Alphabet.UNICODE
    preserves_casing: bool = True

    def parse(self, text: str) -> str | Fault:
        """Return a username as it is kept and shown (NFKC, stripped), or what is wrong with it.

        An address is none: where people log in by either, it would be taken for somebody's.
        """
        name = unicodedata.normalize("NFKC", text).strip()
        if len(name) < self.min_length:
            return too_short("username", self.min_length, len(name))
        if len(name) > MAX_USERNAME:
            return too_long("username", MAX_USERNAME, len(name))
        if not self._is_written_well(name) or parse_address(name) is not None:
            return invalid_username(ascii_only=self.alphabet is Alphabet.ASCII)
        if key_of(name) in self.blacklist:
            return USERNAME_BLACKLISTED
        return name if self.preserves_casing else name.lower()

    def made_up(self, email: str | None) -> str:
        """Return what a username for the owner of an address may begin with.

        It may be too short, for something that nobody else has comes behind it.
        """
        local = "" if email is None else display_of(email)
        plain = unicodedata.normalize("NFKD", local).encode("ascii", "ignore").decode()
        name = re.sub(r"\s+", "_", NO_PART.sub("", plain).lower().strip())
        fits = self._is_written_well(name) and key_of(name) not in self.blacklist
        return name[: MAX_USERNAME // 2] if fits else MADE_UP

    def _is_written_well(self, name: str) -> bool:
        letters = ASCII if self.alphabet is Alphabet.ASCII else UNICODE
        return bool(letters.fullmatch(name))


def key_of(username: str) -> str:
    """Return what usernames that are one have in common (NFKC, case folded; UTR 36, 2.11.2).

    Case folding may undo the normal form, which is why it is made twice.
    """
    folded = unicodedata.normalize("NFKC", username).strip().casefold()
    return unicodedata.normalize("NFKC", folded)
