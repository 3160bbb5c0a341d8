"""The public API as clients see it: answers to the letter, both clients, and what they cost."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from services.session.api import (
    account,
    auth,
    emails,
    entrance,
    login_codes,
    passwords,
    person,
    sessions,
)
from services.session.domain.access import Access
from services.session.main import create_app
from services.session.settings import Settings
from tests.hashing import quickly
from tests.session.house import ADA, PASSWORD, RING, SERVICES, House, counted
from tests.signers import Signer
from tests.webauthn.authenticator import Device

ANONYMOUS = [{"id": "login"}, {"id": "signup"}]
UNVERIFIED = [*ANONYMOUS, {"id": "verify_email", "is_pending": True}]
BOTH = ["recovery_codes", "totp"]
SECOND = [*ANONYMOUS, {"id": "mfa_authenticate", "is_pending": True, "types": BOTH}]
GONE = {"status": 410, "data": {"flows": ANONYMOUS}, "meta": {"is_authenticated": None}}


@dataclass
class Answer:
    """A status, a body, and headers."""

    status: int
    body: dict[str, Any]
    headers: httpx.Headers

    @property
    def codes(self) -> list[tuple[str, str | None]]:
        """The codes of the errors, each with the member that it is bound to."""
        return [(error["code"], error.get("param")) for error in self.body.get("errors", ())]

    @property
    def flows(self) -> list[dict[str, Any]]:
        """What there is to do."""
        flows: list[dict[str, Any]] = self.body["data"]["flows"]
        return flows


@dataclass
class Api:
    """A client that keeps its token as clients of that kind do."""

    http: httpx.AsyncClient
    house: House
    client: str
    token: str | None = None
    secret: str = field(default="", repr=False)

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        return await self.send(method, path, content, **headers)

    async def send(self, method: str, path: str, content: bytes, **headers: str) -> Answer:
        if self.client == "app" and self.token:
            headers.setdefault("x-session-token", self.token)
        if self.client == "browser" and "csrftoken" in self.http.cookies:
            headers.setdefault("x-csrftoken", self.http.cookies["csrftoken"])
        response = await self.http.request(
            method,
            f"/_allauth/{self.client}/v1/{path}",
            content=content,
            headers={"origin": "http://localhost:8000", **headers},
        )
        document = json.loads(response.content)
        if token := (document.get("meta") or {}).get("session_token"):
            self.token = token
        return Answer(response.status_code, document, response.headers)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, **members: object) -> Answer:
        return await self.call("POST", path, members)

    async def delete(self, path: str) -> Answer:
        return await self.call("DELETE", path)

    async def join(self) -> None:
        """Sign up and verify."""
        await self.get("auth/session")
        await self.post("auth/signup", email=ADA, password=PASSWORD)
        await self.post("auth/email/verify", key=await self.house.code())

    async def protect(self) -> None:
        """Turn TOTP on."""
        await self.post("auth/reauthenticate", password=PASSWORD)
        self.secret = (await self.get("account/authenticators/totp")).body["meta"]["secret"]
        await self.post("account/authenticators/totp", code=self.otp())
        self.house.clock.turn(seconds=30)

    def otp(self) -> str:
        """Return what the device shows."""
        return pyotp.TOTP(self.secret).at(self.house.clock())

    async def log_out(self) -> Answer:
        answer = await self.delete("auth/session")
        self.token = None
        return answer


def settings_for(house: House, **changes: object) -> Settings:
    values: dict[str, Any] = {
        "session_database_url": house.urls[0],
        "session_sealing_keys": RING,
        "session_caller_key": house.signer.key,
        "session_event_key": Signer("session").key,
        "event_keys": Signer("recovery").listed,
        "broker_url": "redis://127.0.0.1:1/0",
        "countersign_development": True,
        **changes,
    }
    return Settings(**quickly(values))


@pytest.fixture
async def app(house: House) -> AsyncIterator[FastAPI]:
    app = create_app(settings_for(house), house.clock, house.wires)
    async with app.router.lifespan_context(app):
        yield app


async def clients(app: FastAPI, house: House, client: str) -> AsyncIterator[Callable[[], Api]]:
    """Yield what makes fresh clients of one kind."""
    made: list[httpx.AsyncClient] = []

    def make() -> Api:
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://localhost:8000",
        )
        made.append(http)
        return Api(http, house, client)

    yield make
    for http in made:
        await http.aclose()


@pytest.fixture(params=["app", "browser"])
async def new_client(
    request: pytest.FixtureRequest, app: FastAPI, house: House
) -> AsyncIterator[Callable[[], Api]]:
    async for make in clients(app, house, request.param):
        yield make


@pytest.fixture
def api(new_client: Callable[[], Api]) -> Api:
    return new_client()


@pytest.fixture
async def only_app(app: FastAPI, house: House) -> AsyncIterator[Api]:
    async for make in clients(app, house, "app"):
        yield make()


async def test_the_configuration_is_told(api: Api) -> None:
    assert (await api.get("config")).body == {
        "status": 200,
        "data": {
            "account": {
                "login_methods": ["email"],
                "is_open_for_signup": True,
                "email_verification_by_code_enabled": True,
                "login_by_code_enabled": False,
                "password_reset_by_code_enabled": False,
                "authentication_method": "email",
            },
            "mfa": {"supported_types": BOTH, "passkey_login_enabled": False},
            "usersessions": {"track_activity": False},
        },
    }


async def test_the_journey_has_the_answers_of_the_contract(api: Api) -> None:  # noqa: PLR0915
    """The same steps were taken with django-allauth 65.21.1, which gives these answers."""
    at_first = await api.get("auth/session")
    assert at_first.status == 401
    assert at_first.body == {
        "status": 401,
        "data": {"flows": ANONYMOUS},
        "meta": {"is_authenticated": False},
    }
    assert "no-store" in at_first.headers["cache-control"]

    signed_up = await api.post("auth/signup", email="Ada@Example.org", password=PASSWORD)
    assert (signed_up.status, signed_up.flows) == (401, UNVERIFIED)
    code = await api.house.code()
    wrong = await api.post("auth/email/verify", key="XXXXXX")
    assert (wrong.status, wrong.codes) == (400, [("incorrect_code", "key")])
    verified = await api.post("auth/email/verify", key=code)
    user = verified.body["data"]["user"]
    assert verified.status == 200
    assert user == {
        "id": user["id"],
        "display": "ada",
        "email": ADA,
        "has_usable_password": True,
    }
    assert verified.body["data"]["methods"] == []
    again = await api.post("auth/email/verify", key=code)
    assert (again.status, again.body) == (409, {"status": 409})
    for path in ("auth/login", "auth/signup"):
        answer = await api.post(path, email=ADA, password=PASSWORD)
        assert answer.body == {"status": 409}

    assert (await api.get("account/authenticators")).body == {"status": 200, "data": []}
    assert (await api.delete("account/authenticators/totp")).body == {"status": 200}
    wrong = await api.post("auth/reauthenticate", password="no")
    assert wrong.codes == [("incorrect_password", "password")]
    proved = await api.post("auth/reauthenticate", password=PASSWORD)
    at = api.house.clock().timestamp()
    record = {"method": "password", "at": at, "reauthenticated": True}
    assert proved.body["data"]["methods"] == [record]
    shown = await api.get("account/authenticators/totp")
    assert (shown.status, "data" in shown.body) == (404, False)
    assert set(shown.body["meta"]) == {"secret", "totp_url", "totp_svg"}
    api.secret = shown.body["meta"]["secret"]
    assert api.secret in shown.body["meta"]["totp_url"]
    activated = await api.post("account/authenticators/totp", code=api.otp())
    authenticator = {"type": "totp", "created_at": at, "last_used_at": None}
    assert activated.body == {
        "status": 200,
        "data": authenticator,
        "meta": {"recovery_codes_generated": True},
    }
    shown = await api.get("account/authenticators/totp")
    assert shown.body == {"status": 200, "data": authenticator}
    codes = {
        "type": "recovery_codes",
        "created_at": at,
        "last_used_at": None,
        "total_code_count": 10,
        "unused_code_count": 10,
        "recovery_codes_low": False,
    }
    assert (await api.get("account/authenticators")).body["data"] == [authenticator, codes]
    elsewhere = await api.post("auth/2fa/authenticate", code="000000")
    assert elsewhere.body == {
        "status": 401,
        "data": {"flows": ANONYMOUS},
        "meta": {"is_authenticated": None},
    }

    logged_out = await api.log_out()
    assert (logged_out.status, logged_out.flows) == (401, ANONYMOUS)
    for email in (ADA, "nobody@example.org"):
        wrong = await api.post("auth/login", email=email, password="bad")
        assert (wrong.status, wrong.codes) == (400, [("email_password_mismatch", "password")])
    pending = await api.post("auth/login", email=ADA, password=PASSWORD)
    assert (pending.status, pending.flows) == (401, SECOND)
    for path in ("account/authenticators", "account/authenticators/totp"):
        assert (await api.get(path)).flows == SECOND
    barred = await api.post("auth/reauthenticate", password=PASSWORD)
    assert (barred.status, barred.flows) == (401, SECOND)
    assert (await api.post("auth/2fa/authenticate")).codes == [("required", "code")]
    wrong = await api.post("auth/2fa/authenticate", code="000000")
    assert wrong.codes == [("incorrect_code", "code")]
    api.house.clock.turn(seconds=30)
    done = await api.post("auth/2fa/authenticate", code=api.otp())
    password, mfa = done.body["data"]["methods"]
    now = api.house.clock().timestamp()
    assert password == {"method": "password", "at": at, "email": ADA}
    assert mfa == {"method": "mfa", "at": now, "id": mfa["id"], "type": "totp"}

    needed = await api.delete("account/authenticators/totp")
    assert needed.status == 401
    assert needed.body["meta"] == {"is_authenticated": True}
    assert needed.flows == [
        {"id": "reauthenticate"},
        {"id": "mfa_reauthenticate", "types": BOTH},
    ]
    assert needed.body["data"]["user"] == user
    replayed = await api.post("auth/2fa/reauthenticate", code=api.otp())
    assert replayed.codes == [("incorrect_code", "code")]
    api.house.clock.turn(seconds=30)
    proved = await api.post("auth/2fa/reauthenticate", code=api.otp())
    assert proved.body["data"]["methods"][-1]["reauthenticated"] is True
    assert (await api.delete("account/authenticators/totp")).body == {"status": 200}
    assert (await api.get("account/authenticators")).body["data"] == []
    await api.log_out()
    assert (await api.post("auth/login", email=ADA, password=PASSWORD)).status == 200


async def test_everything_that_is_wrong_with_a_sign_up_is_told_at_once(api: Api) -> None:
    await api.get("config")
    answer = await api.post("auth/signup", email="a", password="123")

    assert answer.status == 400
    assert answer.body["errors"] == [
        {"message": "Enter a valid email address.", "code": "invalid", "param": "email"},
        {
            "message": "This password is too short. It must contain at least 8 characters.",
            "code": "password_too_short",
            "param": "password",
        },
        {
            "message": "This password is too common.",
            "code": "password_too_common",
            "param": "password",
        },
        {
            "message": "This password is entirely numeric.",
            "code": "password_entirely_numeric",
            "param": "password",
        },
    ]
    assert (await api.post("auth/signup")).codes == [
        ("required", "email"),
        ("required", "password"),
    ]


async def test_no_password_is_judged_of_who_is_logged_in(api: Api) -> None:
    """O2: nor is it counted, whoever's it is."""
    await api.join()

    for password in ["wrong"] * 6 + [PASSWORD]:
        answer = await api.post("auth/login", email=ADA, password=password)
        assert (answer.status, answer.body) == (409, {"status": 409})
    await api.log_out()

    assert (await api.post("auth/login", email=ADA, password=PASSWORD)).status == 200


async def test_no_passkey_is_judged_of_who_owes_none(with_keys: Api) -> None:
    """O2: whatever is given, to nobody, to who waits for a code, and to who is logged in."""
    bodies: tuple[dict[str, Any], ...] = ({}, {"credential": 5}, {"credential": {"id": "a"}})
    await with_keys.get("auth/session")

    async def keep() -> list[int]:
        path = "auth/webauthn/signup"
        return [(await with_keys.call("PUT", path, body)).status for body in bodies]

    assert await keep() == [409, 409, 409]
    await with_keys.post("auth/signup", email=ADA, password=PASSWORD)
    assert await keep() == [409, 409, 409]
    await with_keys.post("auth/email/verify", key=await with_keys.house.code())
    assert await keep() == [409, 409, 409]


async def test_an_app_that_has_logged_out_is_gone_everywhere(only_app: Api) -> None:
    api = only_app
    await api.join()
    token = api.token
    await api.log_out()
    api.token = token

    for path in ("config", "auth/session", "account/authenticators"):
        assert (await api.get(path)).body == GONE
    assert (await api.post("auth/login", email=ADA, password=PASSWORD)).body == GONE


async def test_an_app_is_told_its_token_only_when_it_changes(only_app: Api) -> None:
    api = only_app
    await api.join()

    assert "session_token" not in (await api.get("auth/session")).body["meta"]
    proved = await api.post("auth/reauthenticate", password=PASSWORD)
    assert "session_token" not in proved.body["meta"]


ROUTES = [
    *entrance.routes_for(entrance.Entrance()).all,
    *auth.routes.all,
    *login_codes.routes.all,
    *account.routes.all,
    *account.totp_routes.all,
    *account.recovery_codes_routes.all,
    *login_codes.routes.all,
    *emails.verification_routes(by_code=True).all,
    *emails.routes.all,
    *passwords.reset_routes(by_code=False).all,
    *person.routes.all,
    *sessions.routes.all,
]


ALLOWED = {  # to somebody with nothing, and to somebody who has only given a password
    Access.ANYONE: (True, True),
    Access.LOGGED_OUT: (True, True),
    Access.LOGIN_BY_CODE: (False, False),
    Access.ADDRESS_PROOF: (False, False),
    Access.MFA_AUTHENTICATE: (False, True),
    Access.LOGGED_IN: (False, False),
}


async def test_every_route_keeps_to_the_access_that_it_names(
    new_client: Callable[[], Api],
) -> None:
    """O2: walked through by somebody with nothing, and by somebody between the stages."""
    nobody, between = new_client(), new_client()
    await nobody.get("config")
    await between.join()
    await between.protect()
    await between.log_out()
    await between.post("auth/login", email=ADA, password=PASSWORD)
    for route in sorted(ROUTES, key=lambda r: r.access in (Access.ANYONE, Access.LOGGED_OUT)):
        for api, allowed in zip((nobody, between), ALLOWED[route.access], strict=True):
            answer = await api.call(route.method, route.path.removeprefix("/"), {"code": "0"})
            barred = answer.status == 409 or (
                answer.status == 401 and route.access is not Access.ANYONE
            )
            assert barred is not allowed, (route.path, answer)
            assert not (answer.body.get("meta") or {}).get("is_authenticated")


def test_no_route_is_served_that_names_nobody(app: FastAPI) -> None:
    """O2: what is mounted is what the routes declare, for both clients, and no documentation.

    The pages have a list and a test of their own.
    """
    served = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route) and route.path != "/"
        if not route.path.startswith(("/accounts", "/.well-known/change-password"))
        for method in (route.methods or set()) - {"HEAD"}
    }
    declared = {
        (route.method, f"/_allauth/{client}/v1{route.path}")
        for route in ROUTES
        for client in ("app", "browser")
    }
    config = {("GET", f"/_allauth/{client}/v1/config") for client in ("app", "browser")}
    inbox = {("GET", "/inbox"), ("GET", "/inbox.json")}
    for_apps = {("POST", "/_allauth/app/v1/tokens/refresh")}

    assert served == declared | for_apps | config | inbox


async def test_a_part_that_is_away_is_told_as_503(api: Api) -> None:
    """O4: with Retry-After, and in the contract's shape."""
    await api.join()
    await api.protect()
    await api.log_out()
    await api.post("auth/login", email=ADA, password=PASSWORD)
    api.house.wire.break_down()
    answer = await api.post("auth/2fa/authenticate", code=api.otp())

    assert (answer.status, answer.body) == (503, {"status": 503})
    assert int(answer.headers["retry-after"]) > 0


async def test_without_totp_there_are_no_endpoints_for_it(house: House) -> None:
    app = create_app(settings_for(house, mfa_supported_types=()), house.clock)

    assert not [r for r in app.routes if isinstance(r, Route) and "totp" in r.path]


# Cost


def spent() -> tuple[float, float]:
    """Return all statements and all commits so far, of all services together."""
    each = [counted(service) for service in SERVICES]
    return sum(c["read"] + c["write"] for c in each), sum(c["commit"] for c in each)


async def cost(*calls: Any) -> tuple[float, float]:
    """Return the statements and commits that calls take, one after the other."""
    statements, commits = spent()
    for call in calls:
        await call
    return spent()[0] - statements, spent()[1] - commits


async def test_what_the_flows_cost(api: Api) -> None:
    """Statements and commits: A takes 6 and 3, B 5 and 3, E one and none, F with codes 8 and 5."""
    await api.join()
    await api.post("auth/reauthenticate", password=PASSWORD)
    begun = await cost(begin_enrolment(api))
    activated = await cost(api.post("account/authenticators/totp", code=api.otp()))
    api.house.clock.turn(seconds=30)
    await api.log_out()
    before = len(api.house.wire.requests)
    login = await cost(api.post("auth/login", email=ADA, password=PASSWORD))
    code = await cost(api.post("auth/2fa/authenticate", code=api.otp()))
    calls = len(api.house.wire.requests) - before
    session = await cost(api.get("auth/session"))
    await api.post("auth/reauthenticate", password=PASSWORD)
    shown = await api.get("account/authenticators/recovery-codes")
    await api.log_out()
    again = await cost(api.post("auth/login", email=ADA, password=PASSWORD))
    recovery = shown.body["data"]["unused_codes"][0]
    recovered = await cost(api.post("auth/2fa/authenticate", code=recovery))

    assert (login, code, calls) == ((2, 1), (4, 2), 1)  # A
    assert (again, recovered) == ((2, 1), (3, 2))  # B
    assert session == (1, 0)  # E
    assert (begun, activated) == ((2, 1), (6, 4))  # F


async def test_who_is_logged_in_is_told_by_one_statement_in_every_state(api: Api) -> None:
    """E: verifying, logged in, with a fresh proof, owing the second step; of nobody by none."""
    costs = {}

    async def look(state: str) -> None:
        costs[state] = await cost(api.get("auth/session"))

    await look("nobody")
    await api.post("auth/signup", email="bob@example.org", password=PASSWORD)
    await look("verifying")
    await api.house.mails()
    await api.log_out()
    await api.join()
    await look("logged in")
    await api.protect()
    await look("proved again")
    await api.log_out()
    await api.post("auth/login", email=ADA, password=PASSWORD)
    await look("owing the second step")

    assert costs.pop("nobody") == (0, 0)
    assert set(costs.values()) == {(1, 0)}, costs


@pytest.fixture(params=["app", "browser"])
async def with_keys(request: pytest.FixtureRequest, house: House) -> AsyncIterator[Api]:
    """A client of a suite with security keys and passkeys."""
    types = ("recovery_codes", "totp", "webauthn")
    settings = settings_for(
        house,
        mfa_supported_types=types,
        mfa_passkey_login_enabled=True,
        mfa_passkey_signup_enabled=True,
    )
    app = create_app(settings, house.clock, house.wires)
    async with app.router.lifespan_context(app):
        async for make in clients(app, house, request.param):
            yield make()


async def test_what_keys_cost(with_keys: Api) -> None:
    """Statements and commits: C takes 8 and 4, D from an empty client 8 and 4, and calls both 2.

    Options for a new key take 3 and 2, and so do those of a login in a session that is there; those
    for a second factor and for a fresh proof, which are not counted for anybody, 2 and 1.
    """
    api, device = with_keys, Device()
    path = "account/authenticators/webauthn"
    await api.join()
    await api.post("auth/reauthenticate", password=PASSWORD)
    shown = await cost(api.get(f"{path}?passwordless"))
    options = (await api.get(f"{path}?passwordless")).body["data"]["creation_options"]
    await api.post(path, credential=device.create(options))
    await api.log_out()
    wire = api.house.wires["webauthn"]
    before = len(wire.requests)

    login = await cost(api.post("auth/login", email=ADA, password=PASSWORD))
    asked = await cost(api.get("auth/webauthn/authenticate"))
    given = await cost(prove(api, "auth/webauthn/authenticate", device))
    fresh = await cost(api.get("auth/webauthn/reauthenticate"))
    proved = await cost(prove(api, "auth/webauthn/reauthenticate", device))
    await api.log_out()
    alone = await cost(prove(api, "auth/webauthn/login", device))
    await api.log_out()
    calls = len(wire.requests) - before
    await api.get("auth/webauthn/login")
    again = await cost(api.get("auth/webauthn/login"))

    assert (login, asked, fresh) == ((2, 1), (2, 1), (2, 1))
    assert (shown, again) == ((3, 2), (3, 2))
    assert (given[0] - asked[0], given[1] - asked[1]) == (4, 2)  # C: 8 and 4
    assert proved == (6, 3)  # the same as at a login, its options too
    assert alone == (8, 4)  # D
    assert calls == 8


async def prove(api: Api, path: str, device: Device) -> None:
    """Have a key asked for, and give it."""
    asked = await api.get(path)
    answer = device.get(asked.body["data"]["request_options"])
    assert (await api.post(path, credential=answer)).status == 200


async def begin_enrolment(api: Api) -> None:
    api.secret = (await api.get("account/authenticators/totp")).body["meta"]["secret"]


async def test_known_and_unknown_addresses_cost_the_same(new_client: Callable[[], Api]) -> None:
    """Enumeration: the same statements for a login that is refused, and for a sign-up."""
    ada = new_client()
    await ada.join()
    ada.house.clock.turn(seconds=10)  # or the next mail would be too early
    known: list[tuple[float, float]] = []
    unknown: list[tuple[float, float]] = []
    for email, costs in ((ADA, known), ("nobody@example.org", unknown)):
        client = new_client()
        await client.get("config")
        costs.append(await cost(client.post("auth/login", email=email, password="wrong")))
        costs.append(await cost(client.post("auth/signup", email=email, password=PASSWORD)))

    assert known == unknown == [(2, 1), (2, 1)]
