"""Requests made from our own description, right and wrong: no answer but those that it knows.

That each conforms, to our document and to django-allauth's, is seen by the watch that sees all
answers (tests.contract.watch); schemathesis makes the requests, and asks of each answer the same in
its own way.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.everything import EVERYTHING
from tests.journeys.client import Client
from tests.journeys.person import Person, enrolled
from tests.journeys.person import pending as half_logged_in
from tests.journeys.suite import InProcess, in_process

EXAMPLES = 3  # for each operation, in each state, of right requests and of wrong ones
TIMEOUT = 900  # seconds: a test asks for some thousand answers, beside whatever else is running
STATES = ("nobody", "unverified", "pending", "somebody")
UNLIMITED: dict[str, Any] = {
    **EVERYTHING,
    "mfa_other_factors": "{}",  # there is none that would answer
    "account_rate_limits": False,
    "mfa_rate_limits": '{"webauthn_login": null, "webauthn_options": null}',
}
SEEDED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class World:
    """A suite in which nothing is limited, and a client of each kind in each state."""

    runner: asyncio.Runner
    suite: InProcess
    clients: dict[tuple[str, str], Client] = field(default_factory=dict)
    standing: dict[tuple[str, str], Any] = field(default_factory=dict)
    doubtful: set[tuple[str, str]] = field(default_factory=set)

    def client(self, kind: str, state: str) -> Client:
        """Return a client in that state; if the last one is not any more, another."""
        key = kind, state
        client = self.clients.get(key)
        if client is None or (key in self.doubtful and self._has_moved(key)):
            client = self.clients[key] = self.runner.run(_made(self.suite, kind, state))
            self.standing[key] = self.runner.run(_standing(client))
        self.doubtful.discard(key)
        return client

    def send(self, kind: str, state: str, sent: dict[str, Any]) -> httpx.Response:
        """Send what was generated from a client in that state; what only reads leaves it there."""
        client = self.client(kind, state)
        if sent["method"] != "GET":
            self.doubtful.add((kind, state))
        return self.runner.run(_send(client, sent))

    def _has_moved(self, key: tuple[str, str]) -> bool:
        found: Any = self.runner.run(_standing(self.clients[key]))
        return bool(found != self.standing[key])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        context = in_process(tmp_path_factory.mktemp("generated"), **UNLIMITED)
        suite = runner.run(context.__aenter__())
        yield World(runner, suite)
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("kind", ["app", "browser"])
def test_generated_requests_get_described_answers(
    world: World, kind: str, mode: GenerationMode
) -> None:
    """D7: no 5xx, and nothing that the description does not know, whoever asks."""
    load_all_checks()
    schema = schemathesis.openapi.from_dict(world.suite.apps["session"].openapi())
    results = list(schema.get_all_operations())
    described = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(described) == len(results)
    operations = [operation for operation in described if f"/{kind}/" in operation.path]
    if mode is GenerationMode.NEGATIVE:  # nothing can be wrong where nothing is to be sent
        operations = [operation for operation in operations if operation.body]

    statuses = {status for operation in operations for status in tried(world, operation, mode)}

    assert len(operations) > 10
    assert statuses >= ({400, 401, 409} | ({200} if mode is GenerationMode.POSITIVE else set()))


def tried(
    world: World, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode
) -> set[int]:
    """Ask for an operation in all states, and return the statuses of the answers."""
    kind = "browser" if "/browser/" in operation.path else "app"
    seen: set[int] = set()

    @SEEDED
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode), label="case")
        sent = case.as_transport_kwargs(base_url="http://localhost:8000")
        for state in STATES:
            response = world.send(kind, state, sent)
            seen.add(response.status_code)
            case.validate_response(Response.from_httpx(response, verify=False), checks=CHECKS)

    ask()
    return seen


async def _send(client: Client, sent: dict[str, Any]) -> httpx.Response:
    """Send what was generated, as a client that is in some state: with its token or cookies."""
    known = {name: sent[name] for name in ("params", "json") if sent.get(name) is not None}
    if isinstance(raw := sent.get("data"), bytes | str):
        known["content"] = raw
    headers = httpx.Headers({name: text for name, text in sent["headers"].items() if text})
    headers.update(client.credentials())
    return await client.http.request(sent["method"], sent["url"], headers=headers, **known)


async def _made(suite: InProcess, kind: str, state: str) -> Client:
    client = suite.client(kind)
    await client.get("config")  # which gives a browser its CSRF token
    if state == "unverified":
        person = Person(suite=suite, client=client)
        await client.post("auth/signup", person.credentials)
    elif state == "pending":
        await half_logged_in(suite, client)
    elif state == "somebody":
        await enrolled(suite, client)
    return client


async def _standing(client: Client) -> Any:
    """Return what the session says of itself, but for when it was proved."""
    answer = await client.get("auth/session")
    flows = answer.body.get("data", {}).get("flows")
    return answer.status, answer.body.get("data", {}).get("user"), flows
