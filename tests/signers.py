"""Services that sign, each with a key pair of its own."""

import json
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.auth import PrivateKey


class Signer:
    """A service's key pair."""

    def __init__(self, issuer: str) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.key = PrivateKey(id=f"{issuer}-1", issuer=issuer, key=self.private)

    @property
    def public(self) -> dict[str, str]:
        """The entry for `CALLER_KEYS`."""
        raw = self.private.public_key().public_bytes_raw()
        return {"issuer": self.key.issuer, "key": b64encode(raw).decode()}

    @property
    def listed(self) -> str:
        """The text of `CALLER_KEYS` with the public half."""
        return json.dumps({self.key.id: self.public})
