"""A client that a generator made of the served description logs in with two factors."""

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.session.api.specification import JSON_PATH
from tests.journeys.suite import PERIOD, SHORT_CODES, InProcess, Running, in_process
from tests.suites import running_suite

NAME = "generated_client"
EMAIL, PASSWORD = "ada@example.org", "correct horse battery staple"

ENV = {"HEADLESS_SERVE_SPECIFICATION": "true", **SHORT_CODES}

Json = dict[str, Any]


@pytest_asyncio.fixture(params=["embedded", pytest.param("split", marks=pytest.mark.long)])
async def suite(
    tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[InProcess | Running]:
    """One that is in this process, or one of processes."""
    if request.param == "embedded":
        async with in_process(tmp_path / "suite", headless_serve_specification=True) as running:
            yield running
        return
    starting = running_suite(tmp_path / "var", split=True, env=ENV)
    processes = await asyncio.to_thread(starting.__enter__)
    try:
        async with Running(base_url=processes.base_url, period=PERIOD) as reached:
            yield reached
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)


@pytest_asyncio.fixture
async def document(suite: InProcess | Running) -> Json:
    """The description, as anybody gets it."""
    document: Json = (await suite.client("app").http.get(JSON_PATH)).json()
    return document


@pytest_asyncio.fixture
async def package(
    document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ModuleType]:
    """A package that a generator has written, from the description alone."""
    written, options = tmp_path / "openapi.json", tmp_path / "options.json"
    written.write_text(json.dumps(document))
    options.write_text('{"post_hooks": []}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", str(written), "--config", str(options)),
        *("--output-path", str(tmp_path / NAME), "--fail-on-warning"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(NAME)
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]


class Caller:
    """Calls operations of the generated package by their names, as its user would."""

    def __init__(self, package: ModuleType, document: Json, suite: InProcess | Running) -> None:
        self._package = package
        self._models = importlib.import_module(f"{NAME}.models")
        self._url = document["servers"][0]["url"]
        self._header = document["components"]["securitySchemes"]["sessionToken"]["name"]
        self._reached: Json = {}
        if isinstance(suite, InProcess):
            self._reached = {"transport": httpx.ASGITransport(suite.apps["session"])}
        self._token: str | None = None

    async def call(self, operation: str, **members: str | None) -> Any:
        """Return the answer, as the package has understood it. The newest token is kept."""
        call = importlib.import_module(f"{NAME}.api.app.{operation}_app")
        sent = {"body": self.model(f"{operation}_request")(**members)} if members else {}
        async with self._client() as client:
            answer = await call.asyncio(client=client, **sent)
        token = getattr(getattr(answer, "meta", None), "session_token", None)
        self._token = token or self._token
        return answer

    def model(self, name: str) -> Any:
        """Return the class of that name."""
        return getattr(self._models, "".join(word.capitalize() for word in name.split("_")))

    def forget(self) -> None:
        """Drop the token."""
        self._token = None

    def _client(self) -> Any:
        common: Json = {
            "base_url": self._url,
            "raise_on_unexpected_status": True,
            "httpx_args": self._reached,
        }
        if self._token is None:
            return self._package.Client(**common)
        return self._package.AuthenticatedClient(
            **common, token=self._token, prefix="", auth_header_name=self._header
        )


def pending(answer: Any) -> list[str]:
    """Return the ids of the flows that an answer says are pending."""
    return [flow.id.value for flow in answer.data.flows if flow.is_pending is True]


async def test_it_signs_up_turns_totp_on_and_logs_in_by_two_factors(
    suite: InProcess | Running, document: Json, package: ModuleType
) -> None:
    client = Caller(package, document, suite)
    login_needed, logged_in = client.model("login_needed"), client.model("logged_in")

    signed_up = await client.call("sign_up", email=EMAIL, password=PASSWORD)
    assert isinstance(signed_up, login_needed)
    assert pending(signed_up) == ["verify_email"]
    verified = await client.call("verify_email", key=await suite.mailed_code(EMAIL))
    assert isinstance(verified, logged_in)
    assert verified.data.user.email == EMAIL

    await client.call("reauthenticate", password=PASSWORD)
    offer = await client.call("show_totp")
    assert isinstance(offer, client.model("not_enrolled"))
    code = await suite.fresh_code(offer.meta.secret)
    activated = await client.call("activate_totp", code=code)
    assert isinstance(activated, client.model("activated"))
    assert activated.meta.recovery_codes_generated is True

    assert isinstance(await client.call("log_out"), login_needed)
    client.forget()
    waiting = await client.call("log_in", email=EMAIL, password=PASSWORD)
    assert isinstance(waiting, login_needed)
    assert pending(waiting) == ["mfa_authenticate"]
    wrong = await client.call("authenticate", code="000000")
    assert isinstance(wrong, client.model("errors"))
    assert [error.code for error in wrong.errors] == ["incorrect_code"]
    done = await client.call("authenticate", code=await suite.fresh_code(offer.meta.secret))
    assert isinstance(done, logged_in)
    assert [method.method.value for method in done.data.methods] == ["password", "mfa"]


async def test_it_understands_who_has_to_prove_themselves_again(
    suite: InProcess | Running, document: Json, package: ModuleType
) -> None:
    """401 says who is logged in, where somebody is, and how they go on."""
    client = Caller(package, document, suite)
    await client.call("sign_up", email=EMAIL, password=PASSWORD)
    await client.call("verify_email", key=await suite.mailed_code(EMAIL))

    asked = await client.call("activate_totp", code="000000")

    assert isinstance(asked.data, client.model("doubted"))
    assert asked.data.user.email == EMAIL
    assert "reauthenticate" in [flow.id.value for flow in asked.data.flows]
