"""What others look for under `/.well-known/`, of passkeys and of tokens: nothing of anybody's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from shared.http.plain import Endpoint, serve

RELATED_ORIGINS = "/.well-known/webauthn"
PASSKEY_ENDPOINTS = "/.well-known/passkey-endpoints"
KEYS = "/.well-known/jwks.json"
HEADERS = {
    "Cache-Control": "public, max-age=3600",
    # For pages of other origins, by their nature.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@dataclass(frozen=True, kw_only=True)
class Passkeys:
    """Which pages of other domains may use the passkeys of this one, and where they are managed."""

    related_origins: Sequence[str] = ()
    enroll_url: str | None = None
    manage_url: str | None = None

    @property
    def endpoints(self) -> Mapping[str, object]:
        """Where people add and look after passkeys (W3C, "Passkey Endpoints").

        Without either it still says that there are passkeys here.
        """
        urls = {"enroll": self.enroll_url, "manage": self.manage_url}
        return {name: url for name, url in urls.items() if url is not None}


def add(app: FastAPI, passkeys: Passkeys) -> None:
    """Serve what there is to tell. Related origins: WebAuthn Level 3, section 5.11."""
    documents = {PASSKEY_ENDPOINTS: passkeys.endpoints}
    if passkeys.related_origins:
        documents[RELATED_ORIGINS] = {"origins": list(passkeys.related_origins)}
    for path, document in documents.items():
        serve(app, path, _serving(document))


def add_keys(app: FastAPI, jwks: Mapping[str, object]) -> None:
    """Serve the keys that access tokens are checked by: a JWK set (RFC 7517 section 5)."""
    serve(app, KEYS, _serving(jwks, "application/jwk-set+json"))


def _serving(document: Mapping[str, object], type: str = "application/json") -> Endpoint:
    body = json.dumps(document)

    async def serve(_request: Request) -> Response:
        return Response(body, media_type=type, headers=HEADERS)

    return serve
