"""What the ledger proves is checked with code that has nothing of ours, as others would."""

import ast
import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.audit.flows.checkpointing import Checkpointing
from services.audit.flows.entering import Ledger
from services.audit.flows.forgetting import Forgetting
from tests.audit import independent
from tests.audit.callers import OPERATOR, bearer
from tests.audit.facts import fact
from tests.audit.signing import ORIGIN, VERIFIER

COUNT = 11


@pytest.fixture
async def signed(ledger: Ledger, checkpointing: Checkpointing) -> None:
    """A ledger of eleven entries, signed after the fifth and after the last."""
    await ledger.enter([fact(number) for number in range(1, 6)])
    await checkpointing.make_due()
    await ledger.enter([fact(number) for number in range(6, COUNT + 1)])
    await checkpointing.make_due()


async def get(http: httpx.AsyncClient, path: str) -> Any:
    answer = await http.get(path, headers=bearer(OPERATOR))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_independent_check_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(independent.__file__).read_text())
    modules = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }

    assert modules == {"base64", "cryptography", "hashlib"}


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize("number", range(1, COUNT + 1))
async def test_every_entry_is_in_the_tree_that_was_signed(
    http: httpx.AsyncClient, number: int
) -> None:
    """Section 3, audit: with the answer alone, the key of the ledger, and RFC 9162."""
    proof = await get(http, f"/v1/entries/{number}/proof")

    checkpoint = independent.opened(proof["checkpoint"], VERIFIER.text)
    assert checkpoint is not None
    origin, size, root = checkpoint
    path = [b64decode(found) for found in proof["hashes"]]
    leaf = json.loads(proof["leaf"])
    assert (origin, size) == (ORIGIN, proof["size"])
    assert size == (5 if number <= 5 else COUNT)
    assert independent.is_included(proof["leaf"].encode(), number - 1, size, path, root)
    assert sha256(proof["event"].encode()).hexdigest() == leaf["event"]
    assert (leaf["entry"], leaf["id"]) == (number, f"event-{number}")
    assert json.loads(proof["event"])["id"] == leaf["id"]


@pytest.mark.usefixtures("signed")
async def test_the_independent_check_believes_nothing_else(http: httpx.AsyncClient) -> None:
    """Neither another leaf, place, hash or root, nor a checkpoint that was altered."""
    proof = await get(http, "/v1/entries/7/proof")
    path, leaf = [b64decode(found) for found in proof["hashes"]], proof["leaf"].encode()
    checkpoint = independent.opened(proof["checkpoint"], VERIFIER.text)
    assert checkpoint is not None
    root = checkpoint[2]
    odd = bytes(32)

    assert independent.is_included(leaf, 6, COUNT, path, root)
    assert not independent.is_included(leaf.replace(b"ada", b"eve") + b" ", 6, COUNT, path, root)
    assert not independent.is_included(leaf, 5, COUNT, path, root)
    assert not independent.is_included(leaf, 6, COUNT, [odd, *path[1:]], root)
    assert not independent.is_included(leaf, 6, COUNT, path[:-1], root)
    assert not independent.is_included(leaf, 6, COUNT, path, odd)
    altered = proof["checkpoint"].replace(f"\n{COUNT}\n", f"\n{COUNT + 1}\n")
    assert altered != proof["checkpoint"]
    assert independent.opened(altered, VERIFIER.text) is None


@pytest.mark.usefixtures("signed")
async def test_an_old_entry_is_in_the_newest_tree_too(http: httpx.AsyncClient) -> None:
    proof = await get(http, f"/v1/entries/2/proof?size={COUNT}")

    checkpoint = independent.opened(proof["checkpoint"], VERIFIER.text)
    assert checkpoint is not None
    path = [b64decode(found) for found in proof["hashes"]]
    assert independent.is_included(proof["leaf"].encode(), 1, COUNT, path, checkpoint[2])


@pytest.mark.usefixtures("signed")
async def test_what_was_signed_later_begins_with_what_was_signed_before(
    http: httpx.AsyncClient,
) -> None:
    """Section 3, audit: nobody who has both checkpoints has to have the entries."""
    notes = [found["note"] for found in (await get(http, "/v1/checkpoints"))["checkpoints"]]
    first, second = (independent.opened(note, VERIFIER.text) for note in notes)
    assert first is not None
    assert second is not None

    proof = await get(http, f"/v1/consistency?first={first[1]}&second={second[1]}")

    path = [b64decode(found) for found in proof["hashes"]]
    assert independent.is_consistent(first[1], second[1], path, first[2], second[2])
    assert not independent.is_consistent(first[1], second[1], path, bytes(32), second[2])
    assert not independent.is_consistent(first[1], second[1], path, first[2], bytes(32))
    assert not independent.is_consistent(first[1], second[1], path[:-1], first[2], second[2])
    newest = await http.get("/v1/checkpoint", headers=bearer(OPERATOR))
    assert newest.text == notes[-1]


@pytest.mark.usefixtures("signed")
async def test_a_proof_holds_when_the_person_is_forgotten(
    http: httpx.AsyncClient, forgetting: Forgetting
) -> None:
    before = await get(http, "/v1/entries/3/proof")

    await forgetting.forget("ada", by="session")

    assert await get(http, "/v1/entries/3/proof") == before


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/entries/12/proof", "no_checkpoint"),
        ("/v1/entries/7/proof?size=5", "no_checkpoint"),
        ("/v1/entries/3/proof?size=6", "no_checkpoint"),
        ("/v1/consistency?first=5&second=12", "not_found"),
        ("/v1/consistency?first=5&second=4", "not_found"),
    ],
)
async def test_what_is_not_there_is_not_proved(
    http: httpx.AsyncClient, path: str, code: str
) -> None:
    answer = await http.get(path, headers=bearer(OPERATOR))

    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/entries/0/proof",
        "/v1/entries/x/proof",
        f"/v1/entries/{2**63}/proof",
        "/v1/entries/1/proof?size=0",
        "/v1/consistency?first=0&second=1",
        "/v1/consistency?first=1",
        "/v1/checkpoints?after=-1",
        "/v1/checkpoints?limit=1001",
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, path: str
) -> None:
    """D7: input is bounded."""
    assert (await http.get(path, headers=bearer(OPERATOR))).status_code == 400


async def test_while_nothing_is_signed_there_is_no_checkpoint(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/checkpoint", headers=bearer(OPERATOR))

    assert (answer.status_code, answer.json()["code"]) == (404, "no_checkpoint")


async def test_it_is_told_what_is_missing_of_each_source(
    http: httpx.AsyncClient, ledger: Ledger
) -> None:
    """D5: a gap in the numbers of a source is a loss."""
    await ledger.enter([fact(2), fact(5)])
    await ledger.enter([fact(1), fact(1, id="event-x")])

    (source,) = (await get(http, "/v1/sources"))["sources"]

    assert source == {
        "source": "demo",
        "last": 5,
        "missing": 2,
        "gaps": [[3, 4]],
        "repeated": 1,
    }
