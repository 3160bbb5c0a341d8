"""Proves that an entry is in the ledger, and that the ledger has only grown."""

from services.audit.domain.coverage import Coverage
from services.audit.domain.merkle import consistency_path, inclusion_path, nodes_of
from services.audit.domain.proofs import Consistency, Inclusion, hashes
from services.audit.domain.verification import Kept
from services.audit.store.checkpoints import CheckpointStore, Record
from services.audit.store.ledger import LedgerStore
from shared.errors import NotFound


class Proving:
    """Answers by what is kept of the tree: a few rows for each proof, however large it is."""

    def __init__(self, store: LedgerStore, checkpoints: CheckpointStore) -> None:
        self._store = store
        self._checkpoints = checkpoints

    async def checkpoint(self) -> Record:
        """Return the newest checkpoint. Raises NotFound while there is none."""
        record = await self._checkpoints.newest()
        if record is None:
            raise NotFound("No checkpoint has been signed so far.", code="no_checkpoint")
        return record

    async def checkpoints(self, after: int, limit: int) -> list[Record]:
        """Return checkpoints of more than `after` entries, in order."""
        return await self._checkpoints.after(after, limit)

    async def inclusion(self, number: int, size: int | None) -> Inclusion:
        """Prove that an entry is in the tree of a checkpoint.

        That is the checkpoint of exactly `size` entries, or else the first with the entry. Raises
        NotFound if there is no such entry or checkpoint.
        """
        record = await self._checkpoints.covering(number if size is None else size)
        if record is None or record.size < number or size not in (None, record.size):
            raise NotFound("No checkpoint of that size has the entry.", code="no_checkpoint")
        entries = await self._store.after(number - 1, 1, last=number)
        if not entries:
            raise NotFound("There is no such entry.")
        path = inclusion_path(number - 1, record.size)
        found = hashes(path, await self._store.nodes(nodes_of(path)))
        return Inclusion(entries[0], record.size, found, record.note)

    async def consistency(self, first: int, second: int) -> Consistency:
        """Prove that the first `first` of `second` entries are still the same.

        Raises NotFound if there are not as many.
        """
        if not 0 < first <= second or second > await self._store.head():
            raise NotFound("There are not as many entries.")
        path = consistency_path(first, second)
        return Consistency(first, second, hashes(path, await self._store.nodes(nodes_of(path))))

    async def last(self) -> int:
        """Return the highest number under which anything is kept."""
        return await self._store.last()

    async def kept(self, after: int, limit: int) -> list[Kept]:
        """Return entries as they are kept, sealed, with their leaves: what is to be verified."""
        return await self._store.kept(after, limit)

    async def coverage(self) -> list[Coverage]:
        """Return how complete the events of each source are."""
        return await self._store.coverage()
