"""Somebody who has the ledger's database, and changes it."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.engine import make_url

from services.audit.domain.entries import Growth, grow
from services.audit.domain.signatures import Signatures
from services.audit.domain.verification import Verdict
from services.audit.flows.verifying import Verifying
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from services.audit.store.rows import from_leaf
from shared.auth import PublicKey
from shared.cipher import Cipher
from shared.database import Database
from tests import trail
from tests.audit.signing import VERIFIER


class Tamperer:
    """Runs any SQL on a ledger, and has it verified."""

    def __init__(self, url: str, db: Database) -> None:
        self.url = url
        self.store = LedgerStore(db)
        self._checkpoints = CheckpointStore(db)
        self._people = PeopleStore(db, Cipher(trail.RING, PURPOSE))

    async def run(self, *commands: str) -> None:
        """Run commands, one after the other."""
        if make_url(self.url).drivername == "sqlite":
            with closing(sqlite3.connect(make_url(self.url).database or "", timeout=60)) as file:
                for command in commands:
                    file.execute(command)
                file.commit()
            return
        connection = await asyncpg.connect(self.url, timeout=60)
        try:
            for command in commands:
                await connection.execute(command)
        finally:
            await connection.close()

    async def rework(self) -> None:
        """Work out tree and chain anew, of what the entries are by now."""
        entries = [each for kept in await self.store.kept(0, 1000) for each in kept.entries]
        _, leaves = grow(Growth(), entries)
        await self.run("DELETE FROM leaves")
        for row in map(from_leaf, leaves):
            nodes, chain = (self._bytes(row[name]) for name in ("nodes", "chain"))
            await self.run(f"INSERT INTO leaves VALUES ({row['entry']}, {nodes}, {chain})")

    async def verdict(self, *notes: str) -> Verdict:
        """Return what the verification says, with checkpoints from elsewhere if there are any."""
        verifying = Verifying(self.store, self._checkpoints)
        return await verifying.verify([VERIFIER], notes)

    async def signed(self, keys: Mapping[str, PublicKey] = trail.PUBLIC_KEYS) -> Verdict:
        """Return the same, with the sources' own signatures checked by `keys`."""
        verifying = Verifying(self.store, self._checkpoints, self._people)
        return await verifying.verify([VERIFIER], (), Signatures(keys))

    async def found(self, *notes: str) -> Sequence[tuple[str, int, int]]:
        """Return the faults that are found: what, and from which entry to which."""
        verdict = await self.verdict(*notes)
        return [(str(fault.kind), fault.first, fault.last) for fault in verdict.faults]

    def _bytes(self, value: object) -> str:
        assert isinstance(value, bytes)
        sqlite = make_url(self.url).drivername == "sqlite"
        return f"x'{value.hex()}'" if sqlite else f"'\\x{value.hex()}'"
