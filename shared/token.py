"""Random tokens, and the hashes under which they are kept."""

import hashlib
import hmac
import secrets


def new_token(bytes: int = 32) -> str:
    """Return `bytes` random bytes from the system's generator, as unpadded base64url."""
    return secrets.token_urlsafe(bytes)


def hash_token(token: str) -> bytes:
    """Return the SHA-256 of `token`: how a token of 128 bits or more is stored and looked up."""
    return hashlib.sha256(token.encode()).digest()


def keyed_hash(key: bytes, *parts: str | bytes) -> bytes:
    """Return the HMAC-SHA256 of `parts` under `key`, for values too short to be hashed bare."""
    return hmac.digest(key, join_parts(*parts), "sha256")


def join_parts(*parts: str | bytes) -> bytes:
    """Join `parts` so that no two different lists of parts give the same bytes.

    Each is preceded by its length, for otherwise ("ab", "c") and ("a", "bc") would look alike.
    """
    joined = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        joined += len(raw).to_bytes(4, "big") + raw
    return bytes(joined)
