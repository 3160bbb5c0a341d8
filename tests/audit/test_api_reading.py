"""Readers find what they want, follow it, and take all of it away; each with what they may do."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.audit.api import events
from services.audit.flows.entering import Ledger
from services.audit.flows.forgetting import Forgetting
from services.audit.main import create_app
from services.audit.settings import Settings
from services.session.gateway.ledger import LedgerClient
from shared.auth import Caller
from shared.http import connect
from tests import trail
from tests.audit.asgi import following
from tests.audit.callers import CALLER_KEYS, OPERATOR, SESSION, TOTP, bearer
from tests.audit.facts import fact

STREAM, LATER = "/v1/events/stream", "2026-07-02T00:00:00Z"


async def numbers(http: httpx.AsyncClient, query: str) -> tuple[list[int], str]:
    """Return the entries that a question finds, and the cursor behind them."""
    answer = await http.get(f"/v1/events?{query}", headers=bearer(OPERATOR))
    assert answer.status_code == 200, answer.text
    feed = answer.json()
    return [entry["entry"] for entry in feed["events"]], feed["next"]


@pytest.fixture
async def mixed(ledger: Ledger) -> None:
    """Five entries that differ."""
    later = trail.NOON + timedelta(days=1)
    await ledger.enter(
        [
            fact(1),
            fact(2, subject="bob"),
            fact(3, type="mfa.demo.failed"),
            fact(4, occurred_at=later),
            fact(5, occurred_at=later, subject="bob"),
        ]
    )


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("query", "found", "cursor"),
    [
        ("user=bob", [2, 5], "5"),
        ("type=mfa.demo.failed", [3], "5"),
        ("type=mfa.*.failed&outcome=failure", [3], "5"),
        ("outcome=success&user=ada", [1, 4], "5"),
        (f"since={LATER}", [4, 5], "5"),
        (f"until={LATER}&limit=2", [1, 2], "2"),
        (f"since={LATER}&user=bob&after=4", [5], "5"),
        ("user=nobody", [], "5"),
        ("user=bob&limit=1", [2], "2"),
        ("user=bob&after=9", [], "9"),
    ],
)
async def test_the_feed_has_what_is_wanted(
    http: httpx.AsyncClient, query: str, found: list[int], cursor: str
) -> None:
    """What is passed over is behind the reader: it is not looked at again."""
    assert await numbers(http, query) == (found, cursor)


@pytest.mark.parametrize(
    "query",
    [
        *("user=a%20b", "type=", "type=mfa%25", "outcome=maybe", "since=yesterday"),
        *("since=2026-07-01T12:00:00", "until=0001-01-01T00:00:00%2B14:00"),
    ],
)
async def test_what_cannot_be_wanted_is_refused(http: httpx.AsyncClient, query: str) -> None:
    """D7: with the field at fault."""
    answer = await http.get(f"/v1/events?{query}", headers=bearer(OPERATOR))

    assert answer.status_code == 400
    assert answer.json()["field"] == query.partition("=")[0]


async def test_a_stream_has_what_there_is_and_what_comes(app: FastAPI, ledger: Ledger) -> None:
    await ledger.enter([fact(1), fact(2, type="mfa.demo.failed")])

    async with following(app, STREAM, bearer(OPERATOR)) as stream:
        await stream.until("id: 2\n")
        await ledger.enter([fact(3)])
        text = await stream.until("id: 3\n")

    assert (stream.status, stream.headers["content-type"]) == (
        200,
        "text/event-stream; charset=utf-8",
    )
    first, *_ = [block for block in text.split("\n\n") if block.startswith("id:")]
    lines = dict(line.split(": ", maxsplit=1) for line in first.split("\n"))
    assert (lines["id"], lines["event"]) == ("1", "mfa.demo.happened")
    assert json.loads(lines["data"])["event"] == json.loads(trail.signed(1))


async def test_a_stream_goes_on_behind_the_last_event(app: FastAPI, ledger: Ledger) -> None:
    await ledger.enter([fact(number) for number in range(1, 6)])
    headers = {**bearer(OPERATOR), "Last-Event-ID": "3"}

    async with following(app, f"{STREAM}?after=0", headers) as stream:
        text = await stream.until("id: 5\n")

    assert [line for line in text.split("\n") if line.startswith("id:")] == ["id: 4", "id: 5"]


async def test_a_stream_has_only_what_is_wanted(app: FastAPI, ledger: Ledger) -> None:
    async with following(app, f"{STREAM}?user=bob&after=end", bearer(OPERATOR)) as stream:
        await stream.until("retry:")
        await ledger.enter([fact(1), fact(2, subject="bob")])
        text = await stream.until("id: 2\n")

    assert "id: 1\n" not in text


async def test_a_stream_in_which_nothing_happens_gives_signs_of_life(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or proxies on the way would take it for dead."""
    monkeypatch.setattr(events, "BEAT", timedelta(milliseconds=50))

    async with following(app, STREAM, bearer(OPERATOR)) as stream:
        await stream.until(": nothing new\n\n: nothing new\n\n")


async def test_a_stream_ends_in_time_for_its_reader_to_show_who_they_are(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, http: httpx.AsyncClient
) -> None:
    """Section 3: a credential is good for a minute; a stream does not go on for ever by it."""
    monkeypatch.setattr(events, "LIFE", 0.0)

    answer = await http.get(STREAM, headers=bearer(OPERATOR))

    assert answer.text == "retry: 2000\n\n"


async def test_no_more_follow_than_one_process_takes(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, http: httpx.AsyncClient
) -> None:
    monkeypatch.setattr(events, "STREAMS", 1)

    async with following(app, STREAM, bearer(OPERATOR)) as stream:
        await stream.until("retry:")
        assert (await http.get(STREAM, headers=bearer(OPERATOR))).status_code == 503

    async with following(app, STREAM, bearer(OPERATOR)) as stream:
        await stream.until("retry:")
        assert stream.status == 200


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 19, ""])
async def test_a_cursor_that_is_none_is_refused(http: httpx.AsyncClient, cursor: str) -> None:
    headers = {**bearer(OPERATOR), "Last-Event-ID": cursor}

    assert (await http.get(STREAM, headers=headers)).status_code == 400


async def test_closing_ends_every_stream(app: FastAPI) -> None:
    async with following(app, STREAM, bearer(OPERATOR)) as stream:
        await stream.until("retry:")
        app.state.stopping()


@pytest.mark.usefixtures("mixed")
async def test_all_events_are_exported_as_lines_of_json(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 2)

    answer = await http.get("/v1/events/export", headers=bearer(OPERATOR))

    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["entry"] for line in found] == [1, 2, 3, 4, 5]
    assert found[0]["event"] == json.loads(trail.signed(1))


@pytest.mark.usefixtures("mixed")
async def test_events_are_exported_as_a_table(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/events/export?format=csv&user=bob", headers=bearer(OPERATOR))

    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [(row["entry"], row["user"], row["outcome"]) for row in rows] == [
        ("2", "bob", "success"),
        ("5", "bob", "success"),
    ]
    assert rows[0]["address"] == "192.0.2.1"
    assert rows[0]["data"] == '{"number": 2}'


async def test_no_spreadsheet_computes_with_what_a_browser_calls_itself(
    http: httpx.AsyncClient, ledger: Ledger
) -> None:
    """OWASP, CSV injection: a user agent is anybody's to choose."""
    agent = '=HYPERLINK("http://evil","x")'
    text = trail.signed(context={"request_id": "r", "user_agent": agent}).decode()
    await ledger.enter([fact(1, text=text)])

    answer = await http.get("/v1/events/export?format=csv", headers=bearer(OPERATOR))

    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["user_agent"] == f"'{agent}"


async def test_the_verifiable_export_has_nothing_personal_in_the_clear(
    http: httpx.AsyncClient, ledger: Ledger
) -> None:
    await ledger.enter([fact(1), fact(2)])

    answer = await http.get("/v1/entries/export", headers=bearer(OPERATOR))

    assert len(answer.text.splitlines()) == 2
    assert "192.0.2.1" not in answer.text


ROUTES = {
    "feed": ["/v1/events", "/v1/events/export"],
    "proofs": ["/v1/sources", "/v1/checkpoints", "/v1/entries/export"],
    "history": ["/v1/users/ada/events"],
}


@pytest.mark.parametrize("scope", ROUTES)
async def test_a_reader_may_do_what_they_were_given_and_nothing_else(
    ledger_url: str, scope: str
) -> None:
    """Section 3: each reader has a credential of its own."""
    settings = Settings(
        audit_database_url=ledger_url,
        broker_url="amqp://127.0.0.1:1//",
        caller_keys=CALLER_KEYS,
        audit_sealing_keys=trail.RING,
        audit_scopes={"totp": [scope]},
    )
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://audit") as http,
    ):
        for wanted, paths in ROUTES.items():
            for path in paths:
                answer = await http.get(path, headers=bearer(TOTP))
                assert answer.status_code == (200 if wanted == scope else 403), path
                assert (await http.get(path, headers=bearer(OPERATOR))).status_code == 403
        answer = await http.delete("/v1/users/ada", headers=bearer(TOTP))
        assert answer.status_code == 403


@pytest.fixture
def ledger_client(app: FastAPI) -> LedgerClient:
    """Session's client of the ledger."""
    transport = httpx.ASGITransport(app)
    caller = Caller(SESSION)
    return LedgerClient(
        connect("http://audit", caller=caller, audience="audit", transport=transport)
    )


@pytest.mark.usefixtures("mixed")
async def test_session_is_told_what_happened_to_a_person(ledger_client: LedgerClient) -> None:
    history = await ledger_client.history("ada", limit=2)

    newest, before = history.events
    assert (newest.entry, before.entry) == (4, 3)
    assert (before.type, before.outcome, before.address) == (
        "mfa.demo.failed",
        "failure",
        "192.0.2.1",
    )
    assert before.data == {"number": 3}
    assert before.occurred_at == trail.NOON.timestamp()
    assert [past.entry for past in (await ledger_client.history("ada", before=3)).events] == [1]
    assert (await ledger_client.history("nobody")).events == []


@pytest.mark.usefixtures("mixed")
async def test_of_who_is_forgotten_it_is_not_told_from_where(
    ledger_client: LedgerClient, forgetting: Forgetting
) -> None:
    await forgetting.forget("bob", by="session")

    events_of: Any = (await ledger_client.history("bob")).events

    assert [(past.address, past.data) for past in events_of] == [
        (None, {"number": 5}),
        (None, {"number": 2}),
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "before=0", "before=x"])
async def test_a_history_is_bounded(http: httpx.AsyncClient, query: str) -> None:
    """D7: input is bounded."""
    answer = await http.get(f"/v1/users/ada/events?{query}", headers=bearer(SESSION))

    assert answer.status_code == 400
