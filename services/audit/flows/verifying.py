"""Verifies the whole ledger, on its database."""

from collections.abc import Iterable, Sequence

from services.audit.domain.checkpoint import Verifier
from services.audit.domain.entries import Entry
from services.audit.domain.sealing import NOBODY
from services.audit.domain.signatures import Signatures
from services.audit.domain.verification import Kept, Opened, Verdict, Verification, as_kept
from services.audit.flows.sealing import Seals
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PeopleStore

AT_ONCE = 1000  # entries
NONE = ""  # what no source has signed


class Verifying:
    """Reads all there is, and believes nothing of it but what was signed."""

    def __init__(
        self,
        store: LedgerStore,
        checkpoints: CheckpointStore,
        people: PeopleStore | None = None,
    ) -> None:
        """Without `people`, nothing that is sealed is opened."""
        self._store = store
        self._checkpoints = checkpoints
        self._people = people

    async def verify(
        self,
        verifiers: Sequence[Verifier],
        notes: Iterable[str] = (),
        signatures: Signatures | None = None,
    ) -> Verdict:
        """Hold the ledger against its own checkpoints and against `notes` from elsewhere.

        Where there are `signatures`, each event is also held against what its source has signed.
        What is entered meanwhile is left out.
        """
        verification = Verification(verifiers, signatures=signatures)
        verification.add_notes(notes)
        size = 0
        while records := await self._checkpoints.after(size, AT_ONCE):
            for record in records:
                verification.add_record(record.size, record.root, record.note)
            size = records[-1].size
        last = await self._store.last()
        for after in range(0, last, AT_ONCE):
            page = await self._store.kept(after, min(AT_ONCE, last - after))
            opened = as_kept if signatures is None else await self._opening(page)
            if not verification.take(page, opened):
                break
        return verification.verdict()

    async def _opening(self, page: Sequence[Kept]) -> Opened:
        """Return what opens the events of a page, with the keys that there are."""
        if self._people is None:
            return as_kept
        entries = [entry for kept in page for entry in kept.entries]
        seals = Seals(await self._people.readable(sorted({e.subject or NOBODY for e in entries})))

        def opened(entry: Entry) -> str | None:
            try:
                shown = seals.shown(entry)
            except (AttributeError, KeyError, TypeError, ValueError):
                return NONE  # what was sealed does not fit to the rest
            return None if shown.redacted else shown.text

        return opened
