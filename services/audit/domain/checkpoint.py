"""Signed statements on the tree: how many leaves it has, and which root.

The form is that of C2SP's tlog-checkpoint and signed-note (https://c2sp.org), Ed25519: whatever
reads those of other transparency logs reads these.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countersign_events.tree import HASH_BYTES

ED25519 = b"\x01"  # the type of signature, of a note's
KEY_ID_BYTES = 4
DASH = "\N{EM DASH} "  # what a line with a signature begins with

ORIGIN = re.compile(r"[^\s+]{1,128}")
"""What a log, and so its key, may be called."""

_BODY = re.compile(rf"({ORIGIN.pattern})\n(0|[1-9][0-9]{{0,18}})\n([A-Za-z0-9+/]{{43}}=)\n")
_NOTE = re.compile(
    rf"^[^\n]+\n[0-9]+\n[A-Za-z0-9+/=]+\n(?:(?!{DASH})[^\n]+\n)*\n(?:{DASH}[^\n]+\n)+",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Checkpoint:
    """The tree of `origin` had this root when it had `size` leaves."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


@dataclass(frozen=True)
class Verifier:
    """A key by which checkpoints are believed, under the name of its log."""

    origin: str
    key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Read a verifier key: `<name>+<key id, hex>+<base64 of 1 and the key>`.

        Raises ValueError.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = b64decode(encoded, validate=True)
            key = Ed25519PublicKey.from_public_bytes(raw.removeprefix(ED25519))
        except ValueError:
            key, raw = None, b""
        if key is None or raw[:1] != ED25519 or not ORIGIN.fullmatch(name):
            raise ValueError("must be of the form <name>+<key id>+<key>")
        verifier = cls(name, key)
        if verifier.key_id.hex() != key_id:
            raise ValueError("has a key id that is not that of its key")
        return verifier

    @property
    def text(self) -> str:
        """The verifier key, as others are given it."""
        encoded = b64encode(ED25519 + self.key.public_bytes_raw()).decode()
        return f"{self.origin}+{self.key_id.hex()}+{encoded}"

    @property
    def key_id(self) -> bytes:
        """What a signature says of the key that made it."""
        hashed = sha256(f"{self.origin}\n".encode() + ED25519 + self.key.public_bytes_raw())
        return hashed.digest()[:KEY_ID_BYTES]


class NoteFlaw(StrEnum):
    """Why a checkpoint is not believed."""

    UNREADABLE = "it cannot be read"
    FOREIGN = "it is of another log"
    UNKNOWN_KEY = "no known key has signed it"
    FORGED = "its signature does not fit"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Return a checkpoint as a signed note."""
    verifier = Verifier(checkpoint.origin, key.public_key())
    signature = verifier.key_id + key.sign(checkpoint.body.encode())
    return f"{checkpoint.body}\n{DASH}{checkpoint.origin} {b64encode(signature).decode()}\n"


def read(note: str, verifiers: Iterable[Verifier]) -> Checkpoint | NoteFlaw:
    """Return what a signed note says if one of `verifiers` has signed it, or what is wrong with it.

    Signatures of others, such as witnesses, are passed over.
    """
    body, _, signatures = note.partition("\n\n")
    found = _BODY.match(f"{body}\n")  # lines behind these may say more, and are signed too
    if found is None:
        return NoteFlaw.UNREADABLE
    checkpoint = Checkpoint(found[1], int(found[2]), b64decode(found[3]))
    known = {v.key_id: v for v in verifiers if v.origin == checkpoint.origin}
    if not known:
        return NoteFlaw.FOREIGN
    for name, raw in _signatures(signatures):
        verifier = known.get(raw[:KEY_ID_BYTES])
        if name == checkpoint.origin and verifier is not None:
            try:
                verifier.key.verify(raw[KEY_ID_BYTES:], f"{body}\n".encode())
            except InvalidSignature:
                return NoteFlaw.FORGED
            return checkpoint if len(checkpoint.root) == HASH_BYTES else NoteFlaw.UNREADABLE
    return NoteFlaw.UNKNOWN_KEY


def notes_in(text: str) -> Iterator[str]:
    """Yield the signed notes in a file of them. What a crash has left of one is passed over."""
    yield from (found[0] for found in _NOTE.finditer(text))


def _signatures(text: str) -> Sequence[tuple[str, bytes]]:
    found = []
    for line in text.splitlines():
        name, _, encoded = line.removeprefix(DASH).partition(" ")
        try:
            found.append((name, b64decode(encoded, validate=True)))
        except ValueError:
            continue
    return found
