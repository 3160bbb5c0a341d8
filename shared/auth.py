"""Who may call a service: short-lived tokens that the calling service signs (Ed25519)."""

import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request

from countersign_events import PublicKey, PublicKeys
from shared.clock import Clock, utc_now
from shared.errors import Forbidden, Unauthenticated

__all__ = [
    "Caller",
    "Credentials",
    "PrivateKey",
    "PublicKey",
    "PublicKeys",
    "admitted",
    "require_caller",
]

ALGORITHM = "EdDSA"  # the only one: a token never chooses how it is checked
LIFETIME = timedelta(seconds=60)
RENEWAL = timedelta(seconds=15)  # before expiry, so that no call leaves with a dying token
SKEW = timedelta(seconds=5)  # by how much a caller's clock may be ahead of ours
MAX_TOKEN = 2048  # characters
MAX_REMEMBERED = 1024  # verified tokens
HEADERS = frozenset({"alg", "kid", "typ"})
CLAIMS = frozenset({"iss", "aud", "iat", "exp"})


@dataclass(frozen=True)
class PrivateKey:
    """What `issuer` signs with; `id` tells receivers which public key belongs to it."""

    id: str
    issuer: str
    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "PrivateKey":
        """Read `{"kid": "session-1", "issuer": "session", "key": "<base64 of 32 bytes>"}`.

        Raises ValueError, whose message repeats nothing of `text`.
        """
        try:
            document = json.loads(text)
            raw = b64decode(document["key"], validate=True)
            key = Ed25519PrivateKey.from_private_bytes(raw)
            return cls(id=_text(document["kid"]), issuer=_text(document["issuer"]), key=key)
        except (ValueError, TypeError, KeyError, Base64Error):
            shape = '{"kid": "<id>", "issuer": "<service>", "key": "<base64 of 32 bytes>"}'
            raise ValueError(f"must be JSON of the form {shape}") from None


class Caller:
    """A service that calls others, and says so with a token for each of them."""

    def __init__(self, key: PrivateKey, clock: Clock = utc_now) -> None:
        self._key = key
        self._clock = clock
        self._tokens: dict[str, tuple[str, int]] = {}

    def token_for(self, audience: str) -> str:
        """Return a token that `audience` accepts for the next 15 seconds at least.

        Signing costs as much as serving a request, so one token serves many calls.
        """
        now = int(self._clock().timestamp())
        token, expires = self._tokens.get(audience, ("", 0))
        if now >= expires - RENEWAL.seconds:
            expires = now + LIFETIME.seconds
            token = self._sign(audience, now, expires)
            self._tokens[audience] = token, expires
        return token

    def _sign(self, audience: str, now: int, expires: int) -> str:
        claims = {"iss": self._key.issuer, "aud": audience, "iat": now, "exp": expires}
        return jwt.encode(claims, self._key.key, ALGORITHM, headers={"kid": self._key.id})


class Credentials:
    """Tells who a token comes from, and remembers the tokens that it has found good."""

    def __init__(self, keys: Mapping[str, PublicKey], audience: str, clock: Clock) -> None:
        self._keys = keys
        self._audience = audience
        self._clock = clock
        self._verified: dict[str, tuple[str, int]] = {}

    def issuer_of(self, token: str) -> str:
        """Return the service that signed `token`. Raises Unauthenticated."""
        now = self._clock().timestamp()
        known = self._verified.get(token)
        if known is not None and now < known[1]:
            return known[0]
        issuer, expires = self._verify(token, now)
        self._remember(token, issuer, expires, now)
        return issuer

    def _verify(self, token: str, now: float) -> tuple[str, int]:
        if len(token) > MAX_TOKEN:
            raise _refusal()
        try:
            header = jwt.get_unverified_header(token)
            if not HEADERS.issuperset(header):
                raise _refusal()
            signer = self._keys.get(header.get("kid", ""))
            if signer is None:
                raise _refusal()
            # Times and audience are checked below, by our clock and without PyJWT's leniency
            # (it accepts lists of audiences).
            options = jwt.types.Options(verify_aud=False, verify_exp=False, verify_iat=False)
            claims = jwt.decode(token, signer.key, algorithms=[ALGORITHM], options=options)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise _refusal() from None
        if not _acceptable(claims, signer.issuer, self._audience, now):
            raise _refusal()
        return signer.issuer, claims["exp"]

    def _remember(self, token: str, issuer: str, expires: int, now: float) -> None:
        if len(self._verified) >= MAX_REMEMBERED:
            alive = {key: value for key, value in self._verified.items() if now < value[1]}
            self._verified = alive if len(alive) < MAX_REMEMBERED else {}
        self._verified[token] = issuer, expires


def require_caller(
    keys: Mapping[str, PublicKey],
    audience: str,
    issuers: Collection[str] = frozenset({"session"}),
    clock: Clock = utc_now,
) -> Callable[[Request], Awaitable[str]]:
    """Return a dependency that admits only calls that one of `issuers` signed for `audience`.

    It answers the issuer's name, and raises Unauthenticated (no credential, or a bad one) or
    Forbidden (a good one, of a service that has no business here).
    """
    credentials = Credentials(keys, audience, clock)

    async def caller(request: Request) -> str:
        issuer = credentials.issuer_of(_bearer_token(request))
        if issuer not in issuers:
            raise Forbidden("This service may not call here.", code="caller_not_allowed")
        return issuer

    return caller


async def admitted(request: Request) -> None:
    """Be the dependency that asks the guard of the application, `app.state.guard`.

    So a router's routes are made once, whatever applications serve them and whoever may call those.
    """
    await request.app.state.guard(request)


def _bearer_token(request: Request) -> str:
    sent = [value for name, value in request.scope["headers"] if name == b"authorization"]
    if len(sent) != 1:
        raise _refusal()
    scheme, _, token = sent[0].partition(b" ")
    if scheme.lower() != b"bearer" or not token.isascii():
        raise _refusal()
    return str(token, "ascii")


def _acceptable(claims: Mapping[str, object], issuer: str, audience: str, now: float) -> bool:
    issued, expires = claims.get("iat"), claims.get("exp")
    return (
        claims.keys() == CLAIMS
        and claims["iss"] == issuer
        and claims["aud"] == audience
        and type(issued) is int
        and type(expires) is int
        and issued <= now + SKEW.seconds
        and now < expires <= issued + LIFETIME.seconds
    )


def _refusal() -> Unauthenticated:
    """One refusal for all: what was wrong with a token is nobody's business."""
    return Unauthenticated("A service credential is required.")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value
