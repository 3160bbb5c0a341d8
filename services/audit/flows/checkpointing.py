"""Signs where the ledger stands, and has that written where its own tables are not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import Counter, Gauge

from services.audit.domain.checkpoint import Checkpoint, NoteFlaw, Verifier, read, sign
from services.audit.domain.merkle import EMPTY, complete_nodes, folded
from services.audit.gateway.places import Place
from services.audit.store.checkpoints import CheckpointStore, Record
from services.audit.store.ledger import Damaged, LedgerStore
from shared.clock import Clock
from shared.errors import CountersignError, Unavailable

LOOK_AGAIN = 1.0  # seconds
STANDBY = 5.0  # seconds until a worker that is not the one who signs tries again
AT_ONCE = 100  # checkpoints

log = structlog.stdlib.get_logger(__name__)

SIZE = Gauge("countersign_checkpoint_entries", "Entries that the newest checkpoint is of.")
AGE = Gauge("countersign_checkpoint_age_seconds", "Age of the oldest entry without a checkpoint.")
REFUSED = Counter(
    "countersign_checkpoint_refused_total",
    "Times that no checkpoint was signed: the ledger does not go on from the last one.",
)
WAITING = Gauge(
    "countersign_checkpoint_waiting", "Checkpoints that a place has not got yet.", ["place"]
)


class Inconsistent(CountersignError):
    """The ledger is not what the last checkpoint was signed for; so no other is."""

    code = "inconsistent"


@dataclass(frozen=True)
class Rhythm:
    """After how many entries a checkpoint is signed, and after how long at the latest."""

    events: int
    interval: timedelta


class Checkpointing:
    """Makes checkpoints. Of the workers on one ledger, one does and the others stand by."""

    def __init__(
        self,
        store: LedgerStore,
        checkpoints: CheckpointStore,
        clock: Clock,
        *,
        origin: str,
        key: Ed25519PrivateKey,
        rhythm: Rhythm,
        verifiers: Sequence[Verifier] = (),
        places: Sequence[Place] = (),
    ) -> None:
        """Sign with `key`; `verifiers` are those of before, by which checkpoints count as well."""
        self._store = store
        self._checkpoints = checkpoints
        self._clock = clock
        self._origin = origin
        self._key = key
        self._rhythm = rhythm
        self._verifiers = [Verifier(origin, key.public_key()), *verifiers]
        self._places = places
        self._seen_at: datetime | None = None  # when the oldest entry without one was seen

    async def run(self) -> None:
        """Sign and send until cancelled, or until the database fails."""
        while True:
            async with self._checkpoints.alone() as alone:
                while alone:
                    await self.make_due()
                    for place in self._places:
                        await self._send(place)
                    await asyncio.sleep(LOOK_AGAIN)
            await asyncio.sleep(STANDBY)

    async def make_due(self) -> Checkpoint | None:
        """Sign a checkpoint if one is due, and return it.

        Raises Inconsistent if the ledger does not go on from the last one: then nobody should
        believe that this one is of the same.
        """
        last = await self._checkpoints.newest()
        head = await self._store.head()
        signed = 0 if last is None else last.size
        SIZE.set(signed)
        if head == signed or not self._is_due(head - signed):
            return None
        await self._check(last)
        checkpoint = Checkpoint(self._origin, head, await self._root(head))
        await self._checkpoints.add(checkpoint, sign(checkpoint, self._key), self._clock())
        SIZE.set(head)
        return checkpoint

    async def deliver(self) -> None:
        """Write to every place what it has not got. Raises what a place raises."""
        for place in self._places:
            await self._deliver(place)

    def _is_due(self, entries: int) -> bool:
        if entries <= 0:
            return entries < 0  # somebody has cut the ledger: `_check` says so
        now = self._clock()
        self._seen_at = self._seen_at or now
        age = now - self._seen_at
        AGE.set(age.total_seconds())
        due = entries >= self._rhythm.events or age >= self._rhythm.interval
        if due:
            self._seen_at = None
            AGE.set(0)
        return due

    async def _check(self, last: Record | None) -> None:
        if last is None:
            return
        found = read(last.note, self._verifiers)
        if isinstance(found, NoteFlaw):
            REFUSED.inc()
            raise Inconsistent(f"The checkpoint of {last.size} entries is not ours: {found}.")
        try:
            agrees = found.root == await self._root(found.size)
        except Damaged:
            agrees = False
        if not agrees:
            REFUSED.inc()
            raise Inconsistent(f"The ledger is not the one whose {found.size} entries were signed.")

    async def _root(self, size: int) -> bytes:
        nodes = list(complete_nodes((0, size)))
        found = await self._store.nodes(nodes)
        return folded([found[node] for node in nodes]) if size else EMPTY

    async def _send(self, place: Place) -> None:
        """Deliver what waits, and let a place that is away keep nobody up."""
        try:
            await self._deliver(place)
        except (Unavailable, OSError) as error:
            log.warning("checkpoint_waits", place=place.name, reason=str(error))

    async def _deliver(self, place: Place) -> None:
        while waiting := await self._checkpoints.undelivered(place.name, AT_ONCE):
            WAITING.labels(place.name).set(len(waiting))
            for record in waiting:
                await place.write(record.note)
                await self._checkpoints.delivered(place.name, record.size)
        WAITING.labels(place.name).set(0)
