"""Tokens as clients and other services see them: in answers, in headers, and under well-known."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import jwt
import pytest
from fastapi import FastAPI

from services.session.domain.token_strategy import Algorithm
from services.session.main import create_app
from tests.session.house import ADA, PASSWORD, House
from tests.session.test_api_contract import (
    ANONYMOUS,
    GONE,
    Answer,
    Api,
    clients,
    cost,
    settings_for,
)
from tests.session.test_tokens_domain import read_by_joserfc
from tests.session.tokens import ISSUER, private_pem, public_pem, rules, signing_key

NEW_PASSWORD = "battery-staple-12"
REFUSED = {"status": 400}
JWT = "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy"


def with_tokens(house: House, **changes: Any) -> FastAPI:
    """Return the service as it is with the strategy `jwt`."""
    told = {"headless_token_strategy": "jwt", "headless_jwt_private_key": private_pem(), **changes}
    return create_app(settings_for(house, **told), house.clock, house.wires)


async def apps(app: FastAPI, house: House) -> AsyncIterator[Callable[[], Api]]:
    async with app.router.lifespan_context(app):
        async for make in clients(app, house, "app"):
            yield make


@pytest.fixture
async def new_app(house: House) -> AsyncIterator[Callable[[], Api]]:
    async for make in apps(with_tokens(house), house):
        yield make


@pytest.fixture
def api(new_app: Callable[[], Api]) -> Api:
    return new_app()


async def join(api: Api) -> dict[str, Any]:
    """Sign up and verify; return what the app is told of its session."""
    await api.post("auth/signup", email=ADA, password=PASSWORD)
    answer = await api.post("auth/email/verify", key=await api.house.code())
    assert answer.status == 200
    meta: dict[str, Any] = answer.body["meta"]
    return meta


async def by(api: Api, token: str, method: str = "GET", path: str = "auth/session") -> Answer:
    """Ask with an access token and nothing else."""
    api.token = None
    return await api.call(method, path, authorization=f"Bearer {token}")


async def test_the_journey_of_an_app_with_tokens(api: Api) -> None:
    """The same steps were taken with django-allauth 65.21.1, which gives answers of this shape."""
    meta = await join(api)
    assert list(meta) == ["is_authenticated", "session_token", "access_token", "refresh_token"]

    shown = await by(api, meta["access_token"])
    assert (shown.status, shown.body["meta"]) == (200, {"is_authenticated": True})
    assert shown.body["data"]["user"]["email"] == ADA

    refreshed = await api.post("tokens/refresh", refresh_token=meta["refresh_token"])
    assert refreshed.status == 200
    assert list(refreshed.body) == ["status", "data"]
    assert list(refreshed.body["data"]) == ["access_token", "refresh_token"]
    assert "no-store" in refreshed.headers["cache-control"]

    again = await api.post("tokens/refresh", refresh_token=refreshed.body["data"]["refresh_token"])
    assert again.status == 200
    reused = await api.post("tokens/refresh", refresh_token=meta["refresh_token"])
    assert (reused.status, reused.body) == (400, REFUSED)
    over = await by(api, again.body["data"]["access_token"])
    assert (over.status, over.body) == (410, GONE)


async def test_a_token_is_told_once(api: Api) -> None:
    """Not with every answer: only where somebody has become logged in by it."""
    await join(api)

    for answer in (
        await api.get("auth/session"),
        await api.post("auth/reauthenticate", password=PASSWORD),
    ):
        assert answer.status == 200
        assert answer.body["meta"] == {"is_authenticated": True}


async def test_a_change_of_the_password_is_told_with_new_tokens(api: Api) -> None:
    meta = await join(api)

    answer = await api.post(
        "account/password/change", current_password=PASSWORD, new_password=NEW_PASSWORD
    )

    new = answer.body["meta"]
    assert new.keys() == meta.keys()
    assert not set(new.values()) & {meta["access_token"], meta["refresh_token"]}
    old = await api.post("tokens/refresh", refresh_token=meta["refresh_token"])
    assert old.body == REFUSED
    assert (await by(api, meta["access_token"])).status == 410
    assert (await by(api, new["access_token"])).status == 200


async def test_everything_can_be_done_with_an_access_token(api: Api) -> None:
    """It stands for the session: also to change things, and to log out."""
    token = (await join(api))["access_token"]
    api.token = None
    bearer = {"authorization": f"Bearer {token}"}

    body = json.dumps({"password": PASSWORD}).encode()
    proved = await api.send("POST", "auth/reauthenticate", body, **bearer)
    listed = await by(api, token, path="account/authenticators")
    sessions = await by(api, token, path="auth/sessions")
    logged_out = await by(api, token, "DELETE")

    assert (proved.status, listed.status, logged_out.status) == (200, 200, 401)
    assert [session["is_current"] for session in sessions.body["data"]] == [True]
    assert (await by(api, token)).status == 410


async def test_the_session_token_goes_first(new_app: Callable[[], Api]) -> None:
    ada, bob = new_app(), new_app()
    token = (await join(ada))["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    await bob.post("auth/signup", email="bob@example.org", password=PASSWORD)

    assert (await bob.call("GET", "auth/session", **bearer)).status == 401
    bob.token = "unknown"
    assert (await bob.call("GET", "auth/session", **bearer)).status == 410
    empty = await ada.call("GET", "auth/session", **bearer, **{"x-session-token": ""})
    assert empty.status == 200


async def test_a_token_that_has_expired_or_is_none_counts_as_none(api: Api) -> None:
    """As by allauth, and so a client can renew it while it still sends it along."""
    meta = await join(api)
    token = meta["access_token"]
    strange = rules(keys=type(rules().keys)(signing_key(number=5)))
    for credential in (
        "",
        "Bearer",
        f"Bearer  {token} x",
        f"Basic {token}",
        f"Bearer{token}",
        f"Bearer {token}x",
        f"Bearer {meta['refresh_token']}",
        f"Bearer {meta['session_token']}",
        f"Bearer {strange.keys.sign({'sub': 'ada'}, 'at+jwt')}",
        "Bearer " + "x" * 6000,
    ):
        api.token = None
        answer = await api.call("GET", "auth/session", authorization=credential)
        assert (answer.status, answer.flows) == (401, ANONYMOUS)
    for word in ("bearer", "BEARER"):
        assert (
            await api.call("GET", "auth/session", authorization=f"{word} {token}")
        ).status == 200
    api.house.clock.turn(minutes=5)
    old = {"authorization": f"Bearer {token}"}
    assert (await api.call("GET", "auth/session", **old)).status == 401
    body = json.dumps({"refresh_token": meta["refresh_token"]}).encode()
    assert (await api.send("POST", "tokens/refresh", body, **old)).status == 200


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b"", [("required", "refresh_token")]),
        (b"{}", [("required", "refresh_token")]),
        (b'{"refresh_token": ""}', [("required", "refresh_token")]),
        (b'{"refresh_token": null}', [("required", "refresh_token")]),
        (b'{"refresh_token": 7}', [("invalid", "refresh_token")]),
        (b'{"refresh_token": ["a"]}', [("invalid", "refresh_token")]),
        (b'{"refresh_token": "' + b"x" * 5000 + b'"}', [("max_length", "refresh_token")]),
        (b'{"refresh_token": "\\u0000"}', [("null_characters_not_allowed", "refresh_token")]),
        (b"[]", [("not_an_object", None)]),
        (b'{"refresh_token": "x"}', []),
        (b'{"refresh_token": "a.b.c"}', []),
    ],
)
async def test_what_is_no_refresh_token_is_told(
    api: Api, body: bytes, codes: list[tuple[str, str | None]]
) -> None:
    answer = await api.send("POST", "tokens/refresh", body)

    assert (answer.status, answer.codes) == (400, codes)


async def test_a_session_that_is_over_is_told_before_anything(api: Api) -> None:
    meta = await join(api)
    token = api.token
    await api.log_out()
    api.token = token

    answer = await api.post("tokens/refresh", refresh_token=meta["refresh_token"])

    assert (answer.status, answer.body) == (410, GONE)


async def test_what_tokens_cost(new_app: Callable[[], Api]) -> None:
    """Statements and commits: a visit by access token one and none, a renewal two and one."""
    api = new_app()
    meta = await join(api)
    api.token = None
    bearer = {"authorization": f"Bearer {meta['access_token']}"}

    shown = await cost(api.call("GET", "auth/session", **bearer))
    renewed = await cost(api.post("tokens/refresh", refresh_token=meta["refresh_token"]))
    refused = await cost(api.post("tokens/refresh", refresh_token="a.b.c"))
    login = await cost(new_app().post("auth/login", email=ADA, password=PASSWORD))

    assert (shown, renewed, refused, login) == ((1, 0), (2, 1), (0, 0), (2, 1))


async def test_a_browser_has_no_part_in_it(house: House) -> None:
    """N8: neither endpoint nor header."""
    app = with_tokens(house)
    async with app.router.lifespan_context(app):
        async for make in clients(app, house, "app"):
            token = (await join(make()))["access_token"]
        async for make in clients(app, house, "browser"):
            page = make()
            shown = await page.call("GET", "auth/session", authorization=f"Bearer {token}")
            refresh = await page.post("tokens/refresh", refresh_token=token)

    assert (shown.status, refresh.status) == (401, 404)


async def test_with_sessions_alone_no_token_is_any_good(house: House) -> None:
    """As by allauth: the endpoint is there, and refuses whatever it is shown."""
    app = create_app(settings_for(house), house.clock, house.wires)
    async for make in apps(app, house):
        api = make()
        assert list(await join(api)) == ["is_authenticated", "session_token"]
        for token in (api.token, rules().keys.sign({}, "rt+jwt")):
            answer = await api.post("tokens/refresh", refresh_token=token)
            assert (answer.status, answer.body) == (400, REFUSED)
        assert (await api.http.get("/.well-known/jwks.json")).status_code == 404


async def test_the_scheme_is_that_which_is_configured(house: House) -> None:
    app = with_tokens(house, headless_jwt_authorization_header_scheme="Token")
    async for make in apps(app, house):
        api = make()
        token = (await join(api))["access_token"]
        api.token = None

        for scheme, status in (("Token", 200), ("Bearer", 401)):
            shown = await api.call("GET", "auth/session", authorization=f"{scheme} {token}")
            assert shown.status == status


async def test_without_rotation_no_refresh_token_is_told(house: House) -> None:
    async for make in apps(with_tokens(house, headless_jwt_rotate_refresh_token=False), house):
        api = make()
        token = (await join(api))["refresh_token"]
        for _ in range(2):
            answer = await api.post("tokens/refresh", refresh_token=token)
            assert list(answer.body["data"]) == ["access_token"]


async def test_stateful_validation_makes_nobody_of_who_is_out(house: House) -> None:
    """As by allauth with the setting: 401 in place of 410."""
    told = {"headless_jwt_stateful_validation_enabled": True, "headless_token_strategy": JWT}
    async for make in apps(with_tokens(house, **told), house):
        api = make()
        token, session_token = (await join(api))["access_token"], api.token
        assert (await by(api, token)).status == 200
        assert (await by(api, token, "DELETE")).status == 401

        answer = await by(api, token)
        assert (answer.status, answer.flows) == (401, ANONYMOUS)
        api.token = session_token
        both = await api.call("GET", "auth/session", authorization=f"Bearer {token}")
        assert both.status == 410


def test_the_description_has_access_tokens_where_they_are_any_good(house: House) -> None:
    """Beside the session token of an app, and nowhere else."""
    without = create_app(settings_for(house), house.clock, house.wires).openapi()
    document = with_tokens(house).openapi()

    schemes = document["components"]["securitySchemes"]
    assert "accessToken" not in without["components"]["securitySchemes"]
    assert (schemes["accessToken"]["type"], schemes["accessToken"]["scheme"]) == ("http", "bearer")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            ways = operation["security"]
            assert ({"accessToken": []} in ways) == path.startswith("/_allauth/app/")
            assert ({"accessToken": []} in ways) == ({"sessionToken": []} in ways)


# What other services see


async def published(api: Api) -> httpx.Response:
    return await api.http.get("/.well-known/jwks.json")


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_a_resource_server_needs_nothing_but_the_published_keys(
    house: House, algorithm: Algorithm
) -> None:
    """By two libraries."""
    told = {
        "headless_jwt_algorithm": algorithm.value,
        "headless_jwt_private_key": private_pem(algorithm),
        "headless_jwt_audience": ("api",),
        "public_url": "http://localhost:8000/",
    }
    async for make in apps(with_tokens(house, **told), house):
        api = make()
        token = (await join(api))["access_token"]
        answer = await published(api)

        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/jwk-set+json"
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert "set-cookie" not in answer.headers
        keys = jwt.PyJWKSet.from_dict(answer.json())
        claims = jwt.decode(
            token,
            keys[jwt.get_unverified_header(token)["kid"]],
            algorithms=[algorithm.value],
            audience="api",
            issuer=ISSUER,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "jti"], "verify_exp": False},
        )
        assert claims["sub"] == (await house.user()).id
        assert (claims["amr"], claims["acr"]) == ([], "aal1")  # a mailed code is none of RFC 8176
        assert read_by_joserfc(token, settings_keys(told)) == claims


def settings_keys(told: dict[str, Any]) -> Any:
    made = rules(keys=type(rules().keys)(signing_key(Algorithm(told["headless_jwt_algorithm"]))))
    return made.keys


async def test_keys_are_changed_while_people_are_logged_in(house: House) -> None:
    """First the next one is published, then it signs; what the old one signed stays good."""
    old = {"headless_jwt_private_key": private_pem(number=1)}
    next_one = {
        "headless_jwt_algorithm": "ES256",
        "headless_jwt_private_key": private_pem(Algorithm.ES256, 2),
    }
    announced = {**old, "headless_jwt_public_keys": public_pem(Algorithm.ES256, 2)}
    changed = {**next_one, "headless_jwt_public_keys": public_pem(number=1)}
    kept: dict[str, Any] = {}
    listed = []
    for told in (old, announced, changed, next_one):
        async for make in apps(with_tokens(house, **told), house):
            api = make()
            if not kept:
                kept = await join(api)
            listed.append([key["kty"] for key in (await published(api)).json()["keys"]])
            if told is next_one:  # too early, for whoever has not been here since
                assert (await api.post("tokens/refresh", refresh_token=kept["old"])).status == 400
            kept["old"] = kept["refresh_token"]
            assert (await by(api, kept["access_token"])).status == 200
            answer = await api.post("tokens/refresh", refresh_token=kept["refresh_token"])
            assert answer.status == 200
            kept |= answer.body["data"]

    assert listed == [["OKP"], ["OKP", "EC"], ["EC", "OKP"], ["EC"]]


async def test_a_page_of_another_origin_may_ask_with_a_token(house: House) -> None:
    origin = "https://app.example.org"
    async for make in apps(with_tokens(house, cors_allowed_origins=(origin,)), house):
        asked = await make().http.options(
            "/_allauth/app/v1/auth/session",
            headers={
                "origin": origin,
                "access-control-request-method": "GET",
                "access-control-request-headers": "authorization",
            },
        )

        assert asked.status_code == 200
        assert "authorization" in asked.headers["access-control-allow-headers"].lower()


async def test_no_log_has_a_token(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """D4: neither those that are given nor those that are shown, right or wrong."""
    meta = await join(api)
    await by(api, meta["access_token"])
    await by(api, "wrong.wrong.wrong")
    await api.post("tokens/refresh", refresh_token=meta["refresh_token"])
    await api.post("tokens/refresh", refresh_token="wrong.wrong.wrong")

    logged = "".join(capsys.readouterr())
    assert "/_allauth/app/v1/tokens/refresh" in logged
    for secret in (meta["access_token"], meta["refresh_token"], "wrong.wrong"):
        assert secret not in logged
