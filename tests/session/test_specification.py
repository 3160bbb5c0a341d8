"""The description that is served: true, complete, valid, and of use to those who read it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from jsonschema_rs import Draft202012, Draft202012Validator, Registry
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import SecretStr
from starlette.routing import Route

from services.session.api.examples import EXAMPLES
from services.session.api.openapi import ERROR_CODES
from services.session.api.specification import JSON_PATH, YAML_PATH, name_of, operations
from shared.http.operations import create_operations
from tests.contract.everything import EVERYTHING
from tests.contract.own import strict
from tests.journeys.suite import InProcess, in_process
from tests.suites import ROOT

PREFIXES = ("/_allauth/app/v1/", "/_allauth/browser/v1/")
NOT_DESCRIBED = (
    "/_allauth/openapi.json",
    "/_allauth/openapi.yaml",
    "/.well-known/",
    "/inbox",
    "/accounts",
)
"""What is served beside the API: the description itself, what browsers look for, pages."""

PUBLISHED = [
    "activate_totp",
    "add_key",
    "ask_for_key",
    "ask_for_key_again",
    "ask_for_passkey",
    "authenticate",
    "authenticate_by_key",
    "change_password",
    "complete_signup_by_passkey",
    "deactivate_totp",
    "delete_account",
    "end_sessions",
    "generate_recovery_codes",
    "list_authenticators",
    "list_sessions",
    "log_in",
    "log_in_by_passkey",
    "log_out",
    "reauthenticate",
    "reauthenticate_by_code",
    "reauthenticate_by_key",
    "remove_keys",
    "rename_key",
    "show_config",
    "show_key_options",
    "show_passkey_options",
    "show_recovery_codes",
    "show_session",
    "show_totp",
    "sign_up",
    "sign_up_by_passkey",
    "verify_email",
]
"""Operations by which generated clients call us, as `…_app` and `…_browser`: never renamed."""
BROWSERS_ALONE = ["list_trusted_browsers", "revoke_trust", "trust_browser"]

Json = dict[str, Any]


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A suite with everything that there is."""
    async with in_process(tmp_path, **EVERYTHING) as running:
        yield running


@pytest.fixture
def document(suite: InProcess) -> Json:
    return suite.apps["session"].openapi()


def http_of(suite: InProcess) -> httpx.AsyncClient:
    """Return the connection of a client that says nothing of itself."""
    return suite.client("app").http


async def test_it_is_served_to_anybody_as_json_and_as_yaml(
    suite: InProcess, document: Json
) -> None:
    http = http_of(suite)
    as_json, as_yaml = await http.get(JSON_PATH), await http.get(YAML_PATH)

    assert as_json.json() == document
    assert yaml.safe_load(as_yaml.text) == document
    assert as_json.headers["content-type"] == "application/vnd.oai.openapi+json"
    assert as_yaml.headers["content-type"] == "application/vnd.oai.openapi"
    for answer in (as_json, as_yaml):
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "set-cookie" not in answer.headers
    assert (await http.post(JSON_PATH)).status_code == 405
    assert (await http.get("/_allauth/openapi.html")).status_code == 404


async def test_it_is_not_served_unless_that_is_set(tmp_path: Path) -> None:
    """As by allauth: HEADLESS_SERVE_SPECIFICATION is off by default."""
    async with in_process(tmp_path) as suite:
        http = http_of(suite)
        answers = [await http.get(JSON_PATH), await http.get(YAML_PATH)]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_the_operations_port_has_the_same(suite: InProcess, document: Json) -> None:
    app = create_operations("session", (), openapi_of=suite.apps["session"])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:9000"
    ) as http:
        assert (await http.get("/openapi.json")).json() == document


async def test_it_is_valid(document: Json) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_it_has_every_endpoint_and_only_those(suite: InProcess, document: Json) -> None:
    """D6: what is described is what is served; what is beside the API is not part of it."""
    routes = suite.apps["session"].routes
    served = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route) and route.path.startswith(PREFIXES)
        for method in route.methods or ()
    }
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    others = [
        path
        for path in (getattr(route, "path", "") for route in routes)
        if path not in document["paths"] and path != "/" and not path.startswith(NOT_DESCRIBED)
    ]

    assert served == described
    assert others == []
    assert all(path.startswith(PREFIXES) for path in document["paths"])
    http = http_of(suite)
    for method, path in described:
        response = await http.request(method, path, json={})
        assert response.status_code not in (404, 405)


async def test_operations_keep_the_names_that_were_published(document: Json) -> None:
    names = [operation["operationId"] for operation in operations(document)]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*_(app|browser)", name) for name in names)
    both = [f"{name}_{client}" for name in PUBLISHED for client in ("app", "browser")]
    assert {*both, *(f"{name}_browser" for name in BROWSERS_ALONE)} <= set(names)


async def test_whoever_calls_is_told_what_to_send_along(document: Json) -> None:
    schemes = document["components"]["securitySchemes"]
    paths = document["paths"]
    log_in = paths["/_allauth/browser/v1/auth/login"]["post"]["security"]
    change = paths["/_allauth/browser/v1/account/password/change"]["post"]["security"]
    listing = paths["/_allauth/app/v1/account/authenticators"]["get"]["security"]

    assert schemes["sessionToken"]["name"] == "X-Session-Token"
    proof: Json = {"csrfCookie": [], "csrfHeader": []}
    assert log_in == [{"sessionCookie": [], **proof}, proof]
    assert change == [{"sessionCookie": [], **proof}]
    assert {"sessionToken": []} in listing
    assert {} not in listing
    for operation in operations(document):
        assert {name for way in operation["security"] for name in way} <= schemes.keys()


async def test_it_says_what_is_set(tmp_path: Path) -> None:
    changes = {
        "public_url": "https://login.example.org/",
        "headless_clients": {"browser"},
        "session_cookie_name": "sid",
        "csrf_cookie_name": "anti-forgery",
        "csrf_header_name": "HTTP_X_ANTI_FORGERY",
        "countersign_development": False,
        "smtp_url": SecretStr("smtp://localhost:2525"),
    }
    async with in_process(tmp_path, **changes) as suite:
        document = suite.apps["session"].openapi()

    schemes = document["components"]["securitySchemes"]
    assert document["servers"] == [{"url": "https://login.example.org"}]
    assert schemes["sessionCookie"]["name"] == "sid"
    assert schemes["csrfCookie"]["name"] == "anti-forgery"
    assert schemes["csrfHeader"]["name"] == "x-anti-forgery"
    assert all(path.startswith(PREFIXES[1]) for path in document["paths"])


async def test_refusals_are_described_for_every_endpoint(document: Json) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            wanted = {"400", "503"} | ({"410"} if path.startswith(PREFIXES[0]) else set())
            if method != "get":
                wanted |= {"429"} | ({"403"} if path.startswith(PREFIXES[1]) else set())
            assert wanted <= responses.keys(), operation["operationId"]
            assert all(len(response["description"]) > 10 for response in responses.values())
            for status in {"429", "503"} & responses.keys():
                assert responses[status]["headers"]["Retry-After"]["required"] is True


async def test_codes_of_errors_are_those_that_can_occur(document: Json) -> None:
    """Each is in the source; that none is left out shows in every answer that tests get."""
    named = {
        code
        for operation in operations(document)
        for response in operation["responses"].values()
        for code in response.get(ERROR_CODES, ())
    }
    folders = (ROOT / "services" / "session", ROOT / "shared" / "http")
    source = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    given = set(re.findall(r'code="([a-z0-9_]+)"', source))
    given |= {f"password_{code}" for code in re.findall(r'broken.append\(\("([a-z_]+)"', source)}

    assert named <= given
    assert {"required", "incorrect_code", "email_password_mismatch", "unverified_email"} <= named


async def test_schemas_have_names_and_say_nothing_of_the_code(document: Json) -> None:
    """Generators call classes by them, and take a default for what the server would put in."""
    for operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["schema"]["$ref"].endswith("Request")
    for name, schema in document["components"]["schemas"].items():
        assert "title" not in schema, name
        for member in schema.get("properties", {}).values():
            assert not {"title", "default"} & member.keys(), name
        assert schema.get("additionalProperties") is not False, name


async def test_examples_are_true(document: Json) -> None:
    """Each is of an operation that there is, and as that describes it, to the letter."""
    closed = strict(document).root
    registry = Registry([("urn:own", closed)], draft=Draft202012)
    seen = set()
    for operation in operations(closed):
        bodies = list(operation["responses"].values())
        if "requestBody" in operation:
            bodies.append(operation["requestBody"])
        for content in (body["content"]["application/json"] for body in bodies):
            given = [example["value"] for example in content.get("examples", {}).values()]
            given += [content["example"]] if "example" in content else []
            schema = {"$ref": f"urn:own{content['schema']['$ref']}"}
            validator = Draft202012Validator(schema, registry=registry)
            for example in given:
                validator.validate(example)
                seen.add(name_of(operation))

    assert seen == EXAMPLES.keys()
    for example in EXAMPLES.values():
        assert example.answers
