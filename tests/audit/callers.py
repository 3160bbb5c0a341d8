"""Who calls the ledger in tests, and with what."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.auth import Caller, PrivateKey, PublicKey, PublicKeys

OPERATOR = PrivateKey("operator-1", "operator", Ed25519PrivateKey.from_private_bytes(b"o" * 32))
SESSION = PrivateKey("session-1", "session", Ed25519PrivateKey.from_private_bytes(b"s" * 32))
TOTP = PrivateKey("totp-1", "totp", Ed25519PrivateKey.from_private_bytes(b"t" * 32))
CALLER_KEYS = PublicKeys(
    {k.id: PublicKey(k.issuer, k.key.public_key()) for k in (OPERATOR, SESSION, TOTP)}
)


def bearer(key: PrivateKey, audience: str = "audit") -> dict[str, str]:
    """Return the header with which the owner of `key` calls `audience`."""
    return {"authorization": f"Bearer {Caller(key).token_for(audience)}"}
