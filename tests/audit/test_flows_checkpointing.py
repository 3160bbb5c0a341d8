"""Where the ledger stands is signed in time, and written where its own tables are not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.domain.checkpoint import Verifier, notes_in, read
from services.audit.flows.checkpointing import Checkpointing, Inconsistent, Rhythm
from services.audit.flows.entering import Ledger
from services.audit.gateway.places import FilePlace, HttpPlace, Place
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from shared.errors import Unavailable
from tests.audit.facts import fact
from tests.audit.signing import CHECKPOINT_KEY, ORIGIN, VERIFIER
from tests.hands import Hands
from tests.trail import eventually

Make = Callable[..., Checkpointing]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def make(store: LedgerStore, checkpoints: CheckpointStore, hands: Hands) -> Make:
    """Return what makes the flow: after three entries or a minute, unless told otherwise."""

    def make(*places: Place, events: int = 3, **changes: object) -> Checkpointing:
        values: dict[str, object] = {
            "origin": ORIGIN,
            "key": CHECKPOINT_KEY,
            "rhythm": Rhythm(events, timedelta(minutes=1)),
            "places": places,
        }
        return Checkpointing(store, checkpoints, hands, **{**values, **changes})  # type: ignore[arg-type]

    return make


async def test_a_checkpoint_is_signed_after_so_many_entries(
    ledger: Ledger, store: LedgerStore, make: Make
) -> None:
    checkpointing = make()
    await ledger.enter([fact(1), fact(2)])
    assert await checkpointing.make_due() is None

    await ledger.enter([fact(3), fact(4)])
    signed = await checkpointing.make_due()

    assert signed is not None
    assert (signed.size, signed.root) == (4, (await store.standing(4)).growth.frontier.root)
    assert await checkpointing.make_due() is None


async def test_no_entry_waits_longer_than_was_set(ledger: Ledger, make: Make, hands: Hands) -> None:
    checkpointing = make()
    await ledger.enter([fact(1)])
    assert await checkpointing.make_due() is None

    hands.turn(seconds=59)
    assert await checkpointing.make_due() is None
    hands.turn(seconds=1)
    signed = await checkpointing.make_due()

    assert signed is not None
    assert signed.size == 1


async def test_while_nothing_comes_nothing_is_signed(make: Make, hands: Hands) -> None:
    checkpointing = make()
    hands.turn(days=1)

    assert await checkpointing.make_due() is None


async def test_a_key_that_was_changed_goes_on_where_the_old_one_is_believed(
    ledger: Ledger, make: Make
) -> None:
    await ledger.enter([fact(1)])
    await make(events=1).make_due()
    await ledger.enter([fact(2)])
    key = Ed25519PrivateKey.generate()

    with pytest.raises(Inconsistent):
        await make(events=1, key=key).make_due()
    signed = await make(events=1, key=key, verifiers=[VERIFIER]).make_due()

    assert signed is not None
    assert signed.size == 2


async def test_checkpoints_are_added_to_a_file_once_each(
    ledger: Ledger, make: Make, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints"
    checkpointing = make(FilePlace(path), events=1)
    for number in (1, 2, 3):
        await ledger.enter([fact(number)])
        await checkpointing.make_due()
        await checkpointing.deliver()
        await checkpointing.deliver()

    found = [read(note, [VERIFIER]) for note in notes_in(path.read_text())]
    assert [getattr(checkpoint, "size", None) for checkpoint in found] == [1, 2, 3]
    assert path.stat().st_mode & 0o077 == 0


async def test_a_file_that_cannot_be_written_gets_all_later(
    ledger: Ledger, make: Make, tmp_path: Path
) -> None:
    path = tmp_path / "away" / "checkpoints"
    checkpointing = make(FilePlace(path), events=1)
    for number in (1, 2):
        await ledger.enter([fact(number)])
        await checkpointing.make_due()
        with pytest.raises(OSError, match="No such file"):
            await checkpointing.deliver()

    path.parent.mkdir()
    await checkpointing.deliver()

    assert len(list(notes_in(path.read_text()))) == 2


async def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.symlink_to("/dev/full")

    with pytest.raises(OSError, match="No space left"):
        await FilePlace(path).write("note")


async def test_checkpoints_are_posted_until_they_are_taken(ledger: Ledger, make: Make) -> None:
    answers, taken = [500, 404, 201], []

    async def witness(request: httpx.Request) -> httpx.Response:
        status = answers.pop(0)
        if status == 201:
            taken.append((request.headers["content-type"], request.content.decode()))
        return httpx.Response(status)

    place = HttpPlace("https://witness.example.org/log", httpx.MockTransport(witness))
    checkpointing = make(place, events=1)
    await ledger.enter([fact(1)])
    await checkpointing.make_due()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await checkpointing.deliver()
    await checkpointing.deliver()
    await checkpointing.deliver()

    ((content_type, note),) = taken
    assert content_type == "text/plain; charset=utf-8"
    assert getattr(read(note, [VERIFIER]), "size", None) == 1


async def test_an_endpoint_that_does_not_answer_is_no_more_than_away(unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable):
        await HttpPlace(f"http://127.0.0.1:{unused_tcp_port}/").write("note")


def test_no_password_is_in_the_name_of_a_place() -> None:
    """D4: names of places are in logs and metrics."""
    assert HttpPlace("https://u:secret@example.org/log?t=secret").name == "http example.org/log"


async def test_one_place_that_is_away_keeps_no_other_waiting(
    ledger: Ledger, make: Make, tmp_path: Path
) -> None:
    away, there = tmp_path / "away" / "file", tmp_path / "there"
    await ledger.enter([fact(1)])
    running = asyncio.create_task(make(FilePlace(away), FilePlace(there), events=1).run())

    await eventually(_exists(there))
    away.parent.mkdir()
    await eventually(_exists(away))
    running.cancel()

    assert away.read_text() == there.read_text()


async def test_of_two_workers_one_signs(
    ledger: Ledger, make: Make, tmp_path: Path, checkpoints: CheckpointStore
) -> None:
    path = tmp_path / "checkpoints"
    running = [asyncio.create_task(make(FilePlace(path), events=1).run()) for _ in range(2)]
    await ledger.enter([fact(1)])

    await eventually(_exists(path))
    for task in running:
        task.cancel()
    await asyncio.wait(running)

    assert len(await checkpoints.after(0, 10)) == len(list(notes_in(path.read_text()))) == 1


def _exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return await asyncio.to_thread(lambda: path.exists() and path.stat().st_size > 0)

    return condition


def test_the_name_of_a_ledger_is_in_its_key() -> None:
    other = Verifier("other", CHECKPOINT_KEY.public_key())

    assert other.key_id != VERIFIER.key_id
