"""An app that is given tokens: what it shows elsewhere, how it stays logged in, and a theft."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from services.cli.keys import make
from services.session.domain.token_keys import parse_signing_key
from services.session.domain.token_strategy import Algorithm
from tests.journeys.client import Answer, Client
from tests.journeys.suite import InProcess, in_process
from tests.suites import running_suite

EMAIL, PASSWORD = "ada@example.org", "correct horse battery staple"
TOKEN_KEY = "session/tokens-ES256.pem"


class ResourceServer:
    """Another service: it has the address of the suite, and asks it for keys alone."""

    def __init__(self, suite: InProcess) -> None:
        self._suite = suite

    async def admit(self, token: str) -> dict[str, Any]:
        """Return what a token says. Raises jwt.PyJWTError if it is not good here and now."""
        published = await self._suite.client("app").http.get("/.well-known/jwks.json")
        keys = jwt.PyJWKSet.from_dict(published.json())
        header = jwt.get_unverified_header(token)
        assert header["typ"] == "at+jwt"
        claims: dict[str, Any] = jwt.decode(
            token,
            keys[header["kid"]],
            algorithms=["ES256"],
            audience="api",
            issuer="http://localhost:8000",
            options={"verify_exp": False, "verify_iat": False},  # its clock is another
        )
        if self._suite.clock().timestamp() >= claims["exp"]:
            raise jwt.ExpiredSignatureError
        return claims


async def shows(client: Client, token: str) -> Answer:
    """Ask who is logged in, with an access token alone."""
    return await client.call(
        "GET",
        "auth/session",
        headers={"X-Session-Token": "", "Authorization": f"Bearer {token}"},
    )


async def protected(suite: InProcess) -> tuple[Client, str]:
    """Sign up, and turn TOTP on; return the app, and the secret."""
    app = suite.client("app")
    await app.post("auth/signup", {"email": EMAIL, "password": PASSWORD})
    await app.post("auth/email/verify", {"key": await suite.mailed_code(EMAIL)})
    await app.post("auth/reauthenticate", {"password": PASSWORD})
    secret = (await app.get("account/authenticators/totp")).meta["secret"]
    code = await suite.fresh_code(secret)
    assert (await app.post("account/authenticators/totp", {"code": code})).status == 200
    return app, secret


async def test_an_app_with_tokens(tmp_path: Path) -> None:
    """From the login to another service, for hours, and until somebody else has the token too."""
    make(tmp_path / "keys", TOKEN_KEY)
    told: dict[str, Any] = {
        "headless_token_strategy": "jwt",
        "headless_jwt_algorithm": "ES256",
        "headless_jwt_private_key": (tmp_path / "keys" / TOKEN_KEY).read_text(),
        "headless_jwt_audience": "api",
    }
    async with in_process(tmp_path, **told) as suite:
        first, secret = await protected(suite)
        await first.delete("auth/session")
        app, elsewhere = suite.client("app"), ResourceServer(suite)

        pending = await app.post("auth/login", {"email": EMAIL, "password": PASSWORD})
        assert pending.pending == ["mfa_authenticate"]
        assert "access_token" not in pending.meta
        code = await suite.fresh_code(secret)
        meta = (await app.post("auth/2fa/authenticate", {"code": code})).meta

        claims = await elsewhere.admit(meta["access_token"])
        user = (await shows(app, meta["access_token"])).body["data"]["user"]
        assert (claims["sub"], claims["acr"]) == (user["id"], "aal2")
        assert claims["amr"] == ["pwd", "otp", "mfa"]

        tokens = meta
        for _ in range(5):
            suite.clock.advance(timedelta(hours=6))
            assert (await shows(app, tokens["access_token"])).status == 401
            answer = await app.post("tokens/refresh", {"refresh_token": tokens["refresh_token"]})
            tokens = answer.body["data"]
            assert (await elsewhere.admit(tokens["access_token"]))["sid"] == claims["sid"]

        stolen = tokens["refresh_token"]
        for _ in range(2):
            answer = await app.post("tokens/refresh", {"refresh_token": tokens["refresh_token"]})
            tokens = answer.body["data"]
        thief = suite.client("app")
        assert (await thief.post("tokens/refresh", {"refresh_token": stolen})).status == 400

        assert (await app.get("auth/session")).status == 410
        assert (await shows(app, tokens["access_token"])).status == 410
        assert (await elsewhere.admit(tokens["access_token"]))["sub"] == user["id"]  # for minutes
        await suite.deliver()
        mail = (await suite.client("app").http.get("/inbox.json")).json()["messages"][0]
        assert mail["to"] == EMAIL
        assert "was ended" in mail["subject"]


@pytest.mark.long
def test_a_suite_that_has_run_without_tokens_needs_one_setting(tmp_path: Path) -> None:
    """The key is made by the way, and the worker starts as well."""
    make(tmp_path / "var" / "keys")
    with running_suite(tmp_path / "var", env={"HEADLESS_TOKEN_STRATEGY": "jwt"}) as running:
        published = jwt.PyJWKClient(f"{running.base_url}/.well-known/jwks.json").get_signing_keys()

    made = (tmp_path / "var" / "keys" / "session" / "tokens-EdDSA.pem").read_text()
    assert [key.key_id for key in published] == [parse_signing_key(made, Algorithm.EDDSA).public.id]
