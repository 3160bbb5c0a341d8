"""What session gets to see of the service, and what nobody else does."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
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
from tests import hostile
from tests.hands import START, Hands
from tests.hostile import BEGUN, IDS, break_nothing, endless, json_values, near_misses
from tests.recovery.conftest import counted, spent_since
from tests.recovery.test_flows_trust import CHROME, EPOCH
from tests.signers import Signer
from tests.strangers import refuses_others, refuses_strangers

ROUTES = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
CALLS = [
    (method, route.path.format(user_id="ada", enrolment_id="e1", authenticator_id="a1"))
    for route in ROUTES
    for method in sorted(route.methods or ())
]
NOW = int(START.timestamp())
ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TOKEN = f"{'s' * 22}.{'t' * 22}"


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
    await refuses_strangers(app, "recovery", session, audit, method=method, path=path)


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_services_that_have_no_business_here(
    app: FastAPI, audit: Signer, clock: Hands, method: str, path: str
) -> None:
    """Section 3: a good credential of another service is of no use."""
    await refuses_others(app, "recovery", audit, clock, method=method, path=path)


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
    known = await keeper.recognise("ada", tokens=given.tokens, factor_epoch=EPOCH)
    unknown = await keeper.recognise("eve", tokens=given.tokens, factor_epoch=EPOCH)
    first = await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)
    again = await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)
    second = await keeper.check("ada", tokens=first.tokens, factor_epoch=EPOCH)
    listed = await keeper.browsers("ada", factor_epoch=EPOCH, tokens=second.tokens)
    elsewhere = await keeper.browsers("ada", factor_epoch=EPOCH)
    theft = await keeper.check("ada", tokens=given.tokens, factor_epoch=EPOCH)
    other = await keeper.trust("ada", factor_epoch=EPOCH, tokens=[TOKEN], user_agent="x" * 1000)
    revoked = await keeper.revoke("ada", [other.browser_id], tokens=other.tokens)
    nothing = await keeper.revoke("ada")

    assert (known.browser_id, unknown.browser_id) == (given.browser_id, None)
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
    assert (theft.trusted, theft.browser_id, theft.tokens) == (False, None, [])
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


@pytest.mark.parametrize("asked", ["check", "recognise"])
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
async def test_what_is_no_check_is_refused(
    raw: httpx.AsyncClient, bad: dict[str, Any], asked: str
) -> None:
    """K5, D7: bounded, strict, and not looked up."""
    before = counted()

    answer = await raw.post(
        f"/v1/users/ada/browsers/{asked}", json={"tokens": [TOKEN], "factor_epoch": EPOCH} | bad
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


BODIES = [
    *hostile.BODIES,
    (BEGUN + b'"authenticators": [], "proof": {}}', "invalid", "proof.code"),
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
    answer = await raw.post("/v1/users/ada/verifications", content=endless())

    assert (answer.status_code, answer.json()["code"]) == (400, "body_too_large")


@pytest.mark.parametrize("id", IDS)
async def test_ids_have_a_shape(raw: httpx.AsyncClient, id: str) -> None:
    """D7: an id of any other shape is refused, not looked up."""
    before = counted()

    answer = await raw.get(f"/v1/users/{id}/authenticators")

    assert answer.status_code in {400, 404}
    assert spent_since(before) == {"read": 0, "write": 0, "commit": 0}


NEAR = near_misses(
    {"code": st.text() | json_values, "shown": json_values},
    tokens=st.just([TOKEN]) | st.lists(st.just(TOKEN) | json_values) | json_values,
    factor_epoch=st.just(1) | json_values,
    user_agent=st.text() | json_values,
    browsers=st.just(["b1"]) | json_values,
)


@pytest.mark.long
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_no_request_breaks_a_route(raw: httpx.AsyncClient, route: APIRoute) -> None:
    """D7: whatever the path and the body hold, the answer is never a server error."""
    await break_nothing(raw, route, NEAR)
