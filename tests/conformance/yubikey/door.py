"""Who may call: the credential as docs/factors.md has it."""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.requests import Request

LIFETIME = 60  # seconds
SKEW = 5  # seconds by which the caller's clock may be ahead


class NoCredential(Exception):
    """Nobody is known to have called."""


class WrongCaller(Exception):
    """Somebody who may not."""


@dataclass(frozen=True)
class Signer:
    """A caller's public key, and whose it is."""

    issuer: str
    key: Ed25519PublicKey


class Door:
    """Lets session in. `callers` is what the suite has as CALLER_KEYS."""

    def __init__(self, callers: str, audience: str, clock: Callable[[], float]) -> None:
        self.audience = audience
        self.clock = clock
        self._signers = {
            kid: Signer(
                entry["issuer"], Ed25519PublicKey.from_public_bytes(b64decode(entry["key"]))
            )
            for kid, entry in json.loads(callers).items()
        }

    def admit(self, request: Request) -> None:
        """Raise NoCredential or WrongCaller unless it is session that calls."""
        sent = request.headers.getlist("authorization")
        scheme, _, token = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            raise NoCredential
        try:
            signer = self._signers[jwt.get_unverified_header(token)["kid"]]
            claims = self.read(token, signer)
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            raise NoCredential from None
        if not self.is_good(claims, signer.issuer):
            raise NoCredential
        if signer.issuer != "session":
            raise WrongCaller

    def read(self, token: str, signer: Signer) -> Mapping[str, Any]:
        """Return what was signed."""
        unchecked = jwt.types.Options(verify_aud=False, verify_exp=False, verify_iat=False)
        claims: Mapping[str, Any] = jwt.decode(
            token, signer.key, algorithms=["EdDSA"], options=unchecked
        )
        return claims

    def is_good(self, claims: Mapping[str, Any], issuer: str) -> bool:
        """Tell whether claims are these four, of that issuer, for this factor and minute."""
        if claims.keys() != {"iss", "aud", "iat", "exp"}:
            return False
        issued, expires = claims["iat"], claims["exp"]
        return (
            (claims["iss"], claims["aud"]) == (issuer, self.audience)
            and type(issued) is int
            and type(expires) is int
            and self.is_current(issued, expires)
        )

    def is_current(self, issued: int, expires: int) -> bool:
        """Tell whether a credential has begun, has not ended, and is no longer than it may be."""
        now = self.clock()
        return issued <= now + SKEW and now < expires <= issued + LIFETIME
