"""A person who leaves is gone from the whole suite."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.client import Client
from tests.journeys.person import Person, enrolled
from tests.journeys.suite import PERIOD, SHORT_CODES, InProcess, Running
from tests.suites import RunningSuite, running_suite, until


async def test_who_has_just_proved_themselves_deletes_their_account(
    suite: InProcess, client: Client
) -> None:
    person = await enrolled(suite, client)
    held = client.http.cookies.get("sessionid")

    gone = await client.delete("account")

    assert (gone.status, gone.meta["is_authenticated"]) == (401, False)
    assert gone.flows[:1] == ["login"]
    if client.kind == "browser":
        assert held
        assert client.http.cookies.get("sessionid") is None
    again = await suite.client("app").post("auth/login", person.credentials)
    assert (again.status, again.codes) == (400, ["email_password_mismatch"])
    assert (await client.get("auth/session")).status == (410 if client.kind == "app" else 401)


async def test_others_are_asked_to_prove_themselves_first(suite: InProcess, client: Client) -> None:
    """N6: and nobody who is not logged in gets as far as that."""
    assert (await client.get("config")).status == 200  # a browser needs a token to write
    assert (await client.delete("account")).meta["is_authenticated"] is False
    person = await enrolled(suite, client)
    await person.log_out()
    await person.log_in()
    await client.post("auth/2fa/authenticate", {"code": await person.fresh_code()})

    refused = await client.delete("account")

    assert (refused.status, refused.meta["is_authenticated"]) == (401, True)
    assert "mfa_reauthenticate" in refused.flows
    assert (await client.get("auth/session")).status == 200


@pytest.mark.long
def test_the_whole_suite_forgets_who_leaves(tmp_path: Path) -> None:
    with running_suite(tmp_path / "var", env=SHORT_CODES) as running:
        person, user_id = asyncio.run(_join_and_leave(running.base_url))

        until(lambda: "mfa.session.user_erased" in _types(running, user_id), "the last event")

        told = [json.dumps(event) for event in _events(running, user_id)]
        assert len(told) > 5
        assert not [text for text in told if '"address"' in text or '"user_agent"' in text]
        assert not [text for text in told if person.email in text]
        assert _count(running, "totp", "SELECT count(*) FROM authenticators") == 0
        assert _count(running, "session", "SELECT count(*) FROM sessions") == 0
        assert _count(running, "session", "SELECT count(*) FROM emails") == 0
        assert _count(running, "session", "SELECT count(*) FROM erasures") == 0
        assert asyncio.run(_log_in_again(running.base_url, person)) == ["email_password_mismatch"]


async def _join_and_leave(base_url: str) -> tuple[Person, str]:
    async with Running(base_url=base_url, period=PERIOD) as suite:
        person = await enrolled(suite, suite.client("app"))
        session = await person.client.get("auth/session")
        gone = await person.client.delete("account")
    assert gone.meta["is_authenticated"] is False
    return person, session.body["data"]["user"]["id"]


async def _log_in_again(base_url: str, person: Person) -> list[str]:
    client = Client("app", base_url=base_url)
    try:
        return (await client.post("auth/login", person.credentials)).codes
    finally:
        await client.close()


def _events(running: RunningSuite, user_id: str) -> list[dict[str, Any]]:
    lines = running.run("events", "--json").stdout.splitlines()
    return [event for event in map(json.loads, lines) if event.get("subject") == user_id]


def _types(running: RunningSuite, user_id: str) -> set[str]:
    return {str(event["type"]) for event in _events(running, user_id)}


def _count(running: RunningSuite, service: str, question: str) -> int:
    with closing(sqlite3.connect(running.var_dir / f"{service}.db")) as database:
        (number,) = database.execute(question).fetchone()
        return int(number)
