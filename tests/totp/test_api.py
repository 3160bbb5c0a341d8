"""What session gets to see of the service, and what nobody else does."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr

from services.totp.api import router
from services.totp.main import create_app
from services.totp.settings import Settings
from shared.auth import Caller
from shared.errors import Conflict, Malformed, NotFound
from shared.factor import FactorClient, Purpose, Verification
from shared.http import InProcess, connect
from tests import hostile
from tests.hands import START, Hands
from tests.hostile import BEGUN, IDS, break_nothing, endless, json_values, near_misses
from tests.signers import Signer
from tests.strangers import Tokens, refuses_others, refuses_strangers
from tests.totp.conftest import counted, spent_since

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


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_whoever_is_not_known(
    app: FastAPI, session: Signer, audit: Signer, method: str, path: str
) -> None:
    """Section 3: each inner route denies by default, whatever else is wrong with the request."""
    await refuses_strangers(app, "totp", session, audit, method=method, path=path)


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_services_that_have_no_business_here(
    app: FastAPI, audit: Signer, clock: Hands, method: str, path: str
) -> None:
    """Section 3: a good credential of another service is of no use."""
    await refuses_others(app, "totp", audit, clock, method=method, path=path)


async def test_two_credentials_are_none(raw: httpx.AsyncClient, session: Signer) -> None:
    """Section 3: a request with two credentials could be read differently by two parsers."""
    good = f"Bearer {Tokens('totp').signed(session.private)}"
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


NEAR = near_misses({"code": st.text() | json_values})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_no_request_breaks_a_route(raw: httpx.AsyncClient, route: APIRoute) -> None:
    """D7: whatever the path and the body hold, the answer is never a server error."""
    await break_nothing(raw, route, NEAR)


async def test_times_are_of_the_server(raw: httpx.AsyncClient, clock: Hands) -> None:
    """T7: nothing that a request says moves the clock."""
    offer = await raw.put(
        "/v1/users/ada/enrolments/e1",
        json={"session_id": "s1", "account_name": "ada"},
        headers={"date": "Thu, 01 Jan 2099 00:00:00 GMT"},
    )
    assert offer.json()["expires_at"] == datetime(2026, 5, 4, 12, 10, 15, tzinfo=UTC).timestamp()
