"""A ledger with its tables, for every test of the audit service."""

from collections.abc import AsyncIterator

import pytest

from services.audit.flows import Ledger
from services.audit.store import LedgerStore
from shared.clock import utc_now
from shared.database import Database
from shared.migrations import migrate


@pytest.fixture
def ledger_url(database_url: str) -> str:
    """A database with the ledger's tables."""
    migrate(database_url, "services.audit.migrations")
    return database_url


@pytest.fixture
async def store(ledger_url: str) -> AsyncIterator[LedgerStore]:
    """An empty ledger."""
    db = Database(ledger_url, source="audit")
    await db.connect()
    yield LedgerStore(db)
    await db.close()


@pytest.fixture
def ledger(store: LedgerStore) -> Ledger:
    """The flow that writes it."""
    return Ledger(store, utc_now)
