"""A phone with passkeys and the browser on it, in software: for a walk that has neither.

It takes and gives the JSON that pages hand on (WebAuthn Level 3, section 5.1). Its private keys are
in memory, and it asks nobody before it signs: nothing for real people.
"""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256

Json = dict[str, Any]

# Flags of section 6.1: the user was there, the user was verified, a credential comes along.
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Passkey:
    """A key pair, for one person of one site."""

    id: bytes
    rp_id: str
    user_handle: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass
class Phone:
    """Makes passkeys and uses them, as a page of `origin` asks it to."""

    origin: str
    passkeys: list[Passkey] = field(default_factory=list)

    def create(self, options: Json) -> Json:
        """Do what `navigator.credentials.create` does, and return the credential's `toJSON()`."""
        asked = options["publicKey"]
        key = ec.generate_private_key(ec.SECP256R1())
        passkey = Passkey(secrets.token_bytes(32), asked["rp"]["id"], asked["user"]["id"], key)
        self.passkeys.append(passkey)
        public = cbor.encode(ES256.from_cryptography_key(key.public_key()))  # type: ignore[no-untyped-call]
        attested = bytes(16) + struct.pack(">H", len(passkey.id)) + passkey.id + public
        data = _data(passkey, PRESENT | VERIFIED | ATTESTED) + attested
        made = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        return _json(
            passkey,
            {"credProps": {"rk": True}},
            clientDataJSON=self._client_data("webauthn.create", asked),
            attestationObject=made,
        )

    def get(self, options: Json) -> Json:
        """Do what `navigator.credentials.get` does, and return the credential's `toJSON()`."""
        asked = options["publicKey"]
        named = {allowed["id"] for allowed in asked["allowCredentials"]}
        passkey = next(
            passkey
            for passkey in self.passkeys
            if passkey.rp_id == asked["rpId"] and (not named or _text(passkey.id) in named)
        )
        data = _data(passkey, PRESENT | VERIFIED)
        client_data = self._client_data("webauthn.get", asked)
        signed = data + hashlib.sha256(client_data).digest()
        return _json(
            passkey,
            {},
            clientDataJSON=client_data,
            authenticatorData=data,
            signature=passkey.key.sign(signed, ec.ECDSA(SHA256())),
            userHandle=_bytes(passkey.user_handle),
        )

    def _client_data(self, type: str, asked: Json) -> bytes:
        """Return what the browser vouches for: which page asks, for what, and just now."""
        members = {"type": type, "challenge": asked["challenge"], "origin": self.origin}
        return json.dumps(members | {"crossOrigin": False}).encode()


def _data(passkey: Passkey, flags: int) -> bytes:
    """Return authenticator data; synced passkeys do not count their signatures, nor does this."""
    return hashlib.sha256(passkey.rp_id.encode()).digest() + struct.pack(">BI", flags, 0)


def _json(passkey: Passkey, extensions: Json, **response: bytes) -> Json:
    named = _text(passkey.id)
    return {
        "id": named,
        "rawId": named,
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "response": {name: _text(value) for name, value in response.items()},
        "clientExtensionResults": extensions,
    }


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
