"""A browser and an authenticator in software, who can misbehave in every way that matters.

It speaks the JSON of section 5.1: options in as `parseCreationOptionsFromJSON` and
`parseRequestOptionsFromJSON` take them, credentials out as `toJSON()` gives them.
"""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from fido2 import cbor
from fido2.cose import ES256, ES384, ES512, RS256, CoseKey, Ed448, EdDSA
from fido2.utils import websafe_decode, websafe_encode

ORIGIN = "https://example.com"
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80

Json = dict[str, Any]
Private = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | rsa.RSAPrivateKey
)

KINDS: dict[str, type[CoseKey]] = {
    "ES256": ES256,
    "ES384": ES384,
    "ES512": ES512,
    "EdDSA": EdDSA,
    "Ed448": Ed448,
    "RS256": RS256,
}
HASHES = {"ES256": SHA256(), "ES384": SHA384(), "ES512": SHA512()}


@dataclass(frozen=True)
class Lies:
    """What is to be false in an answer. What is None is as it should be."""

    # of the browser
    type: str | None = None
    challenge: bytes | str | None = None
    origin: str | None = None
    cross_origin: Any = None
    top_origin: Any = None
    client_data: bytes | None = None
    id: Any = None
    raw_id: Any = None
    credential_type: Any = None
    transports: Any = None
    extensions: Any = None
    # of the authenticator
    rp_id: str | None = None
    set_flags: int = 0
    clear_flags: int = 0
    counter: int | None = None
    credential_id: bytes | None = None
    public_key: Mapping[int, Any] | None = None
    authenticator_data: bytes | None = None
    attestation_object: bytes | None = None
    signature: bytes | None = None
    signs: bytes | None = None  # other data than it should
    user_handle: bytes | None = None
    no_user_handle: bool = False
    trailing: bytes = b""  # after the authenticator data


HONEST = Lies()


@dataclass
class Credential:
    """A key pair that the authenticator keeps."""

    id: bytes
    kind: str
    key: Private
    rp_id: str
    user_handle: bytes
    counter: int = 0

    def public(self) -> CoseKey:
        """Return the public key, as COSE has it."""
        return cose(KINDS[self.kind], self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`."""
        match self.key:
            case ec.EllipticCurvePrivateKey():
                return self.key.sign(message, ec.ECDSA(HASHES[self.kind]))
            case rsa.RSAPrivateKey():
                return self.key.sign(message, padding.PKCS1v15(), SHA256())
            case _:
                return self.key.sign(message)


@dataclass
class Device:
    """An authenticator, and the browser that it is used with.

    `counts` has it count signatures; `synced` makes passkeys that are backed up elsewhere.
    """

    origin: str = ORIGIN
    kind: str = "ES256"
    aaguid: bytes = bytes(16)
    verifies: bool = True
    synced: bool = False
    counts: bool = False
    backed_up: bool = True  # where they are synced
    credentials: dict[bytes, Credential] = field(default_factory=dict)

    def create(self, options: Json, lies: Lies = HONEST, **attesting: Any) -> Json:
        """Return RegistrationResponseJSON: what `navigator.credentials.create` leads to.

        `attesting` may have `format` and a function `statement` of what is to be signed.
        """
        asked = options["publicKey"]
        credential = self._make(asked, lies)
        client_data = self._client_data("webauthn.create", asked["challenge"], lies)
        public = credential.public() if lies.public_key is None else lies.public_key
        attested = (
            self.aaguid
            + struct.pack(">H", len(credential.id))
            + credential.id
            + cbor.encode(public)
        )
        flags = self._flags(lies) | (AT & ~lies.clear_flags)
        data = self._data(asked["rp"]["id"], flags, credential, lies)
        data += attested if flags & AT else b""
        data += lies.trailing
        if lies.authenticator_data is not None:
            data = lies.authenticator_data
        statement = attesting.get("statement", lambda *_: {})
        made = cbor.encode(
            {
                "fmt": attesting.get("format", "none"),
                "attStmt": statement(data, sha256(client_data).digest(), credential),
                "authData": data,
            }
        )
        if lies.attestation_object is not None:
            made = lies.attestation_object
        resident = asked["authenticatorSelection"]["residentKey"] == "required"
        response = {
            "clientDataJSON": websafe_encode(client_data),
            "attestationObject": websafe_encode(made),
            "transports": ["internal"] if lies.transports is None else lies.transports,
            "authenticatorData": websafe_encode(data),
            "publicKeyAlgorithm": credential.public().ALGORITHM,
        }
        extensions = {"credProps": {"rk": resident}} if lies.extensions is None else lies.extensions
        return self._json(credential, response, extensions, lies)

    def get(
        self, options: Json, lies: Lies = HONEST, *, credential: Credential | None = None
    ) -> Json:
        """Return AuthenticationResponseJSON: what `navigator.credentials.get` leads to."""
        asked = options["publicKey"]
        credential = credential or self._find(asked)
        client_data = self._client_data("webauthn.get", asked["challenge"], lies)
        if self.counts:
            credential.counter += 1
        data = self._data(asked["rpId"], self._flags(lies), credential, lies) + lies.trailing
        if lies.authenticator_data is not None:
            data = lies.authenticator_data
        signed = data + sha256(client_data).digest() if lies.signs is None else lies.signs
        signature = credential.sign(signed) if lies.signature is None else lies.signature
        handle = credential.user_handle if lies.user_handle is None else lies.user_handle
        response: Json = {
            "clientDataJSON": websafe_encode(client_data),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature),
            "userHandle": websafe_encode(handle),
        }
        if lies.no_user_handle:
            response["userHandle"] = None
        return self._json(credential, response, {}, lies)

    def _make(self, asked: Json, lies: Lies) -> Credential:
        key = new_key(self.kind)
        own_id = os.urandom(32) if lies.credential_id is None else lies.credential_id
        handle = websafe_decode(asked["user"]["id"])
        credential = Credential(own_id, self.kind, key, asked["rp"]["id"], handle)
        self.credentials[credential.id] = credential
        return credential

    def _find(self, asked: Json) -> Credential:
        allowed = [websafe_decode(named["id"]) for named in asked["allowCredentials"]]
        known = [named for named in allowed or self.credentials if named in self.credentials]
        return self.credentials[known[-1]]

    def _client_data(self, type_: str, challenge: str, lies: Lies) -> bytes:
        if lies.client_data is not None:
            return lies.client_data
        if lies.challenge is not None:
            lie = lies.challenge
            challenge = lie if isinstance(lie, str) else websafe_encode(lie)
        members: Json = {
            "type": lies.type or type_,
            "challenge": challenge,
            "origin": self.origin if lies.origin is None else lies.origin,
            "crossOrigin": False if lies.cross_origin is None else lies.cross_origin,
        }
        if lies.top_origin is not None:
            members["topOrigin"] = lies.top_origin
        return json.dumps(members, separators=(",", ":")).encode()

    def _flags(self, lies: Lies) -> int:
        honest = UP | (UV if self.verifies else 0)
        if self.synced:
            honest |= BE | (BS if self.backed_up else 0)
        return (honest | lies.set_flags) & ~lies.clear_flags

    def _data(self, rp_id: str, flags: int, credential: Credential, lies: Lies) -> bytes:
        counter = credential.counter if lies.counter is None else lies.counter
        rp_id_hash = sha256((lies.rp_id or rp_id).encode()).digest()
        return rp_id_hash + struct.pack(">BI", flags, counter)

    def _json(self, credential: Credential, response: Json, extensions: Any, lies: Lies) -> Json:
        named = websafe_encode(credential.id)
        return {
            "id": named if lies.id is None else lies.id,
            "rawId": named if lies.raw_id is None else lies.raw_id,
            "type": "public-key" if lies.credential_type is None else lies.credential_type,
            "authenticatorAttachment": "platform",
            "response": response,
            "clientExtensionResults": extensions,
        }


def cose(kind: type[CoseKey], key: Any) -> CoseKey:
    """Return a public key as COSE has it."""
    made: CoseKey = kind.from_cryptography_key(key)
    return made


def new_key(kind: str) -> Private:
    """Return a private key for an algorithm."""
    match kind:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ES512":
            return ec.generate_private_key(ec.SECP521R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "Ed448":
            return ed448.Ed448PrivateKey.generate()
        case _:
            return rsa.generate_private_key(65537, 2048)
