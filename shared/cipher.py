"""Secrets sealed at rest with AES-256-GCM, under a ring of keys that can be turned."""

import json
import os
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import CountersignError
from shared.token import join_parts

VERSION = 1
NONCE_BYTES = 12  # NIST SP 800-38D section 5.2.1.1 recommends 96 bits
KEY_BYTES = 32
MAX_KEY_ID = 255  # its length takes one byte of the sealed value


class CannotOpen(CountersignError):
    """A sealed value does not open: altered, moved to another record, or its key is gone.

    Never the caller's mistake. Something is broken, or somebody has been at the database.
    """

    code = "cannot_open"


@dataclass(frozen=True)
class KeyRing:
    """Keys by id. `primary` seals, all of them open; each is 32 random bytes."""

    primary: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.primary not in self.keys:
            raise ValueError("its primary key is not among its keys")
        if any(len(key) != KEY_BYTES for key in self.keys.values()):
            raise ValueError(f"each key must be {KEY_BYTES} bytes long")
        if any(not 0 < len(name.encode()) <= MAX_KEY_ID for name in self.keys):
            raise ValueError(f"each key id must have between 1 and {MAX_KEY_ID} bytes")

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read `{"primary": "<id>", "keys": {"<id>": "<base64 of 32 bytes>"}}`.

        Raises ValueError, whose message repeats nothing of `text`.
        """
        try:
            document = json.loads(text)
            primary, encoded = str(document["primary"]), document["keys"]
            keys = {str(name): b64decode(key, validate=True) for name, key in encoded.items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            shape = '{"primary": "<id>", "keys": {"<id>": "<base64 of 32 bytes>"}}'
            raise ValueError(f"must be JSON of the form {shape}") from None
        return cls(primary=primary, keys=keys)


class Cipher:
    """Seals and opens values for one purpose, such as "totp.secret".

    A sealed value is: version, length of the key id, key id, nonce, ciphertext with tag.
    """

    def __init__(self, ring: KeyRing, purpose: str) -> None:
        self._primary = ring.primary
        self._purpose = purpose
        self._keys = {name: AESGCM(_derive(key, purpose)) for name, key in ring.keys.items()}

    def seal(self, plain: bytes, *, bound_to: Sequence[str]) -> bytes:
        """Encrypt `plain` so that it opens only with the same `bound_to`.

        `bound_to` names the place: service, table, column, record id, user id. A value that is
        copied to another row does not open there.
        """
        name = self._primary.encode()
        header = bytes([VERSION, len(name)]) + name
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._primary].encrypt(nonce, plain, self._context(header, bound_to))
        return header + nonce + sealed

    def open(self, sealed: bytes, *, bound_to: Sequence[str]) -> bytes:
        """Return what was sealed. Raises CannotOpen."""
        header, name = _split(sealed)
        key = self._keys.get(name)
        if key is None:
            raise CannotOpen("A value is sealed with a key that is not on the ring.")
        nonce_end = len(header) + NONCE_BYTES
        nonce, ciphertext = sealed[len(header) : nonce_end], sealed[nonce_end:]
        try:
            return key.decrypt(nonce, ciphertext, self._context(header, bound_to))
        except (InvalidTag, ValueError):
            raise CannotOpen("A sealed value was altered or moved.") from None

    def needs_resealing(self, sealed: bytes) -> bool:
        """Tell whether a key other than the primary sealed this value. Raises CannotOpen."""
        return key_of(sealed) != self._primary

    def _context(self, header: bytes, bound_to: Sequence[str]) -> bytes:
        return join_parts(header, self._purpose, *bound_to)


def key_of(sealed: bytes) -> str:
    """Return the id of the key that sealed a value. Raises CannotOpen."""
    return _split(sealed)[1]


def _derive(key: bytes, purpose: str) -> bytes:
    """Return the key for `purpose`: what leaks or wears out in one use leaves the others alone."""
    info = join_parts("countersign sealing", purpose)
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


def _split(sealed: bytes) -> tuple[bytes, str]:
    """Return the header of a sealed value, and the key id in it."""
    try:
        version, length = sealed[0], sealed[1]
        header = sealed[: 2 + length]
        name = header[2:].decode()
    except (IndexError, UnicodeDecodeError):
        raise CannotOpen("A sealed value is damaged.") from None
    if version != VERSION or len(header) != 2 + length:
        raise CannotOpen("A sealed value is damaged.")
    return header, name
