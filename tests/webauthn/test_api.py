"""What session gets to see of the service, and what nobody else does."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fido2.utils import websafe_encode
from fido2.webauthn import CredentialCreationOptions, CredentialRequestOptions
from hypothesis import strategies as st
from pydantic import JsonValue
from sqlalchemy import bindparam, update

from services.webauthn.api import router
from services.webauthn.domain.policy import RelyingParty
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.store import credentials as registered
from shared.database import Database, Statement, step
from shared.errors import Conflict, NotFound
from shared.factor import FactorClient, Purpose, Verification
from tests import hostile
from tests.hands import START, Hands
from tests.hostile import BEGUN, IDS, break_nothing, endless, json_values, near_misses
from tests.signers import Signer
from tests.strangers import Tokens, refuses_others, refuses_strangers
from tests.webauthn.authenticator import HONEST, Device, Lies
from tests.webauthn.conftest import RP, Making, counted, enrol, spent_since

ROUTES = [route for route in router.routes if isinstance(route, APIRoute)]
CALLS = [
    (method, route.path.format(user_id="ada", enrolment_id="e1", authenticator_id="a1"))
    for route in ROUTES
    for method in sorted(route.methods or ())
]
NOW = int(START.timestamp())
FORGET_RP_ID = Statement(
    update(registered).where(registered.c.id == bindparam("id")).values(rp_id=None)
)
ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_whoever_is_not_known(
    app: FastAPI, session: Signer, audit: Signer, method: str, path: str
) -> None:
    """Section 3: each inner route denies by default, whatever else is wrong with the request."""
    await refuses_strangers(app, "webauthn", session, audit, method=method, path=path)


@ON_ONE_DATABASE
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_route_refuses_services_that_have_no_business_here(
    app: FastAPI, audit: Signer, clock: Hands, method: str, path: str
) -> None:
    """Section 3: a good credential of another service is of no use."""
    await refuses_others(app, "webauthn", audit, clock, method=method, path=path)


async def test_two_credentials_are_none(raw: httpx.AsyncClient, session: Signer) -> None:
    """Section 3: a request with two credentials could be read differently by two parsers."""
    good = f"Bearer {Tokens('webauthn').signed(session.private)}"
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


async def enrolled(client: FactorClient, device: Device, id: str = "a1", user: str = "ada") -> None:
    """Register a credential that serves alone."""
    offer = await client.begin(
        user,
        id,
        session_id="s1",
        account_name="ada@example.com",
        options={"passwordless": True, "registered": []},
    )
    made = device.create(shown(offer.display, "creation_options"))
    result = await client.complete(user, id, session_id="s1", proof={"credential": made})
    assert result.accepted


def shown(display: Mapping[str, JsonValue], name: str) -> dict[str, Any]:
    """Return options as a page hands them to the browser."""
    options = display[name]
    assert isinstance(options, dict)
    return options


async def test_the_whole_life_of_an_authenticator(client: FactorClient, clock: Hands) -> None:
    device = Device(aaguid=bytes.fromhex("fbfc3007154e4ecc8c0b6e020557d7bd"), synced=True)
    await client.ready()
    empty = await client.authenticators("ada")
    offer = await client.begin("ada", "e1", session_id="s1", account_name="ada@example.com")
    wrong = await client.complete("ada", "e1", session_id="s1", proof={"credential": {}})
    await client.begin("ada", "e1", session_id="s1", account_name="ada@example.com")
    again = await client.begin(
        "ada", "e1", session_id="s1", account_name="ada", options={"passwordless": True}
    )
    proof = {"credential": device.create(shown(again.display, "creation_options"))}
    made = await client.complete("ada", "e1", session_id="s1", proof=proof)
    repeated = await client.complete("ada", "e1", session_id="s1", proof=proof)
    listed = await client.authenticators("ada")
    renamed = await client.rename("ada", "e1", "My phone")
    clock.turn(seconds=30)
    second = await asserted(client, device, Purpose.AUTHENTICATE)
    login = await asserted(client, device, Purpose.LOGIN)
    used = await client.authenticators("ada")
    await client.remove("ada", "e1")
    await client.remove("ada", "e1")
    unknown = await asserted(client, device, Purpose.LOGIN)
    await client.forget("ada")
    gone = await client.authenticators("ada")

    assert offer.kind == "webauthn"
    assert offer.expires_at == START.timestamp() + 300
    assert wrong.model_dump() == {"accepted": False, "authenticator": None, "display": {}}
    assert made.authenticator is not None
    assert (made.authenticator.id, made.authenticator.type) == ("e1", "webauthn")
    assert made.authenticator.name == "Apple Passwords"
    assert repeated == made
    assert listed.authenticators == [made.authenticator]
    credential_id = next(iter(device.credentials.values()))
    assert made.authenticator.facts == {
        "is_passwordless": True,
        "provider": "Apple Passwords",
        "aaguid": "fbfc3007-154e-4ecc-8c0b-6e020557d7bd",
        "backup_eligible": True,
        "backed_up": True,
        "transports": ["internal"],
        "user_verified": True,
        "serves_alone": True,
        "attested": False,
        "rp_id": "example.com",
        "user_handle": websafe_encode(credential_id.user_handle),
        "credential_id": websafe_encode(credential_id.id),
    }
    assert renamed.name == "My phone"
    assert (second.accepted, second.user_id, second.authenticator_id) == (True, "ada", "e1")
    assert second.amr == ["pop", "swk", "user", "mfa"]
    assert second.facts == {"user_verified": True}
    assert second.changed == {}
    assert (login.accepted, login.user_id, login.authenticator_id) == (True, "ada", "e1")
    assert login.facts == {"user_verified": True}
    assert used.authenticators[0].last_used_at == clock().timestamp()
    assert not unknown.accepted
    assert unknown.facts == {
        "signal": {
            "unknown_credential": {
                "rpId": "example.com",
                "credentialId": websafe_encode(credential_id.id),
            }
        }
    }
    assert gone == empty
    assert gone.revision != listed.revision


async def test_a_key_tells_whom_it_was_made_for(
    client: FactorClient, flows: WebAuthnFlows, under: Making, app: FastAPI, db: Database
) -> None:
    """Also when the RP ID has changed since; where it was not kept, it is taken for ours."""
    await enrol(flows, Device())
    await enrol(under(RelyingParty("example.org", "Example", RP.origins)), Device(), "a2")
    app.state.flows = under(RelyingParty("example.net", "Example", RP.origins))

    told = await client.authenticators("ada")
    await db.apply(step(FORGET_RP_ID, id="a1"))
    then = await client.authenticators("ada")

    assert [key.facts["rp_id"] for key in told.authenticators] == ["example.com", "example.org"]
    assert [key.facts["rp_id"] for key in then.authenticators] == ["example.net", "example.org"]


async def asserted(
    client: FactorClient, device: Device, purpose: Purpose, lies: Lies = HONEST
) -> Verification:
    """Have a proof asked for, and judged."""
    if purpose is Purpose.LOGIN:
        offer = await client.challenge_anybody(session_id="s1", purpose=purpose)
        answer = device.get(shown(offer.display, "request_options"), lies)
        return await client.verify_anybody(
            proof={"credential": answer}, session_id="s1", purpose=purpose
        )
    ids = [kept.id for kept in (await client.authenticators("ada")).authenticators]
    offer = await client.challenge("ada", authenticators=ids, session_id="s1", purpose=purpose)
    answer = device.get(shown(offer.display, "request_options"), lies)
    return await client.verify(
        "ada", authenticators=ids, proof={"credential": answer}, session_id="s1", purpose=purpose
    )


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_no_refusal_says_why(client: FactorClient, purpose: Purpose) -> None:
    """D6, W7.2-22: nor of a copy: that is told by the event, which no lost answer takes along."""
    device = Device(counts=True)
    await enrolled(client, device)
    assert (await asserted(client, device, purpose)).accepted
    lies = (
        Lies(origin="https://evil.example"),
        Lies(signs=b""),
        Lies(counter=0),
        Lies(raw_id="!"),
        Lies(user_handle=bytes(64)),
        Lies(challenge=""),
    )

    answers = {(await asserted(client, device, purpose, lie)).model_dump_json() for lie in lies}

    assert answers == {Verification(accepted=False).model_dump_json()}


async def test_what_has_changed_is_told(client: FactorClient) -> None:
    device = Device(synced=True, backed_up=False)
    await enrolled(client, device)
    device.backed_up = True

    first = await asserted(client, device, Purpose.LOGIN)
    second = await asserted(client, device, Purpose.LOGIN)

    assert (first.changed, second.changed) == ({"backed_up": True}, {})


async def test_options_are_what_browsers_take(client: FactorClient) -> None:
    """They read as the JSON forms of section 5.1, and as fido2 reads them."""
    await enrolled(client, Device())
    created = await client.begin(
        "ada", "e2", session_id="s1", account_name="ada", options={"registered": ["a1"]}
    )
    asked = await client.challenge(
        "ada", authenticators=["a1"], session_id="s1", purpose=Purpose.REAUTHENTICATE
    )

    creation = CredentialCreationOptions.from_dict(shown(created.display, "creation_options"))
    request = CredentialRequestOptions.from_dict(shown(asked.display, "request_options"))

    assert creation.public_key.rp.id == request.public_key.rp_id == "example.com"
    assert creation.public_key.exclude_credentials is not None
    assert request.public_key.allow_credentials is not None
    (excluded,), (allowed,) = (
        creation.public_key.exclude_credentials,
        request.public_key.allow_credentials,
    )
    assert excluded.id == allowed.id


async def test_a_login_names_nobody_and_all_else_somebody(raw: httpx.AsyncClient) -> None:
    known: dict[str, Any] = {"session_id": "s1", "authenticators": ["a1"]}
    proof: dict[str, Any] = {"proof": {"credential": {}}}
    before = counted()
    for path, body in (
        ("/v1/challenges", {"session_id": "s1", "purpose": "authenticate"}),
        ("/v1/challenges", known | {"purpose": "login"}),
        ("/v1/users/ada/challenges", known | {"purpose": "login"}),
        ("/v1/users/ada/challenges", {"session_id": "s1", "purpose": "authenticate"}),
        ("/v1/verifications", {"session_id": "s1", "purpose": "reauthenticate"} | proof),
        ("/v1/verifications", known | {"purpose": "login"} | proof),
        ("/v1/users/ada/verifications", known | {"purpose": "login"} | proof),
        ("/v1/users/ada/verifications", {"session_id": "s1", "purpose": "authenticate"} | proof),
    ):
        answer = await raw.post(path, json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, "purpose"), path
    assert spent_since(before) == {"read": 0, "write": 0, "commit": 0}


async def test_a_mistake_is_told_with_its_field(
    client: FactorClient, raw: httpx.AsyncClient
) -> None:
    begin = {"session_id": "s1", "account_name": "ada"}
    for options, field in (
        ({"x": 1}, "options.x"),
        ({"passwordless": 1}, "options.passwordless"),
        ({"passwordless": "true"}, "options.passwordless"),
        ({"registered": ["a b"]}, "options.registered.0"),
    ):
        answer = await raw.put("/v1/users/ada/enrolments/e1", json=begin | {"options": options})
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    asked = {"session_id": "s1", "purpose": "login", "options": {"x": 1}}
    assert (await raw.post("/v1/challenges", json=asked)).json()["field"] == "options.x"
    with pytest.raises(NotFound):
        await client.complete("ada", "e1", session_id="s1", proof={"credential": {}})
    with pytest.raises(NotFound):
        await client.rename("ada", "a1", "x")
    await client.begin("ada", "e1", session_id="s1", account_name="ada")
    with pytest.raises(Conflict):
        await client.begin("ada", "e1", session_id="s2", account_name="ada")
    assert (
        await raw.patch("/v1/users/ada/authenticators/a1", json={"name": " "})
    ).status_code == 400
    assert (
        await raw.patch("/v1/users/ada/authenticators/a1", json={"name": "x" * 101})
    ).status_code == 400


async def test_answers_are_kept_by_nobody(raw: httpx.AsyncClient) -> None:
    answer = await raw.put(
        "/v1/users/ada/enrolments/e1", json={"session_id": "s1", "account_name": "ada"}
    )

    assert answer.headers["cache-control"] == "no-store"


async def test_a_second_factor_over_http_is_one_read_and_two_writes(client: FactorClient) -> None:
    """performance.md, C and D: the challenge a write, the verification a read and a write."""
    device = Device()
    await enrolled(client, device)
    for purpose in (Purpose.AUTHENTICATE, Purpose.LOGIN):
        before = counted()
        assert (await asserted(client, device, purpose)).accepted
        listing = 1 if purpose is Purpose.AUTHENTICATE else 0  # by this test
        assert spent_since(before) == {"read": 1 + listing, "write": 2, "commit": 2}


BODIES = [
    *hostile.BODIES,
    (BEGUN + b'"authenticators": [], "proof": {}}', "invalid", "proof.credential"),
    (BEGUN + b'"authenticators": [], "proof": {"credential": []}}', "invalid", "proof.credential"),
    (
        BEGUN + b'"authenticators": [], "proof": {"credential": {}, "x": 1}}',
        "invalid",
        "proof.credential",
    ),
    (BEGUN + b'"proof": {"credential": {}}}', "invalid", "purpose"),
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


credentials = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("AAAA") | json_values,
        "rawId": st.just("AAAA") | json_values,
        "type": st.just("public-key") | json_values,
        "response": st.fixed_dictionaries(
            {},
            optional={
                "clientDataJSON": st.just("e30") | json_values,
                "attestationObject": st.just("oA") | json_values,
                "authenticatorData": st.just("oA") | json_values,
                "signature": st.just("oA") | json_values,
                "userHandle": json_values,
            },
        )
        | json_values,
        "clientExtensionResults": json_values,
    },
)
NEAR = near_misses(
    {"credential": credentials | json_values},
    options=st.fixed_dictionaries({}, optional={"passwordless": json_values}) | json_values,
)


@pytest.mark.long
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_no_request_breaks_a_route(raw: httpx.AsyncClient, route: APIRoute) -> None:
    """D7: whatever the path and the body hold, the answer is never a server error."""
    await break_nothing(raw, route, NEAR)
