"""A recovery service on a migrated database, with a clock that tests turn."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from services.recovery.domain import codes, trust
from services.recovery.flows import CodeFlows, TrustFlows
from services.recovery.main import create_app
from services.recovery.settings import Settings
from services.recovery.store import BrowserStore, CodeStore
from shared.auth import Caller
from shared.cipher import KeyRing
from shared.code_form import CodeForm
from shared.database import Database, Statement
from shared.database.events import OUTBOX
from shared.factor import FactorClient
from shared.http import InProcess, connect
from shared.trust import TrustClient
from tests import spending
from tests.hands import Hands
from tests.signers import Signer
from tests.tables import with_tables

RING = KeyRing(primary="k1", keys={"k1": bytes(32)})
DIGITS = CodeForm.parse("digits:8")

EVENTS = Statement(select(OUTBOX.c.type).order_by(OUTBOX.c.seq))

counted = partial(spending.counted, "recovery")
spent_since = partial(spending.spent_since, "recovery")


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def migrated_url(database_url: str) -> Iterator[str]:
    with with_tables(database_url, "services.recovery.migrations") as url:
        yield url


@pytest.fixture
async def db(migrated_url: str, clock: Hands) -> AsyncIterator[Database]:
    db = Database(migrated_url, source="recovery", clock=clock)
    await db.connect()
    yield db
    await db.close()


def code_flows(
    db: Database,
    clock: Hands,
    *,
    ring: KeyRing = RING,
    form: CodeForm = DIGITS,
    count: int = 10,
    show_once: bool = False,
    warn_at: int = 3,
    confirm: bool = False,
) -> CodeFlows:
    """Return the flows about codes as they are with these settings."""
    policy = codes.Policy(form, count, show_once, warn_at, confirm)
    return CodeFlows(CodeStore(db, ring), clock, policy)


def trust_flows(
    db: Database,
    clock: Hands,
    *,
    ring: KeyRing = RING,
    age: timedelta = timedelta(days=14),
    max_browsers: int = 10,
) -> TrustFlows:
    """Return the flows about trust as they are with these settings."""
    return TrustFlows(BrowserStore(db, ring), clock, trust.Policy(age, max_browsers))


@pytest.fixture
def flows(db: Database, clock: Hands) -> CodeFlows:
    return code_flows(db, clock)


@pytest.fixture
def browsers(db: Database, clock: Hands) -> TrustFlows:
    return trust_flows(db, clock)


@pytest.fixture
def session() -> Signer:
    return Signer("session")


@pytest.fixture
def audit() -> Signer:
    return Signer("audit")


@pytest.fixture
def settings(migrated_url: str, session: Signer, audit: Signer) -> Settings:
    public = {signer.key.id: signer.public for signer in (session, audit)}
    return Settings(
        recovery_database_url=migrated_url,
        recovery_sealing_keys=RING,
        caller_keys=json.dumps(public),
        recovery_event_key=Signer("recovery").key,
        broker_url="redis://127.0.0.1:1/0",
    )


@pytest.fixture
async def app(settings: Settings, clock: Hands) -> AsyncIterator[FastAPI]:
    app = create_app(settings, clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def http(app: FastAPI, session: Signer, clock: Hands) -> AsyncIterator[httpx.AsyncClient]:
    """The client that session has: errors are raised, the credential is added."""
    client = connect(
        "http://recovery",
        caller=Caller(session.key, clock),
        audience="recovery",
        transport=InProcess(app),
    )
    async with client:
        yield client


@pytest.fixture
def factor(http: httpx.AsyncClient) -> FactorClient:
    return FactorClient(http)


@pytest.fixture
def keeper(http: httpx.AsyncClient) -> TrustClient:
    return TrustClient(http)


@pytest.fixture
async def raw(app: FastAPI, session: Signer, clock: Hands) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows answers as they are, with a good credential."""
    token = Caller(session.key, clock).token_for("recovery")
    async with httpx.AsyncClient(
        base_url="http://recovery",
        transport=httpx.ASGITransport(app),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    ) as client:
        yield client


async def recorded(db: Database) -> list[str]:
    """Return what has been recorded, without the common head."""
    return [row.type.removeprefix("mfa.recovery.") for row in await db.all(EVENTS)]
