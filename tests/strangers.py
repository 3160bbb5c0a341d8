"""Everything that is no credential of a service, for every route to refuse."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from shared.auth import Caller
from tests.hands import START, Hands
from tests.signers import Signer

NOW = int(START.timestamp())


class Tokens:
    """Makes tokens for the service `audience`, good and bad ones."""

    def __init__(self, audience: str) -> None:
        self._audience = audience

    def signed(self, key: Ed25519PrivateKey, *, kid: str = "session-1", **changes: Any) -> str:
        """Return a token that would be good, but for `changes`."""
        present = {k: v for k, v in (self._claims() | changes).items() if v is not None}
        return jwt.encode(present, key, "EdDSA", headers={"kid": kid})

    def unsigned(self, **header: Any) -> str:
        """Return a token with a header of one's own choice and no signature."""
        parts = (json.dumps(part).encode() for part in (header, self._claims()))
        return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])

    def bad(self, session: Signer, audit: Signer) -> dict[str, str | None]:
        """Return an Authorization header for every way to be nobody."""
        key = session.private
        good = self.signed(key)
        bearer = {
            "expired": self.signed(key, iat=NOW - 60, exp=NOW),
            "expires too late": self.signed(key, exp=NOW + 61),
            "never expires": self.signed(key, exp=None),
            "issued in the future": self.signed(key, iat=NOW + 30, exp=NOW + 60),
            "issued at no time": self.signed(key, iat=None),
            "expires at a truth": self.signed(key, exp=True),
            "another audience": self.signed(key, aud="audit"),
            "a list of audiences": self.signed(key, aud=[self._audience]),
            "no audience": self.signed(key, aud=None),
            "another issuer": self.signed(key, iss="audit"),
            "no issuer": self.signed(key, iss=None),
            "more claims": self.signed(key, sub="ada"),
            "unknown key": self.signed(key, kid="session-2"),
            "another's key": self.signed(audit.private),
            "a stranger's key": self.signed(Ed25519PrivateKey.generate()),
            "algorithm none": self.unsigned(alg="none", kid="session-1"),
            "algorithm None": self.unsigned(alg="None", kid="session-1"),
            "no key id": self.unsigned(alg="EdDSA"),
            "key id of a wrong type": self.unsigned(alg="EdDSA", kid=["session-1"]),
            "key in the header": self.unsigned(alg="EdDSA", kid="session-1", jwk={}),
            "signed with the public key": jwt.encode(
                self._claims(),
                key.public_key().public_bytes_raw(),
                "HS256",
                headers={"kid": "session-1"},
            ),
            "altered": good[:-4] + "AAAA",
            "no token": "",
            "not a token": "a.b.c",
            "huge": "a" * 10_000,
        }
        others = {
            "no header": None,
            "another scheme": f"Basic {good}",
            "no scheme": good,
            "bytes": "Bearer \xff\xfe",
        }
        return {name: f"Bearer {value}" for name, value in bearer.items()} | others

    def _claims(self) -> dict[str, Any]:
        return {"iss": "session", "aud": self._audience, "iat": NOW, "exp": NOW + 60}


async def refuses_strangers(
    app: FastAPI, audience: str, session: Signer, audit: Signer, *, method: str, path: str
) -> None:
    """Fail if a route answers anybody whom it cannot know, whatever else is in the request."""
    async with httpx.AsyncClient(
        base_url=f"http://{audience}", transport=httpx.ASGITransport(app)
    ) as stranger:
        for name, credential in Tokens(audience).bad(session, audit).items():
            sent = [] if credential is None else [(b"authorization", credential.encode("latin-1"))]
            for content in (b"", b"{", b"{}"):
                answer = await stranger.request(method, path, headers=sent, content=content)
                assert answer.status_code == 401, name
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json()["code"] == "unauthenticated"


async def refuses_others(
    app: FastAPI, audience: str, audit: Signer, clock: Hands, *, method: str, path: str
) -> None:
    """Fail if a route answers a service that has a good credential, and no business there."""
    bearer = Caller(audit.key, clock).token_for(audience)
    async with httpx.AsyncClient(
        base_url=f"http://{audience}", transport=httpx.ASGITransport(app)
    ) as client:
        answer = await client.request(
            method, path, headers={"authorization": f"Bearer {bearer}"}, content=b"{"
        )

    assert answer.status_code == 403
