"""The feed shows what the ledger holds, in order, to whoever has the credential and no one else."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.audit.client import AuditClient
from services.audit.flows.entering import Ledger
from shared.auth import PrivateKey
from shared.bus.wire import EventVerifier
from tests import trail
from tests.audit.callers import OPERATOR, TOTP, bearer
from tests.audit.facts import fact


async def test_every_route_refuses_without_a_credential(
    app: FastAPI, http: httpx.AsyncClient
) -> None:
    """Section 3: every inner route denies by default."""
    paths = app.openapi()["paths"]
    assert paths

    for path, methods in paths.items():
        for method in methods:
            answer = await http.request(method, path)
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("key", "audience", "status"),
    [(OPERATOR, "audit", 200), (OPERATOR, "totp", 401), (TOTP, "audit", 403)],
)
async def test_the_ledger_is_for_the_operator_and_session(
    http: httpx.AsyncClient, key: PrivateKey, audience: str, status: int
) -> None:
    """Section 3: a factor has no business in the ledger, nor a token for another service."""
    answer = await http.get("/v1/events", headers=bearer(key, audience))

    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/metrics", "/healthz"])
async def test_nothing_else_is_on_this_port(http: httpx.AsyncClient, path: str) -> None:
    """D6: documentation and metrics are off the service's port."""
    assert (await http.get(path, headers=bearer(OPERATOR))).status_code == 404


async def test_the_feed_is_read_page_by_page(client: AuditClient, ledger: Ledger) -> None:
    await ledger.enter([fact(number) for number in range(1, 8)])

    pages, after = [], "0"
    for _ in range(4):
        page = await client.events(after, limit=3)
        pages.append([entry.entry for entry in page.events])
        after = page.next

    assert pages == [[1, 2, 3], [4, 5, 6], [7], []]
    assert after == "7"
    assert (await client.events("end")).next == "7"


async def test_the_events_are_those_that_were_signed(
    http: httpx.AsyncClient, ledger: Ledger
) -> None:
    await ledger.enter([fact(1)])

    answer = await http.get("/v1/events", headers=bearer(OPERATOR))

    (entry,) = answer.json()["events"]
    received = EventVerifier(trail.PUBLIC_KEYS).verify(json.dumps(entry["event"]).encode())
    assert received.text.encode() == trail.signed(1)
    assert abs(entry["received_at"] - time.time()) < 60


@pytest.mark.parametrize(
    "query",
    [
        *("after=-1", "after=x", "after=", "after=" + "9" * 19, "after=%D9%A1", "after=1%0A"),
        *("limit=0", "limit=1001", "limit=x", "wait=-1", "wait=26", "wait=0.5"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, query: str
) -> None:
    """D7: input is bounded, and the field at fault named."""
    answer = await http.get(f"/v1/events?{query}", headers=bearer(OPERATOR))

    assert answer.status_code == 400
    assert answer.json()["field"] == query.partition("=")[0]


async def test_a_question_may_wait_for_its_answer(client: AuditClient, ledger: Ledger) -> None:
    question = asyncio.create_task(client.events("0", wait=25))
    await asyncio.sleep(0.2)
    assert not question.done()

    await ledger.enter([fact(1)])

    assert [entry.entry for entry in (await question).events] == [1]


async def test_who_follows_sees_each_entry_once(client: AuditClient, ledger: Ledger) -> None:
    seen: list[Any] = []

    async def follow() -> None:
        async for entry in client.follow("1"):
            seen.append(entry.event["data"])
            if len(seen) == 4:
                return

    await ledger.enter([fact(1), fact(2)])
    following = asyncio.create_task(follow())
    for number in (3, 4, 5):
        await ledger.enter([fact(number)])
    await asyncio.wait_for(following, 20)

    assert [data["number"] for data in seen] == [2, 3, 4, 5]
