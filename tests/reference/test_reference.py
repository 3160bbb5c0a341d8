"""Countersign answers as django-allauth does, but for a short list of differences."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
import pytest_asyncio

from tests.journeys.suite import InProcess, in_process
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
    Seen,
    journey,
)

ROOT = Path(__file__).parents[2]
A_WHILE = timedelta(minutes=6)  # longer than any limit holds after so few failures
VARYING = {
    "session_token": "<token>",
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


class Ours:
    """One client of Countersign, driven by the journey."""

    def __init__(self, suite: InProcess, kind: str) -> None:
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
            case Code(secret=secret, steps=steps):
                self.suite.clock.advance(steps * timedelta(seconds=30))
                return pyotp.TOTP(secret).at(self.suite.clock())
            case Forget():
                self.client.token = None
                if self._holds("sessionid"):
                    self.client.http.cookies.delete("sessionid")
            case CalmDown():
                self.suite.clock.advance(A_WHILE)
        return None

    async def ask(self, ask: Ask) -> Json:
        """Make a request, and keep what was seen of the answer."""
        before = self.client.token
        headers = {
            "User-Agent": AGENT,
            "Origin": ask.origin,
            "X-CSRFToken": ask.csrf_token,
            "X-Session-Token": ask.session_token if self.kind == "app" else None,
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
def theirs() -> dict[str, list[Seen]]:
    """What django-allauth answers to each kind of client."""
    return answers_of_the_peer("whole")


def answers_of_the_peer(journey: str) -> dict[str, list[Seen]]:
    """Return what django-allauth answers on that journey to each kind of client."""
    processes = {
        kind: subprocess.Popen(
            [sys.executable, "-m", "tests.reference.peer", kind, journey],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for kind in ("app", "browser")
    }
    answers = {}
    for kind, process in processes.items():
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        answers[kind] = [
            Seen(**{**seen, "holds": tuple(seen["holds"])}) for seen in json.loads(output)
        ]
    return answers


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
