"""A ledger with its tables, for every test of the audit service."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from services.audit.client import AuditClient
from services.audit.flows import Ledger
from services.audit.main import create_app
from services.audit.settings import Settings
from services.audit.store import LedgerStore
from shared.auth import Caller
from shared.clock import utc_now
from shared.database import Database
from shared.http import connect
from tests import trail
from tests.audit.callers import CALLER_KEYS, OPERATOR
from tests.tables import with_tables


@pytest.fixture
def ledger_url(database_url: str) -> Iterator[str]:
    """A database with the ledger's tables."""
    with with_tables(database_url, "services.audit.migrations") as url:
        yield url


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


@pytest.fixture
async def app(ledger_url: str) -> AsyncIterator[FastAPI]:
    """The ledger as others call it."""
    settings = Settings(
        audit_database_url=ledger_url,
        broker_url="amqp://127.0.0.1:1//",
        event_keys=trail.PUBLIC_KEYS,
        caller_keys=CALLER_KEYS,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a credential."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://audit"
    ) as client:
        yield client


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AuditClient]:
    """The operator's client."""
    async with connect(
        "http://audit",
        caller=Caller(OPERATOR),
        audience="audit",
        transport=httpx.ASGITransport(app),
        timeout=timedelta(seconds=30),
    ) as http:
        yield AuditClient(http)
