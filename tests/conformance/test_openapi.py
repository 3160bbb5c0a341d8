"""The document says what the types, the client, the rules and our own factors say."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from fastapi import APIRouter
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator

from services.cli import countersign
from services.cli.conformance.calls import ASKING, CALLS, sample
from services.cli.conformance.openapi import document
from services.cli.conformance.rules import RULES
from services.suite import FACTORS
from shared.errors import Unavailable
from shared.factor import FactorClient, Purpose
from shared.http import problem_details
from shared.http.problems import Problem

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "docs" / "factors.openapi.json"
PAGE = ROOT / "docs" / "factors.md"
DOCUMENT = document()
OPERATIONS = {
    (method.upper(), path): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


def schema(name: str) -> Draft202012Validator:
    """Return what checks a value against a schema of the document."""
    components = DOCUMENT["components"]
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components})


def references(node: Any) -> Iterator[str]:
    """Yield every reference in the document."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name == "$ref":
                yield child
            else:
                yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_what_is_written_is_fresh() -> None:
    printed = CliRunner().invoke(countersign, ["factor", "openapi"]).output

    assert WRITTEN.read_text() == printed, "run `make docs`"
    assert json.loads(printed) == DOCUMENT


def test_the_schemas_are_schemas_and_nothing_is_missing() -> None:
    for one in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(one)
    for reference in set(references(DOCUMENT)):
        *_, kind, name = reference.split("/")
        assert name in DOCUMENT["components"][kind], reference


def test_questions_admit_no_more_and_answers_do() -> None:
    for call in CALLS:
        for model, closed in ((call.question, True), (call.answer, False)):
            if model is not None:
                found = DOCUMENT["components"]["schemas"][model.__name__]
                assert (found.get("additionalProperties") is False) == closed, model


def test_the_samples_are_well_formed_and_what_the_types_take() -> None:
    for call in ASKING:
        assert call.question is not None
        body = sample(call)
        assert not list(schema(call.question.__name__).iter_errors(body)), call
        assert call.question.model_validate_json(json.dumps(body)) is not None


def test_problems_are_as_we_tell_them() -> None:
    told = problem_details({}, Problem(status=400, code="invalid", field="proof"))

    assert not list(schema("Problem").iter_errors(json.loads(bytes(told.body))))


async def test_session_makes_these_calls_and_no_others() -> None:
    made: list[tuple[str, str]] = []

    async def kept(request: httpx.Request) -> httpx.Response:
        path = re.sub(r"/users/[^/]+", "/users/{user_id}", request.url.path)
        path = re.sub(r"/enrolments/[^/]+", "/enrolments/{enrolment_id}", path)
        path = re.sub(r"/authenticators/[^/]+", "/authenticators/{authenticator_id}", path)
        made.append((request.method, path))
        content = OPERATIONS[made[-1]].get("requestBody", {}).get("content")
        assert bool(content) == bool(request.content)
        if content:
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert not list(schema(name).iter_errors(json.loads(request.content)))
        return httpx.Response(200, json={})

    transport = httpx.MockTransport(kept)
    async with httpx.AsyncClient(transport=transport, base_url="http://factor") as http:
        client = FactorClient(http)
        about: dict[str, Any] = {"session_id": "s", "purpose": Purpose.AUTHENTICATE}
        alone: dict[str, Any] = {"session_id": "s", "purpose": Purpose.LOGIN}
        for asked in (
            client.authenticators("u"),
            client.begin("u", "e", session_id="s", account_name="ada"),
            client.complete("u", "e", session_id="s", proof={}, name="key"),
            client.reveal("u", "a"),
            client.rename("u", "a", "key"),
            client.challenge("u", authenticators=["a"], **about),
            client.challenge_anybody(**alone),
            client.verify("u", authenticators=["a"], proof={}, **about),
            client.verify_anybody(proof={}, **alone),
        ):
            with pytest.raises(Unavailable):  # {} is no answer to any of them
                await asked
        await client.remove("u", "a")
        await client.forget("u")
        await client.ready()

    assert sorted(made) == sorted(OPERATIONS)


@pytest.mark.parametrize("service", FACTORS)
def test_our_factors_have_these_calls(service: str) -> None:
    routes = set(_routes(service))
    needed = {call for call, operation in OPERATIONS.items() if not operation.get("x-optional")}

    assert needed <= routes
    assert {route for route in routes - OPERATIONS.keys() if "/browsers" not in route[1]} == set()


def test_the_page_has_every_call_and_rule() -> None:
    page = PAGE.read_text()

    for method, path in OPERATIONS:
        assert f"`{method} {path}`" in page, path
    for rule in RULES:
        assert f"`{rule.name}`" in page, rule.name
    assert set(re.findall(r"^- `([a-z-]+)`:", page, re.MULTILINE)) == {rule.name for rule in RULES}


def _routes(service: str) -> Iterator[tuple[str, str]]:
    api = import_module(f"services.{service}.api")
    routers: tuple[APIRouter, ...] = getattr(api, "routers", None) or (api.router,)
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                yield from ((method, route.path) for method in route.methods or ())
