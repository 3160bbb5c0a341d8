"""The keys that tokens are signed with and checked by, and what the world is told of them.

A token is a JWS in compact form (RFC 7515). It names its key, and the key alone says by which
algorithm it is checked: a token never chooses that (RFC 8725 section 3.1).
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)

from services.session.domain.token_strategy import Algorithm

MAX_TOKEN = 4096  # characters; one that is signed by RSA of 4096 bits has some 1300
MIN_RSA = 2048  # bits (RFC 7518 section 3.3)
HEADERS = frozenset({"alg", "kid", "typ"})
UNTIMED = jwt.types.Options(
    verify_aud=False, verify_exp=False, verify_iat=False, verify_iss=False, verify_nbf=False
)
"""What claims mean is judged elsewhere, by our clock."""

THUMBED = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
"""The members that make a thumbprint, in order (RFC 7638 section 3.2, RFC 8037 section 2)."""

PEM = re.compile(r"-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----")
KINDS = {
    Algorithm.EDDSA: "an Ed25519 key",
    Algorithm.ES256: "a P-256 key",
    Algorithm.RS256: f"an RSA key of {MIN_RSA} bits or more",
}

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


@dataclass(frozen=True)
class VerifyingKey:
    """What shows that a token was signed here. Its `id` is its thumbprint (RFC 7638)."""

    algorithm: Algorithm
    key: PublicKey = field(repr=False)

    @cached_property
    def jwk(self) -> Mapping[str, str]:
        """The key as a JWK (RFC 7517)."""
        return {**self._members, "use": "sig", "alg": self.algorithm.value, "kid": self.id}

    @cached_property
    def id(self) -> str:
        """What tokens call the key by."""
        canonical = json.dumps(self._members, separators=(",", ":"))
        return urlsafe_b64encode(sha256(canonical.encode()).digest()).rstrip(b"=").decode()

    @cached_property
    def _members(self) -> Mapping[str, str]:
        whole: dict[str, Any] = _to_jwk(self.key)
        return {name: whole[name] for name in THUMBED[whole["kty"]]}


@dataclass(frozen=True)
class SigningKey:
    """What tokens are signed with, and its other half."""

    public: VerifyingKey
    key: PrivateKey = field(repr=False)


@dataclass(frozen=True)
class TokenKeys:
    """A ring: one key signs, all of them check. `others` are those of before, and of hereafter."""

    signing: SigningKey
    others: tuple[VerifyingKey, ...] = ()

    def sign(self, claims: Mapping[str, object], type: str) -> str:
        """Return a token of that `type` (RFC 8725 section 3.11) with `claims`."""
        own = self.signing.public
        return jwt.encode(
            dict(claims), self.signing.key, own.algorithm, headers={"kid": own.id, "typ": type}
        )

    def read(self, token: str, type: str) -> Mapping[str, Any] | None:
        """Return the claims of a token of that `type`, or None if a key of ours has not made it.

        Whether they hold, now and here, is still to be judged.
        """
        if len(token) > MAX_TOKEN:
            return None
        try:
            header = jwt.get_unverified_header(token)
            known = self._by_id.get(header.get("kid", ""))
            if known is None or header.get("typ") != type or not HEADERS.issuperset(header):
                return None
            claims: Mapping[str, Any] = jwt.decode(
                token, known.key, algorithms=[known.algorithm], options=UNTIMED
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return claims

    @property
    def jwks(self) -> Mapping[str, object]:
        """All keys that tokens may be checked by, as a JWK set (RFC 7517 section 5)."""
        return {"keys": [key.jwk for key in self._by_id.values()]}

    @cached_property
    def _by_id(self) -> Mapping[str, VerifyingKey]:
        return {key.id: key for key in (self.signing.public, *self.others)}


def parse_signing_key(text: str, algorithm: Algorithm) -> SigningKey:
    """Read a private key in PEM that signs by `algorithm`; its line breaks may be written `\\n`.

    Raises ValueError, whose message repeats nothing of `text`.
    """
    try:
        key = load_pem_private_key(_unfolded(text), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("must be a private key in PEM, without a password") from None
    if (
        not isinstance(key, PrivateKey)
        or (public := _verifying(key.public_key())) is None
        or public.algorithm is not algorithm
    ):
        raise ValueError(f"must be {KINDS[algorithm]}, for {algorithm}")
    return SigningKey(public, key)


def parse_verifying_keys(text: str) -> tuple[VerifyingKey, ...]:
    """Read public keys in PEM, one after the other, of any of the algorithms.

    Raises ValueError.
    """
    whole = _unfolded(text).decode()
    if PEM.sub("", whole).strip():
        raise ValueError("must be public keys in PEM (BEGIN PUBLIC KEY), and nothing else")
    return tuple(_read(block) for block in PEM.findall(whole))


def _read(block: str) -> VerifyingKey:
    try:
        key = _verifying(load_pem_public_key(block.encode()))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("has a key that cannot be read") from None
    if key is None:
        raise ValueError(f"has a key that is none of these: {', '.join(KINDS.values())}")
    return key


def _verifying(key: object) -> VerifyingKey | None:
    match key:
        case Ed25519PublicKey():
            return VerifyingKey(Algorithm.EDDSA, key)
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return VerifyingKey(Algorithm.ES256, key)
        case RSAPublicKey() if key.key_size >= MIN_RSA:
            return VerifyingKey(Algorithm.RS256, key)
    return None


def _to_jwk(key: PublicKey) -> dict[str, Any]:
    match key:
        case Ed25519PublicKey():
            return jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
        case EllipticCurvePublicKey():
            return jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
        case _:
            return jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)


def _unfolded(text: str) -> bytes:
    """Return PEM with its line breaks, which files of `NAME=value` lines cannot have."""
    return text.replace("\\n", "\n").encode()
