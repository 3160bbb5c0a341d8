"""django-allauth, driven through each journey once in a run."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from tests.journeys.suite import InProcess, in_process
from tests.reference.journey import Seen

ROOT = Path(__file__).parents[2]
KINDS = ("app", "browser")
SETTLED = {"PYTHONHASHSEED": "0"}
"""What is in no order there, such as the methods of login, is in the same one every time."""

Peer = Callable[[str], dict[str, list[Seen]]]


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """Return what tells what django-allauth answers on a journey to each kind of client.

    Whichever process asks first has it driven, and the others wait for that and read.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "peer"
    folder.mkdir(exist_ok=True)

    @cache
    def answers(journey: str) -> dict[str, list[Seen]]:
        kept = folder / f"{journey}.json"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_text(_driven(journey))
        return {kind: [_seen(answer) for answer in seen] for kind, seen in _read(kept).items()}

    return answers


class Way(Protocol):
    """A journey, of which only what is set on it matters here."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of session, recovery and webauthn that differ from their defaults."""


@pytest_asyncio.fixture
async def suite(tmp_path: Path, way: Way) -> AsyncIterator[InProcess]:
    """A suite in this process, as it is set on one of the journeys."""
    async with in_process(tmp_path, **way.settings) as running:
        yield running


def _driven(journey: str) -> str:
    """Return, as JSON, what is answered on that journey to each kind of client."""
    processes = {
        kind: subprocess.Popen(
            [sys.executable, "-m", "tests.reference.peer", kind, journey],
            cwd=ROOT,
            env={**os.environ, **SETTLED},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for kind in KINDS
    }
    answers = {}
    for kind, process in processes.items():
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        answers[kind] = json.loads(output)
    return json.dumps(answers)


def _read(kept: Path) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(kept.read_text())
    return found


def _seen(answer: dict[str, object]) -> Seen:
    holds = answer["holds"]
    assert isinstance(holds, list)
    return Seen(**{**answer, "holds": tuple(holds)})  # type: ignore[arg-type]
