"""What session gets to see of the service, and what nobody else does."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr

from services.totp.api import router
from services.totp.main import create_app
from services.totp.settings import Settings
from shared.auth import Caller
from shared.errors import Conflict, Malformed, NotFound
from shared.factor import FactorClient, Purpose, Verification
from shared.http import InProcess, connect
from tests.totp.conftest import START, Hands, Signer, counted, spent_since

ROUTES = [route for route in router.routes if isinstance(route, APIRoute)]
CALLS = [
    (method, route.path.format(user_id="ada", enrolment_id="e1", authenticator_id="a1"))
    for route in ROUTES
    for method in sorted(route.methods or ())
]
NOW = int(START.timestamp())
ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def verify(
    client: FactorClient, ids: list[str], proof: Mapping[str, JsonValue]
) -> Verification:
    return await client.verify(
        "ada", authenticators=ids, proof=proof, session_id="s1", purpose=Purpose.AUTHENTICATE
    )


def token(key: Ed25519PrivateKey, *, kid: str = "session-1", **changes: Any) -> str:
    """Return a token that would be good, but for `changes`."""
    claims = {"iss": "session", "aud": "totp", "iat": NOW, "exp": NOW + 60} | changes
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, "EdDSA", headers={"kid": kid})


def unsigned(**header: Any) -> str:
    """Return a token with a header of one's own choice and no signature."""
    claims = {"iss": "session", "aud": "totp", "iat": NOW, "exp": NOW + 60}
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


def bad_credentials(session: Signer, audit: Signer) -> dict[str, str | None]:
    """Return an Authorization header for every way to be nobody."""
    key = session.private
    public = key.public_key().public_bytes_raw()
    bearer = {
        "expired": token(key, iat=NOW - 60, exp=NOW),
        "expires too late": token(key, exp=NOW + 61),
        "never expires": token(key, exp=None),
        "issued in the future": token(key, iat=NOW + 30, exp=NOW + 60),
        "issued at no time": token(key, iat=None),
        "expires at a truth": token(key, exp=True),
        "another audience": token(key, aud="recovery"),
        "a list of audiences": token(key, aud=["totp"]),
        "no audience": token(key, aud=None),
        "another issuer": token(key, iss="audit"),
        "no issuer": token(key, iss=None),
        "more claims": token(key, sub="ada"),
        "unknown key": token(key, kid="session-2"),
        "another's key": token(audit.private),
        "a stranger's key": token(Ed25519PrivateKey.generate()),
        "algorithm none": unsigned(alg="none", kid="session-1"),
        "algorithm None": unsigned(alg="None", kid="session-1"),
        "no key id": unsigned(alg="EdDSA"),
        "key id of a wrong type": unsigned(alg="EdDSA", kid=["session-1"]),
        "key in the header": unsigned(alg="EdDSA", kid="session-1", jwk={}),
        "signed with the public key": jwt.encode(
            {"iss": "session", "aud": "totp", "iat": NOW, "exp": NOW + 60},
            public,
            "HS256",
            headers={"kid": "session-1"},
        ),
        "altered": token(key)[:-4] + "AAAA",
        "no token": "",
        "not a token": "a.b.c",
        "huge": "a" * 10_000,
    }
    others = {
        "no header": None,
        "another scheme": f"Basic {token(key)}",
        "no scheme": token(key),
        "bytes": "Bearer \xff\xfe",
    }
    return {name: f"Bearer {value}" for name, value in bearer.items()} | others


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_whoever_is_not_known(
    app: FastAPI, session: Signer, audit: Signer, method: str, path: str
) -> None:
    """Section 3: each inner route denies by default, whatever else is wrong with the request."""
    async with httpx.AsyncClient(
        base_url="http://totp", transport=httpx.ASGITransport(app)
    ) as stranger:
        for name, credential in bad_credentials(session, audit).items():
            sent = [] if credential is None else [(b"authorization", credential.encode("latin-1"))]
            for content in (b"", b"{", b"{}"):
                answer = await stranger.request(method, path, headers=sent, content=content)
                assert answer.status_code == 401, name
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json()["code"] == "unauthenticated"


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_services_that_have_no_business_here(
    app: FastAPI, audit: Signer, clock: Hands, method: str, path: str
) -> None:
    """Section 3: a good credential of another service is of no use."""
    async with httpx.AsyncClient(
        base_url="http://totp", transport=httpx.ASGITransport(app)
    ) as client:
        bearer = Caller(audit.key, clock).token_for("totp")
        answer = await client.request(
            method, path, headers={"authorization": f"Bearer {bearer}"}, content=b"{"
        )

    assert answer.status_code == 403


async def test_two_credentials_are_none(raw: httpx.AsyncClient, session: Signer) -> None:
    """Section 3: a request with two credentials could be read differently by two parsers."""
    good = f"Bearer {token(session.private)}"
    del raw.headers["authorization"]

    answer = await raw.get(
        "/v1/users/ada/authenticators",
        headers=[("authorization", good), ("authorization", "Bearer x")],
    )

    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/healthz"])
async def test_the_service_port_shows_nothing_but_the_service(
    raw: httpx.AsyncClient, path: str
) -> None:
    """D6: documentation, metrics and health are on another port."""
    assert (await raw.get(path)).status_code == 404


async def test_the_whole_life_of_an_authenticator(client: FactorClient, clock: Hands) -> None:
    await client.ready()
    empty = await client.authenticators("ada")
    offer = await client.begin("ada", "e1", session_id="s1", account_name="ada@example.com")
    device = pyotp.parse_uri(str(offer.display["totp_url"]))
    assert isinstance(device, pyotp.TOTP)
    wrong = await client.complete("ada", "e1", session_id="s1", proof={"code": "nonsense"})
    made = await client.complete(
        "ada", "e1", session_id="s1", proof={"code": device.at(clock())}, name="phone"
    )
    clock.turn(seconds=30)
    code = {"code": device.at(clock())}
    first = await verify(client, ["e1"], code)
    replay = await verify(client, ["e1"], code)
    listed = await client.authenticators("ada")
    await client.remove("ada", "e1")
    await client.remove("ada", "e1")
    await client.forget("ada")
    gone = await client.authenticators("ada")

    assert offer.kind == "code"
    assert offer.expires_at == START.timestamp() + 600
    assert offer.display["secret"] == device.secret
    assert not wrong.accepted
    assert made.authenticator is not None
    assert made.authenticator.id == "e1"
    assert made.authenticator.created_at == START.timestamp()
    assert made.authenticator.facts == {"code_form": "digits:6"}
    assert (first.accepted, first.user_id, first.authenticator_id) == (True, "ada", "e1")
    assert first.amr == ["otp"]
    assert replay.model_dump() == (await verify(client, [], {"code": ""})).model_dump()
    assert [authenticator.id for authenticator in listed.authenticators] == ["e1"]
    assert listed.authenticators[0].last_used_at == clock().timestamp()
    assert listed.authenticators[0].name == "phone"
    assert listed.authenticators[0].facts == {"code_form": "digits:6"}
    assert gone == empty
    assert gone.revision != listed.revision


async def test_the_secret_is_shown_once(raw: httpx.AsyncClient, clock: Hands) -> None:
    """T6: never taken from the client, and after activation never shown again."""
    begin = {"session_id": "s1", "account_name": "ada"}
    taken = await raw.put("/v1/users/ada/enrolments/e1", json=begin | {"secret": "A" * 32})
    offer = (await raw.put("/v1/users/ada/enrolments/e1", json=begin)).json()
    secret = offer["display"]["secret"]
    proof = {"session_id": "s1", "proof": {"code": pyotp.TOTP(secret).at(clock())}}
    answers = [
        await raw.post("/v1/users/ada/enrolments/e1/complete", json=proof),
        await raw.post("/v1/users/ada/enrolments/e1/complete", json=proof),
        await raw.get("/v1/users/ada/authenticators"),
    ]

    assert (taken.status_code, taken.json()["field"]) == (400, "secret")
    assert all(answer.is_success and secret not in answer.text for answer in answers)


async def test_answers_are_kept_by_nobody(raw: httpx.AsyncClient) -> None:
    """T11: the QR code is in the body, and the body is not stored."""
    answer = await raw.put(
        "/v1/users/ada/enrolments/e1", json={"session_id": "s1", "account_name": "ada"}
    )

    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["display"]["totp_svg"].startswith("<svg ")


async def test_a_mistake_is_told_with_its_field(client: FactorClient) -> None:
    with pytest.raises(Malformed) as caught:
        await verify(client, [], {"code": 123456})
    assert caught.value.field == "proof.code"
    with pytest.raises(NotFound):
        await client.complete("ada", "e1", session_id="s1", proof={"code": "1"})
    await client.begin("ada", "e1", session_id="s1", account_name="ada")
    with pytest.raises(Conflict):
        await client.begin("ada", "e1", session_id="s2", account_name="ada")
    with pytest.raises(Malformed):
        await client.begin("ada", "e1", session_id="s1", account_name="a", options={"x": 1})


async def test_what_is_enrolled_already_is_told(client: FactorClient, clock: Hands) -> None:
    offer = await client.begin("ada", "e1", session_id="s1", account_name="ada")
    code = {"code": pyotp.TOTP(str(offer.display["secret"])).at(clock())}
    await client.complete("ada", "e1", session_id="s1", proof=code)

    with pytest.raises(Conflict) as caught:
        await client.begin("ada", "e1", session_id="s1", account_name="ada")

    assert caught.value.code == "enrolment_completed"


@pytest.mark.parametrize("told", [{}, {"authenticators": None}])
async def test_a_code_alone_does_not_tell_whose_it_is(
    raw: httpx.AsyncClient, told: dict[str, Any]
) -> None:
    """T9: nobody guesses at everybody's codes at once."""
    attempt = {"session_id": "s1", "purpose": "login", "proof": {"code": "123456"}}
    before = counted()

    answer = await raw.post("/v1/users/ada/verifications", json=attempt | told)

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["field"]) == ("required", "authenticators")
    assert spent_since(before) == {"read": 0, "write": 0, "commit": 0}


@ON_ONE_DATABASE
async def test_while_a_code_bypasses_no_form_is_told(
    settings: Settings, session: Signer, clock: Hands
) -> None:
    """Whoever calls must not keep the code of development settings back for its form."""
    bypassing = settings.model_copy(update={"mfa_totp_insecure_bypass_code": SecretStr("letmein")})
    app = create_app(bypassing, clock)
    async with (
        app.router.lifespan_context(app),
        connect(
            "http://totp",
            caller=Caller(session.key, clock),
            audience="totp",
            transport=InProcess(app),
        ) as http,
    ):
        client = FactorClient(http)
        await client.begin("ada", "e1", session_id="s1", account_name="ada")
        made = await client.complete("ada", "e1", session_id="s1", proof={"code": "letmein"})
        (listed,) = (await client.authenticators("ada")).authenticators

    assert made.authenticator is not None
    assert made.authenticator.facts == listed.facts == {}


async def test_a_verification_over_http_is_one_read_and_one_write(client: FactorClient) -> None:
    before = counted()

    await verify(client, ["a1"], {"code": "123456"})

    assert spent_since(before) == {"read": 1, "write": 1, "commit": 1}


BEGUN = b'{"session_id": "s1", "purpose": "authenticate", '
BODIES = [
    (b"", "invalid_json", None),
    (b"[]", "invalid", None),
    (b"null", "invalid", None),
    (b'"x"', "invalid", None),
    (b"{}", "required", "session_id"),
    (b"\xff", "invalid_utf8", None),
    (b"\xef\xbb\xbf{}", "invalid_json", None),
    (b'{"a": NaN}', "invalid_json", None),
    (b'{"a": -Infinity}', "invalid_json", None),
    (b'{"a": 1e999}', "number_out_of_range", "a"),
    (b'{"a": [9223372036854775808]}', "number_out_of_range", "a.0"),
    (b'{"a": ' + b"9" * 5000 + b"}", "number_out_of_range", "a"),
    (b'{"a": "\\u0000"}', "nul", "a"),
    (b'{"a": {"b": ["\\ud800"]}}', "lone_surrogate", "a.b.0"),
    (b'{"\\udc00": 1}', "lone_surrogate", None),
    (b'{"a": 1, "a": 2}', "duplicate_member", "a"),
    (b'{"a":' * 21 + b"1" + b"}" * 21, "too_deep", None),
    (b"[" * 60_000, "too_deep", None),
    (BEGUN + b'"authenticators": "a1", "proof": {}}', "invalid", "authenticators"),
    (BEGUN + b'"authenticators": [], "proof": 1}', "invalid", "proof"),
    (BEGUN + b'"authenticators": [], "proof": {}}', "invalid", "proof.code"),
    (BEGUN + b'"authenticators": [], "proof": {}, "x": 1}', "unknown_member", "x"),
    (BEGUN + b'"purpose": "login", "proof": {}}', "duplicate_member", "purpose"),
    (b'{"session_id": "s1", "authenticators": [], "proof": {}}', "required", "purpose"),
    (b'{"session_id": "s1", "purpose": "x", "proof": {}}', "invalid", "purpose"),
    (b'{"session_id": "s 1", "purpose": "login", "proof": {}}', "invalid", "session_id"),
    (b'{"session_id": "' + b"s" * 65_536 + b'"}', "body_too_large", None),
]


@pytest.mark.parametrize(("body", "code", "field"), BODIES)
async def test_bad_bodies_are_refused_by_name(
    raw: httpx.AsyncClient, body: bytes, code: str, field: str | None
) -> None:
    """D7: bounds of size, depth and numbers; NaN, NUL and half characters: 400, nothing changed."""
    before = counted()

    answer = await raw.post("/v1/users/ada/verifications", content=body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json().get("field")) == (code, field)
    assert spent_since(before) == {"read": 0, "write": 0, "commit": 0}


async def test_a_body_without_a_length_is_bounded_too(raw: httpx.AsyncClient) -> None:
    """D7: 64 KiB, however the body arrives."""

    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 1000

    answer = await raw.post("/v1/users/ada/verifications", content=chunks())

    assert (answer.status_code, answer.json()["code"]) == (400, "body_too_large")


@pytest.mark.parametrize(
    "id", ["%00", "a%20b", "%F0%9F%98%80", "%ED%A0%80", "%ff", "a" * 65, "a%0a", "..%2f..", "a.b"]
)
async def test_ids_have_a_shape(raw: httpx.AsyncClient, id: str) -> None:
    """D7: an id of any other shape is refused, not looked up."""
    before = counted()

    answer = await raw.get(f"/v1/users/{id}/authenticators")

    assert answer.status_code in {400, 404}
    assert spent_since(before) == {"read": 0, "write": 0, "commit": 0}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "session_id": st.just("s1") | json_values,
        "purpose": st.sampled_from(Purpose) | json_values,
        "account_name": st.just("ada") | json_values,
        "authenticators": st.just(["a1"]) | st.lists(json_values, max_size=3) | json_values,
        "proof": st.fixed_dictionaries({}, optional={"code": st.text() | json_values})
        | json_values,
        "name": st.text() | json_values,
        "options": json_values,
    },
)
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode()),
    near_misses.map(lambda value: json.dumps(value).encode()),
)
segments = st.one_of(
    st.just("ada"),
    st.binary(min_size=1, max_size=70).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)),
)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_no_request_breaks_a_route(raw: httpx.AsyncClient, route: APIRoute) -> None:
    """D7: whatever the path and the body hold, the answer is never a server error."""
    sent: list[tuple[str, bytes]] = []

    @given(user=segments, other=segments, body=bodies)
    @hypothesis_settings(
        max_examples=150,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        database=None,
    )
    def collect(user: str, other: str, body: bytes) -> None:
        path = route.path.format(user_id=user, enrolment_id=other, authenticator_id=other)
        sent.append((path, body))

    collect()
    for path, body in sent:
        for method in route.methods or ():
            answer = await raw.request(method, path, content=body)
            assert answer.status_code < 500, (method, path, body)


async def test_times_are_of_the_server(raw: httpx.AsyncClient, clock: Hands) -> None:
    """T7: nothing that a request says moves the clock."""
    offer = await raw.put(
        "/v1/users/ada/enrolments/e1",
        json={"session_id": "s1", "account_name": "ada"},
        headers={"date": "Thu, 01 Jan 2099 00:00:00 GMT"},
    )
    assert offer.json()["expires_at"] == datetime(2026, 5, 4, 12, 10, 15, tzinfo=UTC).timestamp()
