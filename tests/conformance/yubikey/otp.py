"""The Yubico OTP: 44 letters, of which 32 are an AES block with counters that only grow.

A public id of six bytes, then under the key's own AES-128 key: a private id (6 bytes), how often it
was plugged in (2), a timer (3), how often it was touched since (1), noise (2), and a checksum (2).
Bytes are written in modhex, which is where every keyboard layout has the same letters.
"""

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HEX = "0123456789abcdef"
MODHEX = "cbdefghijklnrtuv"
TO_MODHEX = str.maketrans(HEX, MODHEX)
FROM_MODHEX = str.maketrans(MODHEX, HEX)
PUBLIC, BLOCK, LENGTH = 12, 32, 44  # letters
GOOD = 0xF0B8  # what a block comes to, checksum and all (ISO 13239)


def to_modhex(raw: bytes) -> str:
    """Return bytes as a key types them."""
    return raw.hex().translate(TO_MODHEX)


def from_modhex(text: str) -> bytes:
    """Return the bytes that were typed. Raises ValueError."""
    if not set(text) <= set(MODHEX):
        raise ValueError("this is not modhex")
    return bytes.fromhex(text.translate(FROM_MODHEX))


def crc16(block: bytes) -> int:
    """Return the checksum of ISO 13239."""
    crc = 0xFFFF
    for byte in block:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc


@dataclass(frozen=True)
class Token:
    """What is in a block."""

    private_id: bytes = field(repr=False)
    sessions: int
    timer: int
    touches: int
    noise: int

    @property
    def position(self) -> int:
        """How far the key has come. No two tokens of it are at the same."""
        return self.sessions << 8 | self.touches

    def sealed(self, key: bytes) -> bytes:
        """Return the block."""
        body = (
            self.private_id
            + self.sessions.to_bytes(2, "little")
            + self.timer.to_bytes(3, "little")
            + self.touches.to_bytes(1, "little")
            + self.noise.to_bytes(2, "little")
        )
        plain = body + (0xFFFF ^ crc16(body)).to_bytes(2, "little")
        encryptor = _aes(key).encryptor()
        return encryptor.update(plain) + encryptor.finalize()

    @classmethod
    def opened(cls, block: bytes, key: bytes) -> "Token | None":
        """Return what is in a block, or None if another key has made it."""
        decryptor = _aes(key).decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        if crc16(plain) != GOOD:
            return None
        return cls(
            private_id=plain[:6],
            sessions=int.from_bytes(plain[6:8], "little"),
            timer=int.from_bytes(plain[8:11], "little"),
            touches=plain[11],
            noise=int.from_bytes(plain[12:14], "little"),
        )


@dataclass(frozen=True)
class Secret:
    """What is in a key, and nowhere else but at who judges it."""

    public_id: str
    private_id: bytes = field(repr=False)
    aes: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "Secret":
        """Return a fresh one."""
        public_id = to_modhex(secrets.token_bytes(6))
        return cls(public_id, secrets.token_bytes(6), secrets.token_bytes(16))

    def position_of(self, typed: str) -> int | None:
        """Return how far the key was when it typed that, or None if it was another key."""
        text = typed.strip().lower()
        if len(text) != LENGTH or text[:PUBLIC] != self.public_id:
            return None
        try:
            block = from_modhex(text[PUBLIC:])
        except ValueError:
            return None
        token = Token.opened(block, self.aes)
        return token.position if token and token.private_id == self.private_id else None


@dataclass
class YubiKey:
    """The key itself."""

    secret: Secret
    sessions: int = 1
    touches: int = 0

    def plug_in(self) -> None:
        """Begin a new session."""
        self.sessions, self.touches = self.sessions + 1, 0

    def touch(self) -> str:
        """Type the next one-time password."""
        self.touches += 1
        token = Token(
            private_id=self.secret.private_id,
            sessions=self.sessions,
            timer=secrets.randbelow(1 << 24),
            touches=self.touches,
            noise=secrets.randbelow(1 << 16),
        )
        return self.secret.public_id + to_modhex(token.sealed(self.secret.aes))


def _aes(key: bytes) -> Cipher[modes.ECB]:
    # A single block that is never the same twice: what the format asks for.
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
