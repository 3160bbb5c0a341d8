"""What holds answers against the documents finds what is wrong with them, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.session.api import envelope
from tests.contract import own, peer
from tests.contract.document import Answer, Document
from tests.contract.everything import EVERYTHING
from tests.contract.lags import LAGS, Unlisted
from tests.contract.plugin import SEEN, WHOLE, Plugin, unneeded
from tests.journeys.suite import InProcess, in_process

ROOT = "/_allauth/app/v1"
LATER = {"Retry-After": "2"}
NOBODY = {"status": 401, "data": {"flows": [{"id": "login"}]}, "meta": {"is_authenticated": False}}
TOTP = {"type": "totp", "created_at": 1.0, "last_used_at": None}

Json = dict[str, Any]


def answer(method: str, path: str, body: Json, headers: Json | None = None) -> Answer:
    return Answer(
        method=method,
        path=f"{ROOT}/{path}",
        status=body["status"],
        body=body,
        headers=httpx.Headers(headers or {}),
    )


def refused(*codes: str) -> Json:
    return {"status": 400, "errors": [{"code": code, "message": "No."} for code in codes]}


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, **EVERYTHING) as running:
        yield running


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The description of everything that there is, to the letter."""

    async def described() -> Json:
        async with in_process(tmp_path_factory.mktemp("document"), **EVERYTHING) as running:
            return running.apps["session"].openapi()

    return own.strict(asyncio.run(described()))


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "auth/session", NOBODY, {}),
        ("POST", "auth/login", refused("required", "email_password_mismatch"), {}),
        ("POST", "auth/login", {"status": 429}, LATER),
        ("POST", "auth/nothing", {"status": 404}, {}),
        ("PATCH", "auth/login", {"status": 405}, {}),
    ],
)
def test_our_document_knows_what_is_right(
    document: Document, method: str, path: str, body: Json, headers: Json
) -> None:
    assert own.problems(answer(method, path, body, headers), document) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("GET", "auth/session", {"status": 418}, "418 is not described"),
        ("GET", "auth/session", {**NOBODY, "more": 1}, "'more' was unexpected"),
        (
            "GET",
            "auth/session",
            {**NOBODY, "meta": {}},
            '"is_authenticated" is a required property',
        ),
        ("POST", "auth/login", refused("nonsense"), "the code nonsense is not described"),
        ("POST", "auth/login", {"status": 400, "errors": []}, "less than 1 item"),
        ("POST", "auth/login", {"status": 429}, "Retry-After is missing"),
        ("POST", "auth/nothing", {"status": 200}, "the operation is not described"),
        ("POST", "auth/nothing", {"status": 404, "data": {}}, "data is told of what there is not"),
    ],
)
def test_our_document_finds_what_is_wrong(
    document: Document, method: str, path: str, body: Json, problem: str
) -> None:
    (found,) = own.problems(answer(method, path, body), document)

    assert problem in found


@pytest.mark.parametrize(
    ("method", "path", "body", "lags"),
    [
        ("GET", "auth/session", NOBODY, []),
        ("GET", "auth/session", {**NOBODY, "more": 1}, []),
        (
            "POST",
            "account/authenticators/totp",
            {"status": 200, "data": TOTP},
            ["`last_used_at` is null"],
        ),
        (
            "POST",
            "auth/2fa/authenticate",
            {**NOBODY, "meta": {"is_authenticated": None}},
            ["`is_authenticated` is null"],
        ),
        ("GET", "account/authenticators/totp", NOBODY, ["what needs somebody"]),
        ("POST", "auth/login", {"status": 503}, ["a part that is away"]),
        ("DELETE", "account", NOBODY, ["people delete their accounts"]),
    ],
)
def test_their_document_knows_what_is_right_and_which_lags_it_takes(
    method: str, path: str, body: Json, lags: list[str]
) -> None:
    found, used = peer.judge(answer(method, path, body))

    assert found == []
    assert len(used) == len(lags)
    assert all(any(lag.why.startswith(why) for lag in used) for why in lags)


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("GET", "auth/session", {"status": 418}, "418 is not listed"),
        ("GET", "auth/session", {**NOBODY, "data": {}}, '"flows" is a required property'),
        ("POST", "auth/login", {"status": 503, "data": {}}, "503 is not listed"),
        (
            "POST",
            "account/authenticators/totp",
            {"status": 200, "data": {**TOTP, "last_used_at": "never"}},
            '"never" is not of type "number"',
        ),
        ("POST", "account/nothing", {"status": 200}, "there is no such operation"),
    ],
)
def test_their_document_finds_what_is_wrong(
    method: str, path: str, body: Json, problem: str
) -> None:
    found, used = peer.judge(answer(method, path, body))

    assert any(problem in said for said in found)
    assert used == frozenset()


def test_what_is_ours_is_no_excuse_for_the_peer() -> None:
    away = answer("POST", "auth/login", {"status": 503})

    assert peer.judge(away)[0] == []
    assert peer.of_itself(away) == ["503 is not listed"]


def test_lags_are_named_once_and_are_about_what_there_is() -> None:
    places = [lag.place for lag in LAGS if isinstance(lag, Unlisted) and lag.place is not None]

    assert len({lag.why for lag in LAGS}) == len(LAGS)
    for place in places:
        assert peer.document().errors(place, "no object") != []


async def test_an_answer_that_departs_fails_whoever_sees_it(
    suite: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = suite.client("app")
    assert (await client.get("auth/session")).status == 401
    monkeypatch.setattr(envelope, "login_flows", lambda *_: [{"id": "nonsense"}])

    with pytest.raises(AssertionError) as caught:
        await client.get("auth/session")

    assert "ours: data" in str(caught.value)
    assert "allauth's: data/flows/0/id" in str(caught.value)


ELSEWHERE = "http://localhost:1/_allauth/app/v1/config"
WRONG = httpx.MockTransport(lambda _: httpx.Response(200, json={"status": 200}))
AWAY = httpx.MockTransport(lambda _: httpx.Response(503, json={"status": 503}))


async def test_answers_from_elsewhere_are_seen_too() -> None:
    """Where no description is served, django-allauth's document is asked alone."""
    async with httpx.AsyncClient(transport=AWAY) as http:
        assert (await http.get(ELSEWHERE)).status_code == 503
    async with httpx.AsyncClient(transport=WRONG) as http:
        with pytest.raises(AssertionError, match='"data" is a required property'):
            await http.get(ELSEWHERE)


def test_answers_are_seen_by_whichever_client_they_come() -> None:
    with (
        httpx.Client(transport=WRONG) as http,
        pytest.raises(AssertionError, match='"data" is a required property'),
    ):
        http.get(ELSEWHERE)


def finished(plugin: Plugin, **session: Any) -> int:
    """End a run of tests that have all passed, and return how it has ended."""
    ending = SimpleNamespace(config=SimpleNamespace(), testsfailed=0, exitstatus=0)
    vars(ending).update(session)
    plugin.pytest_sessionfinish(ending)  # type: ignore[arg-type]
    return int(ending.exitstatus)


def test_a_lag_that_nobody_has_seen_fails_the_whole_run_and_no_other() -> None:
    everything = {lag.why for lag in LAGS}
    missed = LAGS[0].why
    assert unneeded(everything) == []
    assert unneeded(everything - {missed}) == [missed]

    whole, part = Plugin(), Plugin()
    for plugin, is_whole in ((whole, True), (part, False)):
        for seen in ([missed], sorted(everything - {missed, LAGS[1].why})):
            node = SimpleNamespace(workeroutput={SEEN: seen, WHOLE: is_whole})
            plugin.pytest_testnodedown(node)

    assert finished(part) == 0
    assert finished(whole, testsfailed=1) == 0
    assert finished(whole) == 1
    whole.watch.used.add(LAGS[1].why)
    assert finished(whole) == 0


def test_a_process_that_runs_tests_for_another_tells_what_it_saw() -> None:
    plugin, output = Plugin(), dict[str, Any]()
    plugin.watch.used.add("a lag")

    assert finished(plugin, config=SimpleNamespace(workeroutput=output)) == 0
    assert output == {SEEN: ["a lag"], WHOLE: None}
