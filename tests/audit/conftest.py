"""A ledger with its tables, for every test of the audit service."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from services.audit.client import AuditClient
from services.audit.flows.checkpointing import Checkpointing, Rhythm
from services.audit.flows.entering import Ledger
from services.audit.flows.forgetting import Forgetting
from services.audit.flows.reading import Reading
from services.audit.main import create_app
from services.audit.settings import Settings
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from shared.auth import Caller
from shared.cipher import Cipher
from shared.clock import utc_now
from shared.database import Database
from shared.http import connect
from tests import trail
from tests.audit.callers import CALLER_KEYS, OPERATOR
from tests.audit.signing import CHECKPOINT_KEY, ORIGIN
from tests.tables import with_tables


@pytest.fixture
def ledger_url(database_url: str) -> Iterator[str]:
    """A database with the ledger's tables."""
    with with_tables(database_url, "services.audit.migrations") as url:
        yield url


@pytest.fixture
async def db(ledger_url: str) -> AsyncIterator[Database]:
    """The ledger's database."""
    db = Database(ledger_url, source="audit")
    await db.connect()
    yield db
    await db.close()


@pytest.fixture
def store(db: Database) -> LedgerStore:
    """An empty ledger."""
    return LedgerStore(db)


@pytest.fixture
def people(db: Database) -> PeopleStore:
    """The keys of people, of whom there are none."""
    return PeopleStore(db, Cipher(trail.RING, PURPOSE))


@pytest.fixture
def ledger(store: LedgerStore, people: PeopleStore) -> Ledger:
    """The flow that writes it."""
    return Ledger(store, people, utc_now)


@pytest.fixture
async def reading(store: LedgerStore, people: PeopleStore) -> AsyncIterator[Reading]:
    """The flow that shows it."""
    reading = Reading(store, people)
    yield reading
    await reading.close()


@pytest.fixture
def forgetting(people: PeopleStore) -> Forgetting:
    """The flow that has people forgotten."""
    return Forgetting(people, utc_now)


@pytest.fixture
def checkpoints(db: Database) -> CheckpointStore:
    """Where checkpoints are kept."""
    return CheckpointStore(db)


@pytest.fixture
def checkpointing(store: LedgerStore, checkpoints: CheckpointStore) -> Checkpointing:
    """The flow that signs as soon as there is an entry more."""
    return Checkpointing(
        store,
        checkpoints,
        utc_now,
        origin=ORIGIN,
        key=CHECKPOINT_KEY,
        rhythm=Rhythm(1, timedelta(minutes=1)),
    )


@pytest.fixture
async def app(ledger_url: str) -> AsyncIterator[FastAPI]:
    """The ledger as others call it."""
    settings = Settings(
        audit_database_url=ledger_url,
        broker_url="amqp://127.0.0.1:1//",
        event_keys=trail.PUBLIC_KEYS,
        caller_keys=CALLER_KEYS,
        audit_sealing_keys=trail.RING,
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
