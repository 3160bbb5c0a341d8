"""A TOTP service on a migrated database, with a clock that tests turn."""

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx
import pytest
from fastapi import FastAPI

from services.totp.domain.codes import Policy
from services.totp.flows import TotpFlows
from services.totp.main import create_app
from services.totp.settings import Settings
from services.totp.store import PURPOSE, AuthenticatorStore
from shared.auth import Caller
from shared.cipher import Cipher, KeyRing
from shared.database import Database
from shared.factor import FactorClient
from shared.http import InProcess, connect
from tests import spending
from tests.hands import Hands
from tests.signers import Signer
from tests.tables import with_tables

RING = KeyRing(primary="k1", keys={"k1": bytes(32)})

counted = partial(spending.counted, "totp")
spent_since = partial(spending.spent_since, "totp")


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def migrated_url(database_url: str) -> Iterator[str]:
    with with_tables(database_url, "services.totp.migrations") as url:
        yield url


@pytest.fixture
async def db(migrated_url: str, clock: Hands) -> AsyncIterator[Database]:
    db = Database(migrated_url, source="totp", clock=clock)
    await db.connect()
    yield db
    await db.close()


@pytest.fixture
def store(db: Database) -> AuthenticatorStore:
    return AuthenticatorStore(db, Cipher(RING, PURPOSE))


@pytest.fixture
def flows(store: AuthenticatorStore, clock: Hands) -> TotpFlows:
    return TotpFlows(store, clock, Policy())


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
        totp_database_url=migrated_url,
        totp_sealing_keys=RING,
        caller_keys=json.dumps(public),
        totp_event_key=Signer("totp").key,
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
        "http://totp",
        caller=Caller(session.key, clock),
        audience="totp",
        transport=InProcess(app),
    )
    async with client:
        yield client


@pytest.fixture
def client(http: httpx.AsyncClient) -> FactorClient:
    return FactorClient(http)


@pytest.fixture
async def raw(app: FastAPI, session: Signer, clock: Hands) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows answers as they are, with a good credential."""
    token = Caller(session.key, clock).token_for("totp")
    async with httpx.AsyncClient(
        base_url="http://totp",
        transport=httpx.ASGITransport(app),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    ) as client:
        yield client
