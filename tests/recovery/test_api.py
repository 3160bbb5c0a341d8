"""What session gets to see of the service, and what nobody else does."""

import json
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import JsonValue

from services.recovery.api import routers
from services.recovery.main import create_app
from services.recovery.settings import Settings
from shared.auth import Caller
from shared.code_form import CodeForm
from shared.errors import Conflict, Malformed, NotFound
from shared.factor import FactorClient, Purpose, Verification
from shared.http import InProcess, connect
from shared.trust import TrustClient
from tests.recovery.conftest import START, Hands, Signer, counted, spent_since
from tests.recovery.test_flows_trust import CHROME, EPOCH

ROUTES = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
CALLS = [
    (method, route.path.format(user_id="ada", enrolment_id="e1", authenticator_id="a1"))
    for route in ROUTES
    for method in sorted(route.methods or ())
]
NOW = int(START.timestamp())
ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TOKEN = f"{'s' * 22}.{'t' * 22}"


def token(key: Ed25519PrivateKey, *, kid: str = "session-1", **changes: Any) -> str:
    """Return a token that would be good, but for `changes`."""
    claims = {"iss": "session", "aud": "recovery", "iat": NOW, "exp": NOW + 60} | changes
    return jwt.encode(claims, key, "EdDSA", headers={"kid": kid})


def bad_credentials(session: Signer, audit: Signer) -> dict[str, str | None]:
    """Return an Authorization header for ways to be nobody; `tests/totp` has them all."""
    key = session.private
    return {
        "none": None,
        "no token": "Bearer ",
        "not a token": "Bearer a.b.c",
        "another scheme": f"Basic {token(key)}",
        "expired": f"Bearer {token(key, iat=NOW - 60, exp=NOW)}",
        "another audience": f"Bearer {token(key, aud='totp')}",
        "another's key": f"Bearer {token(audit.private)}",
        "a stranger's key": f"Bearer {token(Ed25519PrivateKey.generate())}",
        "unknown key": f"Bearer {token(key, kid='session-2')}",
    }


async def make(factor: FactorClient, id: str = "e1", *, user: str = "ada") -> list[str]:
    """Make a set that is shown, and return its codes."""
    made = await factor.complete(user, id, session_id="s1", proof={"shown": True})
    return codes_of(made.display)


def codes_of(display: dict[str, JsonValue]) -> list[str]:
    """Return the codes that are shown."""
    codes = display["codes"]
    assert isinstance(codes, list)
    return [str(code) for code in codes]


async def verify(factor: FactorClient, ids: list[str], proof: dict[str, Any]) -> Verification:
    """Have a proof of ada's judged."""
    return await factor.verify(
        "ada", authenticators=ids, proof=proof, session_id="s1", purpose=Purpose.AUTHENTICATE
    )


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_whoever_is_not_known(
    app: FastAPI, session: Signer, audit: Signer, method: str, path: str
) -> None:
    """Section 3: each inner route denies by default, whatever else is wrong with the request."""
    async with httpx.AsyncClient(
        base_url="http://recovery", transport=httpx.ASGITransport(app)
    ) as stranger:
        for name, credential in bad_credentials(session, audit).items():
            sent = {} if credential is None else {"authorization": credential}
            for content in (b"", b"{", b"{}"):
                answer = await stranger.request(method, path, headers=sent, content=content)
                assert answer.status_code == 401, name
                assert answer.json()["code"] == "unauthenticated"


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_services_that_have_no_business_here(
    app: FastAPI, audit: Signer, clock: Hands, method: str, path: str
) -> None:
    """Section 3: a good credential of another service is of no use."""
    async with httpx.AsyncClient(
        base_url="http://recovery", transport=httpx.ASGITransport(app)
    ) as client:
        bearer = Caller(audit.key, clock).token_for("recovery")
        answer = await client.request(
            method, path, headers={"authorization": f"Bearer {bearer}"}, content=b"{"
        )

    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/healthz"])
async def test_the_service_port_shows_nothing_but_the_service(
    raw: httpx.AsyncClient, path: str
) -> None:
    """D6: documentation, metrics and health are on another port."""
    assert (await raw.get(path)).status_code == 404


async def test_the_whole_life_of_a_set(factor: FactorClient, clock: Hands) -> None:
    """R6: with how many codes are left at every step."""
    await factor.ready()
    empty = await factor.authenticators("ada")
    offer = await factor.begin("ada", "e1", session_id="s1", account_name="ada@example.com")
    untouched = await factor.authenticators("ada")
    made = await factor.complete("ada", "e1", session_id="s1", proof={"shown": True})
    again = await factor.complete("ada", "e1", session_id="s1", proof={"shown": True})
    codes = codes_of(made.display)
    clock.turn(hours=1)
    first = await verify(factor, ["e1"], {"code": codes[0]})
    replay = await verify(factor, ["e1"], {"code": codes[0]})
    listed = await factor.authenticators("ada")
    revealed = await factor.reveal("ada", "e1")
    for code in codes[1:7]:
        last = await verify(factor, ["e1"], {"code": code})
    await factor.remove("ada", "e1")
    await factor.remove("ada", "e1")
    await factor.forget("ada")
    gone = await factor.authenticators("ada")

    assert (offer.id, offer.kind, offer.display) == ("e1", "codes", {})
    assert untouched == empty == gone
    assert made == again
    assert made.authenticator is not None
    assert (made.authenticator.id, made.authenticator.type) == ("e1", "recovery_codes")
    assert made.authenticator.created_at == START.timestamp()
    facts = {"code_form": "digits:8", "total": 10, "unused": 10, "low": False, "confirmed": True}
    assert made.authenticator.facts == facts
    assert CodeForm.parse(str(facts["code_form"])).normalise(codes[0]) == codes[0]
    assert (first.accepted, first.user_id, first.authenticator_id) == (True, "ada", "e1")
    assert first.amr == ["otp"]
    assert first.changed == {"unused": 9, "low": False, "confirmed": True}
    assert replay.model_dump() == (await verify(factor, [], {"code": ""})).model_dump()
    assert listed.revision != empty.revision
    assert [kept.facts for kept in listed.authenticators] == [facts | {"unused": 9}]
    assert listed.authenticators[0].last_used_at == clock().timestamp()
    assert revealed.authenticator == listed.authenticators[0]
    assert codes_of(revealed.display) == codes[1:]
    assert last.changed == {"unused": 3, "low": True, "confirmed": True}


async def test_a_refusal_is_the_same_whatever_was_wrong(factor: FactorClient) -> None:
    """R7: session counts it with all others, and nobody learns that a code was once good."""
    mine, others = await make(factor), await make(factor, "e2", user="bob")
    await verify(factor, ["e1"], {"code": mine[0]})

    refused = [
        await verify(factor, ids, {"code": code})
        for ids, code in (
            (["e1"], mine[0]),  # used
            (["e1"], others[0]),  # somebody else's
            (["e2"], others[0]),
            ([], mine[1]),
            (["e1"], "00000000"),
            (["e1"], "no code!"),
            (["e1"], ""),
        )
    ]

    assert refused == [Verification(accepted=False)] * 7


async def test_a_set_that_is_made_along_shows_nothing(factor: FactorClient) -> None:
    made = await factor.complete("ada", "e1", session_id="s1", proof={})

    assert made.accepted
    assert made.display == {}
    assert len(codes_of((await factor.reveal("ada", "e1")).display)) == 10


async def test_codes_are_in_no_answer_but_those_that_show_them(raw: httpx.AsyncClient) -> None:
    """R3: neither in lists nor in verifications; and what shows them is stored by nobody."""
    body = {"session_id": "s1", "proof": {"shown": True}}
    shown = await raw.post("/v1/users/ada/enrolments/e1/complete", json=body)
    codes = shown.json()["display"]["codes"]
    attempt = {"session_id": "s1", "purpose": "authenticate", "authenticators": ["e1"]}
    answers = [
        await raw.get("/v1/users/ada/authenticators"),
        await raw.post("/v1/users/ada/verifications", json=attempt | {"proof": {"code": codes[0]}}),
        await raw.post("/v1/users/bob/enrolments/e1/complete", json=body),
    ]

    assert shown.headers["cache-control"] == "no-store"
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    for answer in answers:
        assert not any(code in answer.text for code in codes)


@ON_ONE_DATABASE
async def test_what_waits_for_its_proof_says_so(
    settings: Settings, session: Signer, clock: Hands
) -> None:
    """Until a code was spent the set is not confirmed, if the settings ask for that."""
    changes = {"mfa_recovery_codes_confirm": True, "mfa_recovery_code_format": "base32:16"}
    app = create_app(settings.model_copy(update=changes), clock)
    caller = Caller(session.key, clock)
    async with (
        app.router.lifespan_context(app),
        connect(
            "http://recovery", caller=caller, audience="recovery", transport=InProcess(app)
        ) as http,
    ):
        factor = FactorClient(http)
        codes = await make(factor)
        (before,) = (await factor.authenticators("ada")).authenticators
        used = await verify(factor, ["e1"], {"code": codes[0].lower()})
        (after,) = (await factor.authenticators("ada")).authenticators

    assert before.facts["code_form"] == "base32:16"
    assert before.facts["confirmed"] is False
    assert used.changed["confirmed"] is True
    assert after.facts["confirmed"] is True


async def test_the_whole_life_of_trust(keeper: TrustClient, clock: Hands) -> None:
    """K1, K7, K8: given, used, listed and revoked as the contract says."""
    given = await keeper.trust("ada", factor_epoch=EPOCH, tokens=[], user_agent=CHROME)
    clock.turn(hours=1)
    first = await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)
    again = await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)
    second = await keeper.check("ada", tokens=first.tokens, factor_epoch=EPOCH)
    listed = await keeper.browsers("ada", factor_epoch=EPOCH, tokens=second.tokens)
    elsewhere = await keeper.browsers("ada", factor_epoch=EPOCH)
    theft = await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)
    other = await keeper.trust("ada", factor_epoch=EPOCH, tokens=[TOKEN], user_agent="x" * 1000)
    revoked = await keeper.revoke("ada", [other.browser_id], tokens=other.tokens)
    nothing = await keeper.revoke("ada")

    assert first.trusted
    assert first.browser_id == given.browser_id
    assert first == again
    assert second.trusted
    assert len({*given.tokens, *first.tokens, *second.tokens}) == 3
    (browser,) = listed
    assert (browser.id, browser.name) == (given.browser_id, "Chrome on Windows")
    assert browser.created_at == START.timestamp()
    assert browser.last_used_at == clock().timestamp()
    assert browser.expires_at == START.timestamp() + 14 * 86400
    assert (browser.is_current, elsewhere[0].is_current) == (True, False)
    assert (theft.trusted, theft.theft, theft.tokens) == (False, True, [])
    assert other.tokens[0] == TOKEN
    assert (revoked.browsers, revoked.tokens) == ([other.browser_id], [])
    assert nothing.browsers == []


async def test_tokens_of_others_come_back_as_they_were(keeper: TrustClient) -> None:
    """K5: several people in one browser, each with a token of their own."""
    eves = await keeper.trust("eve", factor_epoch=1, tokens=[], user_agent=CHROME)
    both = await keeper.trust("ada", factor_epoch=EPOCH, tokens=eves.tokens, user_agent=CHROME)

    checked = await keeper.check("ada", tokens=[TOKEN, *both.tokens], factor_epoch=EPOCH)

    assert checked.trusted
    assert checked.tokens[0] == eves.tokens[0]
    assert len(checked.tokens) == 2
    assert (await keeper.check("eve", tokens=checked.tokens, factor_epoch=1)).trusted


async def test_forgetting_leaves_neither_codes_nor_trust(
    factor: FactorClient, keeper: TrustClient
) -> None:
    await make(factor)
    given = await keeper.trust("ada", factor_epoch=EPOCH, tokens=[], user_agent=CHROME)

    await factor.forget("ada")

    assert (await factor.authenticators("ada")).authenticators == []
    assert not (await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)).trusted


async def test_a_mistake_is_told_with_its_field(factor: FactorClient) -> None:
    with pytest.raises(Malformed) as caught:
        await verify(factor, [], {"code": 12345678})
    assert caught.value.field == "proof.code"
    for proof in ({"shown": "true"}, {"shown": 1}, {"code": "12345678"}):
        with pytest.raises(Malformed) as caught:
            await factor.complete("ada", "e1", session_id="s1", proof=proof)
        assert caught.value.field == "proof"
    with pytest.raises(Malformed) as caught:
        await factor.complete("ada", "e1", session_id="s1", proof={}, name="mine")
    assert caught.value.field == "name"
    with pytest.raises(Malformed):
        await factor.begin("ada", "e1", session_id="s1", account_name="a", options={"x": 1})
    with pytest.raises(NotFound):
        await factor.reveal("ada", "e1")
    await make(factor)
    with pytest.raises(Conflict):
        await factor.complete("ada", "e1", session_id="s2", proof={})


@pytest.mark.parametrize("told", [{}, {"authenticators": None}])
async def test_a_code_alone_does_not_tell_whose_it_is(
    raw: httpx.AsyncClient, told: dict[str, Any]
) -> None:
    """Nobody guesses at everybody's codes at once: attempts are counted by person."""
    attempt = {"session_id": "s1", "purpose": "login", "proof": {"code": "12345678"}}
    before = counted()

    answer = await raw.post("/v1/users/ada/verifications", json=attempt | told)

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["field"]) == ("required", "authenticators")
    assert spent_since(before) == {"read": 0, "write": 0, "commit": 0}


@pytest.mark.parametrize(
    "bad",
    [
        {"tokens": []},
        {"tokens": ["nonsense"]},
        {"tokens": [TOKEN + "t"]},
        {"tokens": [f"{TOKEN}.{TOKEN}"]},
        {"tokens": [TOKEN] * 11},
        {"factor_epoch": -1},
        {"factor_epoch": "7"},
        {"factor_epoch": True},
        {"trusted": True},
    ],
)
async def test_what_is_no_check_is_refused(raw: httpx.AsyncClient, bad: dict[str, Any]) -> None:
    """K5, D7: bounded, strict, and not looked up."""
    before = counted()

    answer = await raw.post(
        "/v1/users/ada/browsers/check", json={"tokens": [TOKEN], "factor_epoch": EPOCH} | bad
    )

    assert answer.status_code == 400
    assert TOKEN not in answer.text
    assert spent_since(before) == {"read": 0, "write": 0, "commit": 0}


async def test_a_use_over_http_is_one_statement(factor: FactorClient) -> None:
    codes = await make(factor)

    before = counted()
    await verify(factor, ["e1"], {"code": codes[0]})
    assert spent_since(before) == {"read": 0, "write": 1, "commit": 1}


async def test_trust_over_http_is_one_statement_and_a_check_two(keeper: TrustClient) -> None:
    before = counted()
    given = await keeper.trust("ada", factor_epoch=EPOCH, tokens=[], user_agent=CHROME)
    assert spent_since(before) == {"read": 0, "write": 1, "commit": 1}

    before = counted()
    await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)
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
        "proof": st.fixed_dictionaries(
            {}, optional={"code": st.text() | json_values, "shown": json_values}
        )
        | json_values,
        "name": st.text() | json_values,
        "options": json_values,
        "tokens": st.just([TOKEN]) | st.lists(st.just(TOKEN) | json_values) | json_values,
        "factor_epoch": st.just(1) | json_values,
        "user_agent": st.text() | json_values,
        "browsers": st.just(["b1"]) | json_values,
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
