"""Countersign answers as django-allauth does, but for a short list of differences."""

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pyotp
import pytest
import pytest_asyncio

from tests.journeys.client import Client
from tests.journeys.suite import Hands, InProcess, in_process
from tests.reference.conftest import Peer
from tests.reference.differences import DIFFERENCES, Difference
from tests.reference.journey import (
    AGENT,
    Ask,
    CalmDown,
    Code,
    Forget,
    Journey,
    Json,
    MailedCode,
    MailedKey,
    NoMail,
    Seen,
    Wait,
    journey,
)

A_WHILE = timedelta(minutes=6)  # longer than any limit holds after so few failures
VARYING = {
    "session_token": "<token>",
    "access_token": "<token>",
    "refresh_token": "<token>",
    "recovery_codes_text": "<text>",
    "secret": "<secret>",
    "totp_svg": "<svg>",
    "totp_url": "<url>",
    "at": 0.0,
    "created_at": 0.0,
    "last_used_at": 0.0,
    "id": "<id>",
    "challenge": "<challenge>",
}
"""Members whose values differ from run to run; `id` only where it is not that of a flow."""


class Passable(Protocol):
    """A suite of ours that journeys go through: in this process, or running."""

    @property
    def clock(self) -> Hands:
        """What tells it the time."""

    def client(self, kind: str) -> Client:
        """Return a new client of that kind."""

    async def mailed_code(self, address: str) -> str | None:
        """Return the code in the newest mail to `address`, or None if that mail has none."""

    async def mailed_key(self, address: str) -> str:
        """Return the key in the link in the newest mail to `address`, or "" if it has none."""

    async def throw_mail_away(self) -> None:
        """Have no mail."""


class Ours:
    """One client of Countersign, driven by the journey."""

    def __init__(self, suite: Passable, kind: str) -> None:
        self.suite = suite
        self.kind = kind
        self.client = suite.client(kind)
        self.seen: list[Seen] = []

    async def drive(self, steps: Journey) -> list[Seen]:
        """Go through a journey, and return what was seen."""
        wish = next(steps)
        while True:
            try:
                wish = steps.send(await self.grant(wish))
            except StopIteration:
                return self.seen

    async def grant(self, wish: object) -> Any:
        """Return what the journey wants."""
        match wish:
            case Ask():
                return await self.ask(wish)
            case MailedCode(address=address):
                return await self.suite.mailed_code(address) or ""
            case MailedKey(address=address):
                return await self.suite.mailed_key(address)
            case Code(secret=secret, steps=steps):
                self.suite.clock.advance(steps * timedelta(seconds=30))
                return pyotp.TOTP(secret).at(self.suite.clock())
            case _:
                return await self.let(wish)

    async def let(self, wish: object) -> None:
        """Let happen what is not answered."""
        match wish:
            case Forget():
                self.forget()
            case NoMail():
                await self.suite.throw_mail_away()
            case Wait(seconds=seconds):
                self.suite.clock.advance(timedelta(seconds=seconds))
            case CalmDown():
                self.suite.clock.advance(A_WHILE)

    def forget(self) -> None:
        """Begin without a session."""
        self.client.token = None
        if self._holds("sessionid"):
            self.client.http.cookies.delete("sessionid")

    async def ask(self, ask: Ask) -> Json:
        """Make a request, and keep what was seen of the answer."""
        before = self.client.token
        headers = {
            "User-Agent": AGENT,
            "Origin": ask.origin,
            "X-CSRFToken": ask.csrf_token,
            "X-Session-Token": ask.session_token if self.kind == "app" else None,
            **ask.headers,
        }
        answer = await self.client.call(
            ask.method,
            ask.path,
            ask.body,
            raw=ask.raw,
            headers={name: value for name, value in headers.items() if value},
        )
        held = sorted({cookie.name for cookie in self.client.http.cookies.jar})
        self.seen.append(
            Seen(
                name=ask.name,
                status=answer.status,
                body=answer.body,
                no_store="no-store" in answer.headers["cache-control"],
                holds=tuple(held),
                token=self.client.token != before,
            )
        )
        return answer.body

    def _holds(self, name: str) -> bool:
        return any(cookie.name == name for cookie in self.client.http.cookies.jar)


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def theirs(peer: Peer) -> dict[str, list[Seen]]:
    """What django-allauth answers to each kind of client."""
    return peer("whole")


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_every_answer_is_that_of_the_peer(
    suite: InProcess, kind: str, theirs: dict[str, list[Seen]]
) -> None:
    ours = await Ours(suite, kind).drive(journey())

    assert_alike(theirs[kind], ours, DIFFERENCES)


def assert_alike(theirs: list[Seen], ours: list[Seen], differences: Iterable[Difference]) -> None:
    """Compare every answer, but for the differences that are on purpose."""
    assert [seen.name for seen in ours] == [seen.name for seen in theirs]
    for their, our in zip(theirs, ours, strict=True):
        expected = _as_ours(their, differences)
        if expected.body is None:  # then only the kind of answer is laid down
            our = replace(our, body=None)  # noqa: PLW2901
        assert _comparable(our) == _comparable(expected)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.why)
def test_every_difference_shows(difference: Difference, theirs: dict[str, list[Seen]]) -> None:
    assert_shows(difference, theirs)


def assert_shows(difference: Difference, theirs: dict[str, list[Seen]]) -> None:
    """Check that a difference shows in each of the steps that it names."""
    answers = [seen for kind in theirs.values() for seen in kind if difference.applies(seen)]
    changed = {seen.name for seen in answers if difference.change(seen) != seen}

    assert changed
    assert changed >= difference.steps


def _as_ours(seen: Seen, differences: Iterable[Difference]) -> Seen:
    for difference in differences:
        if difference.applies(seen):
            seen = difference.change(seen)
    return seen


def _comparable(seen: Seen) -> Json:
    return {**vars(seen), "body": _without_values(seen.body, "")}


def _without_values(node: Any, name: str) -> Any:
    if name == "message":  # which may repeat an id
        return re.sub(r"(?<=choice\. )\S+", "<value>", node)
    if name == "unused_codes":
        return [re.sub("[0-9]", "0", code) for code in node]
    if isinstance(node, list):
        return [_without_values(child, name) for child in node]
    if isinstance(node, dict):
        return {
            key: _without_values(child, key)
            if key not in VARYING or (key == "id" and name == "flows")
            else child and VARYING[key]
            for key, child in node.items()
        }
    return node
