"""Keys over the public API: what is asked, what answers look like, and what browsers are told."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.session.api import auth, well_known
from services.session.main import create_app
from shared.database import step
from tests.session.house import ADA, PASSWORD, House
from tests.session.test_api_contract import Answer, Api, clients, settings_for
from tests.session.test_flows_passwords import FORGET_PASSWORD
from tests.webauthn.authenticator import HONEST, UV, Device, Lies

KEYS = "account/authenticators/webauthn"
LOGIN = "auth/webauthn/login"
AUTHENTICATE = "auth/webauthn/authenticate"
REAUTHENTICATE = "auth/webauthn/reauthenticate"
CHANGE = "account/password/change"
TYPES = ("recovery_codes", "totp", "webauthn")
ANYBODY = [{"id": "login"}, {"id": "signup"}, {"id": "mfa_login_webauthn"}]
REFUSED = {
    "status": 400,
    "errors": [{"message": "Incorrect code.", "code": "incorrect_code", "param": "credential"}],
}
LISTED = "https://app.example.org"
FOREIGN = "https://evil.example"
KEYS_ON: dict[str, Any] = {"mfa_supported_types": TYPES, "mfa_passkey_login_enabled": True}


@pytest.fixture
async def app(house: House) -> AsyncIterator[FastAPI]:
    app = create_app(settings_for(house, **KEYS_ON), house.clock, house.wires)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(params=["app", "browser"])
async def new_client(
    request: pytest.FixtureRequest, app: FastAPI, house: House
) -> AsyncIterator[Callable[[], Api]]:
    async for make in clients(app, house, request.param):
        yield make


@pytest.fixture
def api(new_client: Callable[[], Api]) -> Api:
    return new_client()


async def add_key(api: Api, device: Device) -> str:
    """Register a passkey of who is logged in; return its id."""
    await api.post("auth/reauthenticate", password=PASSWORD)
    offer = (await api.get(f"{KEYS}?passwordless")).body["data"]["creation_options"]
    added = await api.post(KEYS, name="My key", credential=device.create(offer))
    assert added.status == 200
    key: str = added.body["data"]["id"]
    return key


async def prove(api: Api, path: str, device: Device, lies: Lies = HONEST) -> Answer:
    """Have a key asked for at `path`, and give it."""
    asked = await api.get(path)
    assert asked.status == 200
    answer = device.get(asked.body["data"]["request_options"], lies)
    return await api.post(path, credential=answer)


async def with_key(api: Api, device: Device) -> str:
    """Sign up, register a passkey and log out; return the id of the key."""
    await api.join()
    key = await add_key(api, device)
    await api.log_out()
    return key


async def test_who_is_asked_gets_a_session_to_answer_in(api: Api) -> None:
    """The same as with django-allauth: apps are told its token once, browsers get the cookie."""
    await api.get("config")
    asked = await api.get(LOGIN)

    options = asked.body["data"]["request_options"]["publicKey"]
    assert (options["rpId"], options["allowCredentials"]) == ("example.com", [])
    assert options["userVerification"] == "required"
    if api.client == "app":
        assert asked.body["meta"] == {"session_token": api.token}
        assert api.token is not None
    else:
        assert "meta" not in asked.body
        assert "sessionid" in api.http.cookies
    assert "meta" not in (await api.get(LOGIN)).body
    standing = await api.get("auth/session")
    assert (standing.status, standing.flows) == (401, ANYBODY)


async def test_a_passkey_logs_in(api: Api) -> None:
    device = Device()
    key = await with_key(api, device)

    answer = await prove(api, LOGIN, device)

    at = api.house.clock().timestamp()
    assert answer.status == 200
    assert answer.body["data"]["methods"] == [
        {"method": "mfa", "at": at, "id": key, "type": "webauthn", "passwordless": True}
    ]
    signal = answer.body["meta"]["signal"]
    assert set(signal) == {"allAcceptedCredentials", "currentUserDetails"}
    assert signal["currentUserDetails"]["name"] == ADA
    assert ("session_token" in answer.body["meta"]) == (api.client == "app")
    assert "signal" not in (await api.get("auth/session")).body["meta"]
    again = await prove(api, LOGIN, device)
    assert (again.status, again.body) == (409, {"status": 409})


async def test_a_token_that_was_planted_is_worth_nothing_after_the_login(
    new_client: Callable[[], Api],
) -> None:
    """N2: apps find it gone, browsers are nobody with it."""
    device = Device()
    ada, eve = new_client(), new_client()
    await with_key(ada, device)
    await eve.get("config")
    await eve.get(LOGIN)
    ada.token = eve.token
    if ada.client == "browser":
        ada.http.cookies.set("sessionid", eve.http.cookies["sessionid"], domain="localhost")
    assert (await prove(ada, LOGIN, device)).status == 200

    standing = await eve.get("auth/session")
    assert standing.status == (410 if eve.client == "app" else 401)
    assert standing.flows == ANYBODY


async def test_a_key_is_a_second_factor(api: Api) -> None:
    device = Device(verifies=True)
    key = await with_key(api, device)
    pending = await api.post("auth/login", email=ADA, password=PASSWORD)
    assert pending.flows == [
        *ANYBODY,
        {"id": "mfa_authenticate", "is_pending": True, "types": ["recovery_codes", "webauthn"]},
    ]

    wrong = await prove(api, AUTHENTICATE, device, Lies(challenge=b"another"))
    assert wrong.body == REFUSED
    done = await prove(api, AUTHENTICATE, device)

    at = api.house.clock().timestamp()
    assert done.body["data"]["methods"] == [
        {"method": "password", "at": at, "email": ADA},
        {"method": "mfa", "at": at, "id": key, "type": "webauthn"},
    ]
    assert (await api.get(AUTHENTICATE)).flows == ANYBODY


async def test_a_key_proves_it_again(api: Api) -> None:
    device = Device()
    await with_key(api, device)
    await prove(api, LOGIN, device)
    needed = await api.get(KEYS)
    assert (needed.status, needed.flows[-1]["types"]) == (401, ["recovery_codes", "webauthn"])

    assert (await prove(api, REAUTHENTICATE, device, Lies(signs=b"x"))).body == REFUSED
    proved = await prove(api, REAUTHENTICATE, device)

    assert proved.body["data"]["methods"][-1]["reauthenticated"] is True
    assert "passwordless" not in proved.body["data"]["methods"][-1]
    assert (await api.get(KEYS)).status == 200


async def test_the_first_password_waits_for_the_key(api: Api) -> None:
    """N6: the 401 lists the ways that do, and a session that is found open has none of them."""
    device = Device()
    await with_key(api, device)
    await api.house.db.apply(step(FORGET_PASSWORD))
    await prove(api, LOGIN, device)

    for body in ({"new_password": "battery-staple-7"}, {"new_password": "1"}, {}):
        needed = await api.post(CHANGE, **body)
        assert (needed.status, needed.body["meta"]) == (401, {"is_authenticated": True})
        ways = [{"id": "mfa_reauthenticate", "types": ["recovery_codes", "webauthn"]}]
        assert needed.flows == ways

    await prove(api, REAUTHENTICATE, device)
    assert (await api.post(CHANGE, new_password="battery-staple-7")).status == 200


async def test_a_passkey_that_is_gone_is_told_with_the_refusal(api: Api) -> None:
    device = Device()
    await api.join()
    key = await add_key(api, device)
    await api.call("DELETE", KEYS, {"authenticators": [key]})
    await api.log_out()

    refused = await prove(api, LOGIN, device)

    named = device.get((await api.get(LOGIN)).body["data"]["request_options"])["id"]
    signal = {"unknownCredential": {"rpId": "example.com", "credentialId": named}}
    assert refused.body == {**REFUSED, "meta": {"signal": signal}}


@pytest.mark.parametrize("path", [LOGIN, AUTHENTICATE, REAUTHENTICATE])
async def test_what_is_no_credential_is_told_before_anything_is_judged(api: Api, path: str) -> None:
    """W7.1-3: JSON is read strictly; what is wrong within is a refusal like any other."""
    device = Device()
    await with_key(api, device)
    if path != LOGIN:
        await api.post("auth/login", email=ADA, password=PASSWORD)
    if path == REAUTHENTICATE:
        await prove(api, AUTHENTICATE, device)
    empty: tuple[object, ...] = (None, {}, "")
    nothings: list[dict[str, object]] = [{}, *({"credential": value} for value in empty)]
    for nothing in nothings:
        answer = await api.call("POST", path, nothing)
        assert answer.codes == [("required", "credential")]
    text = await api.post(path, credential=json.dumps({"id": "x"}))
    assert text.codes == [("invalid", "credential")]
    for odd in (5, True, ["x"], {"id": 5}, {"id": "x", "response": {"clientDataJSON": [[]]}}):
        await api.get(path)
        assert (await api.post(path, credential=odd)).body == REFUSED


@pytest.mark.parametrize("path", [LOGIN, AUTHENTICATE])
async def test_without_webauthn_the_answer_is_503(api: Api, path: str) -> None:
    """O4: with Retry-After; other factors still do, and nobody is let past."""
    device = Device()
    await api.join()
    await api.protect()
    await add_key(api, device)
    await api.log_out()
    if path == AUTHENTICATE:
        await api.post("auth/login", email=ADA, password=PASSWORD)
    options = (await api.get(path)).body["data"]["request_options"]
    api.house.wires["webauthn"].break_down()

    for answer in (await api.get(path), await api.post(path, credential=device.get(options))):
        assert (answer.status, answer.body) == (503, {"status": 503})
        assert int(answer.headers["retry-after"]) > 0
    assert (await api.get("auth/session")).status == 401
    await api.post("auth/login", email=ADA, password=PASSWORD)
    assert (await api.post("auth/2fa/authenticate", code=api.otp())).status == 200


async def test_too_many_are_told_as_429(api: Api) -> None:
    """L9: as with any other limit; and what is asked is still asked."""
    device = Device()
    await with_key(api, device)
    for _ in range(10):
        assert (await prove(api, LOGIN, device, Lies(clear_flags=UV))).body == REFUSED

    late = await prove(api, LOGIN, device)
    assert (late.status, late.body) == (429, {"status": 429})
    assert 0 < int(late.headers["retry-after"]) <= 60


async def test_the_limits_are_the_operators(house: House) -> None:
    """L8: MFA_RATE_LIMITS, for what is given and for sessions of who is asked; null is no limit."""
    for rates, last in (
        ('{"webauthn_login": "2/m/ip"}', 429),
        ('{"webauthn_login": null}', 400),
        ('{"webauthn_options": "2/m/ip"}', 429),
        ('{"webauthn_options": null}', 400),
    ):
        settings = settings_for(house, **KEYS_ON, mfa_rate_limits=rates)
        app = create_app(settings, house.clock, house.wires)
        async with app.router.lifespan_context(app):
            async for make in clients(app, house, "app"):
                for expected in (400, 400, last):
                    api = make()
                    asked = await api.get(LOGIN)
                    given = await api.post(LOGIN, credential={"id": "x"})
                    assert max(asked.status, given.status) == expected
        house.clock.turn(minutes=2)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-mode": "cors", "origin": FOREIGN},
        {"sec-fetch-mode": "cors", "origin": "null"},
    ],
    ids=["link", "image", "fetch", "sandbox"],
)
async def test_another_site_has_no_session_opened(api: Api, headers: dict[str, str]) -> None:
    """N9: or its link, which leaves the cookie out if it is Strict, would log people out."""
    cross_site = {"sec-fetch-site": "cross-site", **headers}
    answer = await api.http.get(f"/_allauth/{api.client}/v1/{LOGIN}", headers=cross_site)

    if api.client == "browser":
        assert (answer.status_code, answer.json()) == (403, {"status": 403})
        assert "set-cookie" not in answer.headers
        assert await api.house.session_rows() == []
    else:  # which has no cookies, and which no page can have called without CORS
        assert answer.status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
async def test_its_own_site_and_its_user_have_one_opened(api: Api, site: str) -> None:
    answer = await api.http.get(
        f"/_allauth/{api.client}/v1/{LOGIN}",
        headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"},
    )

    assert answer.status_code == 200
    assert len(await api.house.session_rows()) == 1


async def test_pages_elsewhere_that_may_read_can_log_people_in(house: House) -> None:
    """CORS_ALLOWED_ORIGINS: their fetch is told from a link by its Origin."""
    settings = settings_for(house, **KEYS_ON, cors_allowed_origins=(LISTED,))
    app = create_app(settings, house.clock, house.wires)
    async with app.router.lifespan_context(app):
        async for make in clients(app, house, "browser"):
            asked = await make().http.get(
                f"/_allauth/browser/v1/{LOGIN}",
                headers={
                    "sec-fetch-site": "cross-site",
                    "sec-fetch-mode": "cors",
                    "origin": LISTED,
                },
            )
            assert asked.status_code == 200
            assert asked.headers["access-control-allow-origin"] == LISTED
            assert "sessionid=" in asked.headers["set-cookie"]


async def test_what_is_off_is_not_there(house: House) -> None:
    """Neither asked for nor told of."""
    kinds = settings_for(house, mfa_supported_types=TYPES)
    without_login = {r.path for r in create_app(kinds, house.clock, house.wires).routes}  # type: ignore[attr-defined]
    none = create_app(settings_for(house), house.clock, house.wires)
    without_keys = {r.path for r in none.routes}  # type: ignore[attr-defined]

    assert f"/_allauth/app/v1/{AUTHENTICATE}" in without_login
    assert f"/_allauth/app/v1/{LOGIN}" not in without_login
    assert not [path for path in without_keys if "webauthn" in path or "passkey" in path]


async def test_nobody_asks_or_answers_out_of_turn(new_client: Callable[[], Api]) -> None:
    """O2: every route of keys keeps to the access that it names."""
    nobody, ada = new_client(), new_client()
    await nobody.get("config")
    await with_key(ada, Device())
    for route in auth.webauthn_routes.all:
        answer = await nobody.call(route.method, route.path.removeprefix("/"), {"credential": {}})
        assert (answer.status, answer.flows) == (401, ANYBODY)
    await ada.post("auth/login", email=ADA, password=PASSWORD)
    assert (await ada.get(REAUTHENTICATE)).status == 401
    assert (await ada.post(REAUTHENTICATE, credential={"id": "x"})).status == 401


# What browsers look for by themselves


async def fetched(house: House, path: str, **settings: Any) -> httpx.Response:
    """Return what is served at `path`."""
    app = create_app(settings_for(house, **KEYS_ON, **settings), house.clock, house.wires)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost:8000"
        ) as http,
    ):
        return await http.get(path)


async def test_related_origins_are_told_to_browsers(house: House) -> None:
    """WebAuthn section 5.11: if there are any."""
    related = ("https://example.org", "https://example.net:8443")
    answer = await fetched(house, well_known.RELATED_ORIGINS, webauthn_related_origins=related)

    assert answer.json() == {"origins": list(related)}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert (await fetched(house, well_known.RELATED_ORIGINS)).status_code == 404


async def test_password_managers_are_told_where_passkeys_are_looked_after(house: House) -> None:
    """By pages of one's own, or else by ours; that there are passkeys is told without any too."""
    enroll, manage = "https://example.com/passkeys/new", "https://example.com/passkeys"
    answer = await fetched(
        house,
        well_known.PASSKEY_ENDPOINTS,
        passkey_enroll_url=enroll,
        passkey_manage_url=manage,
    )

    assert answer.json() == {"enroll": enroll, "manage": manage}
    ours = (await fetched(house, well_known.PASSKEY_ENDPOINTS)).json()
    assert ours == {
        "enroll": "http://localhost:8000/accounts/2fa/webauthn/add/",
        "manage": "http://localhost:8000/accounts/2fa/webauthn/",
    }
    alone = await fetched(house, well_known.PASSKEY_ENDPOINTS, headless_only=True)
    assert alone.json() == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"webauthn_related_origins": ("https://example.com/page",)},
        {"webauthn_related_origins": ("http://example.com",)},
        {"webauthn_related_origins": ("example.com",)},
        {"passkey_enroll_url": "http://example.com/new"},
        {"passkey_manage_url": "somewhere"},
    ],
)
async def test_what_is_no_origin_or_page_does_not_start(
    house: House, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="https"):
        settings_for(house, **changes)
