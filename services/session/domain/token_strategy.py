"""By what apps prove that somebody is logged in, and the algorithms of tokens that are signed."""

from enum import StrEnum
from types import MappingProxyType


class TokenStrategy(StrEnum):
    """HEADLESS_TOKEN_STRATEGY: session tokens alone, or signed tokens (JWT, RFC 7519) besides."""

    SESSIONS = "sessions"
    JWT = "jwt"


class Algorithm(StrEnum):
    """How tokens are signed (RFC 7518 section 3.1, RFC 8037 section 3.1).

    With none of these can whoever checks a token make one, as with HMAC.
    """

    EDDSA = "EdDSA"  # Ed25519
    ES256 = "ES256"  # P-256
    RS256 = "RS256"  # RSA, PKCS #1 v1.5


STRATEGIES = MappingProxyType(
    {
        **{strategy.value: strategy for strategy in TokenStrategy},
        "allauth.headless.tokens.strategies.sessions.SessionTokenStrategy": TokenStrategy.SESSIONS,
        "allauth.headless.tokens.sessions.SessionTokenStrategy": TokenStrategy.SESSIONS,
        "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy": TokenStrategy.JWT,
    }
)
"""The strategies by the names that they are set by: ours, and allauth's classes."""
