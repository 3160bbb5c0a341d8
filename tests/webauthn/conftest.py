"""A WebAuthn service on a migrated database, with a clock that tests turn."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from services.webauthn.domain.policy import Policy, RelyingParty, Rules, Use, Verification
from services.webauthn.flows import Judgement, WebAuthnFlows
from services.webauthn.main import create_app
from services.webauthn.settings import Settings
from services.webauthn.store import Authenticator, CredentialStore, Place
from shared.auth import Caller
from shared.database import Database, Statement
from shared.database.events import OUTBOX
from shared.factor import FactorClient
from shared.http import InProcess, connect
from tests import spending
from tests.hands import Hands
from tests.signers import Signer
from tests.tables import with_tables
from tests.webauthn.authenticator import HONEST, ORIGIN, Device, Lies

RP = RelyingParty(id="example.com", name="Example", origins=frozenset({ORIGIN}))
RULES = Rules(RP)
EVENTS = Statement(select(OUTBOX).order_by(OUTBOX.c.seq))

counted = partial(spending.counted, "webauthn")
spent_since = partial(spending.spent_since, "webauthn")


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def migrated_url(database_url: str) -> Iterator[str]:
    with with_tables(database_url, "services.webauthn.migrations") as url:
        yield url


@pytest.fixture
async def db(migrated_url: str, clock: Hands) -> AsyncIterator[Database]:
    db = Database(migrated_url, source="webauthn", clock=clock)
    await db.connect()
    yield db
    await db.close()


@pytest.fixture
def store(db: Database) -> CredentialStore:
    return CredentialStore(db)


Making = Callable[..., WebAuthnFlows]


@pytest.fixture
def under(store: CredentialStore, clock: Hands) -> Making:
    """Make flows under other rules: of the policy, or `party` or `verification` as a whole."""

    def make(
        party: RelyingParty = RP,
        verification: Verification = Verification(),  # noqa: B008 frozen
        rules: Rules = RULES,
        **policy: Any,
    ) -> WebAuthnFlows:
        changed = replace(rules, party=party, verification=verification, policy=Policy(**policy))
        return WebAuthnFlows(store, clock, changed)

    return make


@pytest.fixture
def flows(under: Making) -> WebAuthnFlows:
    return under()


async def enrol(
    flows: WebAuthnFlows,
    device: Device,
    id: str = "a1",
    user: str = "ada",
    lies: Lies = HONEST,
    *,
    passwordless: bool = False,
    name: str | None = "key",
    **attesting: Any,
) -> Authenticator | None:
    """Register a credential of `device`."""
    place = Place(id, user, "s1")
    offer = await flows.begin(place, f"{user}@example.com", passwordless=passwordless)
    return await flows.complete(place, device.create(dict(offer.options), lies, **attesting), name)


async def prove(
    flows: WebAuthnFlows,
    device: Device,
    lies: Lies = HONEST,
    *,
    user: str = "ada",
    ids: tuple[str, ...] = ("a1",),
    use: Use = Use.AUTHENTICATE,
) -> Judgement:
    """Have a second factor asked for and answered."""
    offer = await flows.challenge(user, ids, "s1", use)
    return await flows.verify(user, ids, "s1", use, device.get(dict(offer.options), lies))


async def log_in(
    flows: WebAuthnFlows, device: Device, lies: Lies = HONEST, session: str = "s1"
) -> Judgement:
    """Have a login asked for and answered."""
    offer = await flows.challenge_anybody(session)
    return await flows.verify_anybody(session, device.get(dict(offer.options), lies))


async def recorded(db: Database) -> list[str]:
    """Return the last words of all events so far, with the reasons of refusals."""
    told = []
    for row in await db.all(EVENTS):
        reason = json.loads(row.data).get("reason")
        kind = row.type.removeprefix("mfa.webauthn.")
        told.append(f"{kind}: {reason}" if reason else kind)
    return told


async def last_reason(db: Database) -> str:
    """Return why the last proof was refused."""
    return (await recorded(db))[-1].rpartition(": ")[2]


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
        webauthn_database_url=migrated_url,
        caller_keys=json.dumps(public),
        webauthn_event_key=Signer("webauthn").key,
        broker_url="redis://127.0.0.1:1/0",
        public_url=ORIGIN,
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
        "http://webauthn",
        caller=Caller(session.key, clock),
        audience="webauthn",
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
    token = Caller(session.key, clock).token_for("webauthn")
    async with httpx.AsyncClient(
        base_url="http://webauthn",
        transport=httpx.ASGITransport(app),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    ) as client:
        yield client
