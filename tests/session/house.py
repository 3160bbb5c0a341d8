"""The session service and the real factors in one process, with a clock that tests turn."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import httpx
import pyotp
from fastapi import FastAPI
from sqlalchemy import bindparam, select, update

from services.recovery.main import create_app as create_recovery
from services.recovery.settings import Settings as RecoverySettings
from services.session.domain.identifiers import by_address, by_username
from services.session.domain.limits import Limits
from services.session.domain.mails import Mail, MailKind
from services.session.domain.reports import REPORTED
from services.session.domain.sessions import Client
from services.session.flows import (
    Flows,
    PasswordHasher,
    Policy,
    Sweeps,
    build_flows,
    build_mails,
    build_reports,
    build_sweeps,
)
from services.session.flows.outcomes import (
    Codes,
    Enrolled,
    NotEnrolled,
    Outcome,
    Standing,
    Visit,
)
from services.session.flows.signup import Applicant
from services.session.store import Store
from services.session.store.tables import outbox, sessions, users
from services.session.worker import entering
from services.totp.main import create_app as create_totp
from services.totp.settings import Settings as TotpSettings
from services.webauthn.main import create_app as create_webauthn
from services.webauthn.settings import Settings as WebAuthnSettings
from shared.auth import Caller
from shared.bus.wire import Received, to_cloudevent
from shared.cipher import KeyRing
from shared.clock import from_micros
from shared.database import Change, Database, Row, Statement, Step, step
from shared.database.events import OUTBOX
from shared.errors import Unavailable
from shared.event import Event
from shared.factor import FactorClient
from shared.http import connect
from tests import spending
from tests.hands import Hands
from tests.leftovers import none_left
from tests.signers import Signer
from tests.webauthn.authenticator import ORIGIN

RING = KeyRing(primary="k1", keys={"k1": bytes(range(32))})
PASSWORD = "correct-horse-9"
ADA = "ada@example.org"
HOME = "192.0.2.1"

SERVICES = ("session", "totp", "recovery", "webauthn")
Urls = tuple[str, str, str, str]

CHANGE_USER = {
    name: Statement(update(users).values({name: bindparam("value", type_=users.c[name].type)}))
    for name in ("factor_epoch", "session_epoch", "disabled_at", "mfa_rests_until")
}


ANSWERS = (
    MailKind.VERIFICATION_CODE,
    MailKind.VERIFICATION_LINK,
    MailKind.LOGIN_CODE,
    MailKind.PASSWORD_RESET_CODE,
    MailKind.PASSWORD_RESET_LINK,
    MailKind.ACCOUNT_EXISTS,
    MailKind.ADDRESS_TAKEN,
    MailKind.UNKNOWN_ACCOUNT,
)


class Cut(StrEnum):
    """Where a wire is cut."""

    BEFORE = "before the request arrives"
    AFTER = "before the answer arrives"


class Wire(httpx.AsyncBaseTransport):
    """Carries requests to an app; the next of a kind can be cut off, or held up."""

    def __init__(self, app: FastAPI) -> None:
        self._inner = httpx.ASGITransport(app)
        self._cuts: list[tuple[str, str, Cut]] = []
        self._holds: list[tuple[str, str, Held]] = []
        self.requests: list[str] = []

    def break_down(self) -> None:
        """Break every request from now on."""
        self._cuts = [(m, "", Cut.BEFORE) for m in ("GET", "POST", "PUT", "PATCH", "DELETE")] * 100

    def restore(self) -> None:
        """Mend everything."""
        self._cuts = []

    def hold(self, method: str, part: str, where: Cut) -> "Held":
        """Hold up the next request of that method to a path with `part` in it."""
        held = Held(where)
        self._holds.append((method, part, held))
        return held

    def cut(self, method: str, part: str, where: Cut) -> None:
        """Break the next request of that method to a path with `part` in it."""
        self._cuts.append((method, part, where))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        for planned in self._cuts:
            method, part, where = planned
            if request.method == method and part in request.url.path:
                self._cuts.remove(planned)
                if where is Cut.AFTER:
                    await self._inner.handle_async_request(request)
                raise httpx.ConnectError("cut", request=request)
        for hold in self._holds:
            method, part, held = hold
            if request.method == method and part in request.url.path:
                self._holds.remove(hold)
                return await held.carry(self._inner, request)
        return await self._inner.handle_async_request(request)


class Held:
    """A request on its way: `arrived` is set when it is held up, `go_on` lets it go on."""

    def __init__(self, where: Cut) -> None:
        self._where = where
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()

    async def carry(
        self, inner: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        """Hold the request up before it arrives, or its answer."""
        if self._where is Cut.AFTER:
            response = await inner.handle_async_request(request)
        self.arrived.set()
        await self.go_on.wait()
        if self._where is Cut.BEFORE:
            response = await inner.handle_async_request(request)
        return response


class Crash(Exception):
    """The process dies: nothing that would come later is done."""


class Mortal(Database):
    """The same database, for a process that dies right after so many writes, or at the next."""

    def __init__(self, db: Database, writes: int, *, at_once: bool) -> None:
        self.__dict__.update(db.__dict__)
        self.writes_left = writes
        self.at_once = at_once

    async def apply(self, change: Change | Step, *events: Event) -> Row | None:
        """Write, as long as the process lives."""
        if self.writes_left == 0:
            raise Crash
        row = await super().apply(change, *events)
        self.writes_left -= 1
        if self.writes_left == 0 and self.at_once:
            raise Crash
        return row


@dataclass
class House:
    """Everything that a test may want to look at.

    `urls` are those of the databases of all `SERVICES`; `wire` leads to totp.
    """

    urls: Urls
    db: Database
    clock: Hands
    flows: Flows
    wires: dict[str, Wire]
    factors: dict[str, FactorClient]
    store: Store
    signer: Signer
    reporting: dict[str, Database]
    digits: int = 6
    wire: Wire = field(init=False)
    totp: FactorClient = field(init=False)
    recovery: FactorClient = field(init=False)
    webauthn: FactorClient = field(init=False)

    def __post_init__(self) -> None:
        self.wire = self.wires["totp"]
        self.totp, self.recovery = self.factors["totp"], self.factors["recovery"]
        self.webauthn = self.factors["webauthn"]

    @property
    def sweeps(self) -> Sweeps:
        """Return what the worker does now and then."""
        return build_sweeps(
            self.db, ring=RING, factors=self.factors, clock=self.clock, policy=Policy()
        )

    def under(self, policy: Policy) -> "House":
        """Return the house as it is under another policy."""
        flows = make_flows(self.db, self.factors, self.clock, policy=policy)
        return replace(self, flows=flows)

    def with_ring(self, ring: KeyRing) -> "House":
        """Return the house as it is with another ring of keys."""
        return replace(self, flows=make_flows(self.db, self.factors, self.clock, ring=ring))

    def visitor(self, address: str = HOME, client: Client = Client.APP) -> "Visitor":
        """Return somebody at a client of their own."""
        return Visitor(self, address=address, client=client)

    def mortal(self, writes: int, *, at_once: bool = True) -> "House":
        """Return the house as a process has it that dies after so many writes, or at the next."""
        db = Mortal(self.db, writes, at_once=at_once)
        return replace(self, flows=make_flows(db, self.factors, self.clock))

    async def mails(self) -> list[Mail]:
        """Take every mail that is due; return those that are answers to what somebody asked."""
        return [mail for mail in await self._taken() if mail.kind in ANSWERS]

    async def notices(self) -> list[Mail]:
        """Take every mail that is due; return those that tell what happened.

        Before that, what other services have reported is told, as by session's worker.
        """
        await self.hear()
        return [mail for mail in await self._taken() if mail.kind not in ANSWERS]

    async def hear(self) -> None:
        """Take in what other services have reported so far, again and again."""
        reports = build_reports(self.db, ring=RING, clock=self.clock, policy=Policy())
        for source, db in self.reporting.items():
            rows = await db.all(Statement(select(*OUTBOX.c).order_by(OUTBOX.c.seq)))
            events = [received(source, row) for row in rows if row.type in REPORTED]
            await entering(reports)(events)

    async def _taken(self) -> list[Mail]:
        box = build_mails(self.db, RING)
        taken = []
        while due := await box.take(self.clock(), timedelta(hours=1)):
            taken.append(box.open(due))
            await box.sent(due.id)
        return taken

    async def code(self) -> str:
        """Return the code in the mail that is due."""
        (mail,) = await self.mails()
        return mail.facts["code"]

    async def user(self) -> Row:
        """Return the row of the only user."""
        (row,) = await self.db.all(Statement(select(*users.c)))
        return row

    async def session_rows(self) -> list[Row]:
        """Return all sessions."""
        return await self.db.all(Statement(select(*sessions.c)))

    async def events(self) -> list[str]:
        """Return the types of all events so far, in order."""
        rows = await self.db.all(Statement(select(outbox.c.type).order_by(outbox.c.seq)))
        return [row.type.removeprefix("mfa.session.") for row in rows]

    async def event_rows(self) -> list[Row]:
        """Return all events so far, in order."""
        return await self.db.all(Statement(select(*outbox.c).order_by(outbox.c.seq)))

    async def account(self) -> Any:
        """Return the account of the only user."""
        return await self.store.find_account((await self.user()).id)

    async def enrolled(self) -> list[str]:
        """Return the ids that totp has for the only user."""
        return await self._held(self.totp)

    async def code_sets(self) -> list[str]:
        """Return the ids of the sets of codes that recovery has for the only user."""
        return await self._held(self.recovery)

    async def keys(self) -> list[str]:
        """Return the ids that webauthn has for the only user."""
        return await self._held(self.webauthn)

    async def registered(self, type: str = "totp") -> list[str]:
        """Return the ids of a kind that count for the only user."""
        entries = json.loads((await self.user()).register)["entries"]
        return [entry["id"] for entry in entries if entry["type"] == type]

    async def _held(self, factor: FactorClient) -> list[str]:
        held = await factor.authenticators((await self.user()).id)
        return [authenticator.id for authenticator in held.authenticators]


@dataclass
class Visitor:
    """Somebody at a client: what they do goes through the flows, as the edge would have it."""

    house: House
    address: str = HOME
    client: Client = Client.APP
    token: str | None = None
    secret: str | None = None
    codes: tuple[str, ...] = ()

    async def visit(self) -> Visit:
        """Recognise the session, as every request does."""
        return await self.house.flows.visits.recognise(
            self.client, self.token, address=self.address, user_agent="test"
        )

    def keep(self, outcome: Outcome) -> Outcome:
        """Keep a new token, and forget one that has ended."""
        if isinstance(outcome, Standing) and (outcome.token or outcome.visit.session is None):
            self.token = outcome.token
        return outcome

    async def sign_up(
        self, email: str | None = ADA, password: str = PASSWORD, *, username: str | None = None
    ) -> Outcome:
        flow, applicant = self.house.flows.signup, Applicant(email=email, username=username)
        return self.keep(await flow.sign_up(await self.visit(), applicant, password))

    async def verify(self, key: str) -> Outcome:
        flow = self.house.flows.verify_email
        return self.keep(await flow.verify(await self.visit(), key))

    async def log_in(self, email: str = ADA, password: str = PASSWORD) -> Outcome:
        flow = self.house.flows.login
        return self.keep(await flow.log_in(await self.visit(), by_address(email), password))

    async def log_in_as(self, username: str, password: str = PASSWORD) -> Outcome:
        flow = self.house.flows.login
        return self.keep(await flow.log_in(await self.visit(), by_username(username), password))

    async def request_code(self, email: str = ADA) -> Outcome:
        flow = self.house.flows.login_by_code
        return self.keep(await flow.request(await self.visit(), email))

    async def confirm_code(self, code: str | None) -> Outcome:
        flow = self.house.flows.login_by_code
        return self.keep(await flow.confirm(await self.visit(), code))

    async def resend_code(self) -> Outcome:
        return self.keep(await self.house.flows.login_by_code.resend(await self.visit()))

    async def request_reset(self, email: str = ADA) -> Outcome:
        flow = self.house.flows.request_password
        return self.keep(await flow.request(await self.visit(), email))

    async def show_reset(self, key: str | None) -> Outcome:
        return await self.house.flows.reset_password.show(await self.visit(), key)

    async def reset(self, key: str | None, password: str | None) -> Outcome:
        flow = self.house.flows.reset_password
        return self.keep(await flow.reset(await self.visit(), key, password))

    async def authenticate(self, code: str) -> Outcome:
        flow = self.house.flows.authenticate
        return self.keep(await flow.authenticate(await self.visit(), code))

    async def reauthenticate(self, password: str = PASSWORD) -> Outcome:
        flow = self.house.flows.reauthenticate
        return self.keep(await flow.by_password(await self.visit(), password))

    async def reauthenticate_by_code(self, code: str) -> Outcome:
        flow = self.house.flows.reauthenticate
        return self.keep(await flow.by_code(await self.visit(), code))

    async def change_password(self, current: str | None, new: str | None) -> Outcome:
        flow = self.house.flows.change_password
        return self.keep(await flow.change(await self.visit(), current, new))

    async def sessions(self) -> Outcome:
        return await self.house.flows.sessions.list(await self.visit())

    async def end_sessions(self, *ids: str) -> Outcome:
        return self.keep(await self.house.flows.sessions.end(await self.visit(), ids))

    async def end_all_sessions(self) -> Outcome:
        return self.keep(await self.house.flows.sessions.end_all(await self.visit()))

    async def log_out(self) -> Outcome:
        return self.keep(await self.house.flows.logout.log_out(await self.visit()))

    async def show_totp(self) -> Outcome:
        outcome = await self.house.flows.totp.show(await self.visit())
        if isinstance(outcome, NotEnrolled):
            self.secret = str(outcome.display["secret"])
        return outcome

    async def activate(self, code: str) -> Outcome:
        return await self.house.flows.totp.activate(await self.visit(), code)

    async def deactivate(self) -> Outcome:
        return await self.house.flows.totp.deactivate(await self.visit())

    async def show_codes(self) -> Outcome:
        return self._noted(await self.house.flows.recovery_codes.show(await self.visit()))

    async def generate_codes(self) -> Outcome:
        return self._noted(await self.house.flows.recovery_codes.generate(await self.visit()))

    def _noted(self, outcome: Outcome) -> Outcome:
        """Write down the codes that are shown."""
        if isinstance(outcome, Codes) and outcome.codes is not None:
            self.codes = outcome.codes
        return outcome

    async def authenticators(self) -> Outcome:
        return await self.house.flows.authenticators.list(await self.visit())

    def otp(self) -> str:
        """Return the code that the person's device shows."""
        assert self.secret is not None
        return pyotp.TOTP(self.secret, digits=self.house.digits).at(self.house.clock())

    def wrong_otp(self, number: int = 0) -> str:
        """Return a code that the device does not show, another for each number."""
        digits = self.house.digits
        return f"{(int(self.otp()) + 1 + number) % 10**digits:0{digits}}"

    async def join(self, email: str = ADA) -> "Visitor":
        """Sign up and verify: the visitor is logged in."""
        await self.sign_up(email)
        outcome = await self.verify(await self.house.code())
        assert isinstance(outcome, Standing)
        assert outcome.visit.authenticated
        return self

    async def protect(self) -> "Visitor":
        """Turn TOTP on. The next code is one period later."""
        await self.reauthenticate()
        await self.show_totp()
        outcome = await self.activate(self.otp())
        assert isinstance(outcome, Enrolled)
        self.house.clock.turn(seconds=30)
        return self

    def elsewhere(self, address: str = HOME, house: House | None = None) -> "Visitor":
        """Return the same person, with the same device, at another client."""
        return Visitor(house or self.house, address=address, secret=self.secret, codes=self.codes)


async def change_user(house: House, **values: int | None) -> None:
    """Change the only user behind the service's back."""
    for name, value in values.items():
        assert await house.db.apply(step(CHANGE_USER[name], value=value)) is not None


def make_flows(
    db: Database,
    factors: dict[str, FactorClient],
    clock: Hands,
    hasher: PasswordHasher | None = None,
    policy: Policy | None = None,
    *,
    ring: KeyRing = RING,
) -> Flows:
    """Return flows whose password hashes cost next to nothing."""
    return build_flows(
        db,
        ring=ring,
        factors=factors,
        clock=clock,
        policy=policy or Policy(),
        hasher=hasher or PasswordHasher(queue=1000, threads=2, memory=8, passes=1),
    )


@asynccontextmanager
async def open_house(urls: Urls, *, digits: int = 6, **recovery: Any) -> AsyncIterator[House]:
    """Build all services over databases that have their tables, and nothing in them.

    `digits` are those of TOTP's codes, `recovery` other settings of that service.
    """
    clock, signer = Hands(), Signer("session")
    async with AsyncExitStack() as stack:
        house = await _built(stack, urls, (clock, signer), digits, recovery)
        async with none_left():
            yield house


@asynccontextmanager
async def second_replica(house: House) -> AsyncIterator[House]:
    """Build all services once more over the same databases, with connections of their own."""
    async with AsyncExitStack() as stack:
        replica = await _built(stack, house.urls, (house.clock, house.signer), house.digits, {})
        async with none_left():
            yield replica


async def _built(
    stack: AsyncExitStack,
    urls: Urls,
    common: tuple[Hands, Signer],
    digits: int,
    recovery: dict[str, Any],
) -> House:
    clock, signer = common
    url, totp_url, recovery_url, webauthn_url = urls
    db = await opened(stack, url, "session", clock)
    wires = {
        "totp": await open_totp(stack, totp_url, clock, signer, digits),
        "recovery": await open_recovery(stack, recovery_url, clock, signer, **recovery),
        "webauthn": await open_webauthn(stack, webauthn_url, clock, signer),
    }
    factors = make_factors(stack, wires, clock, signer)
    return House(
        urls=urls,
        db=db,
        clock=clock,
        flows=make_flows(db, factors, clock),
        wires=wires,
        factors=factors,
        store=Store(db, Limits()),
        signer=signer,
        reporting={
            "recovery": read_only(stack, recovery_url),
            "webauthn": read_only(stack, webauthn_url),
        },
        digits=digits,
    )


def received(source: str, row: Row) -> Received:
    """Return an event in a service's outbox as it comes off the bus."""
    event = to_cloudevent(
        id=row.id,
        type=row.type,
        source=source,
        number=row.seq,
        occurred_at=from_micros(row.occurred_at),
        subject=row.subject,
        data=json.loads(row.data),
        context=json.loads(row.context),
    )
    return Received(
        id=row.id,
        type=row.type,
        source=source,
        number=row.seq,
        occurred_at=from_micros(row.occurred_at),
        subject=row.subject,
        text=json.dumps(event),
    )


def read_only(stack: AsyncExitStack, url: str) -> Database:
    """Return a database of another service, to be looked into."""
    db = Database(url, source="a test")
    stack.push_async_callback(db.close)
    return db


async def opened(stack: AsyncExitStack, url: str, source: str, clock: Hands) -> Database:
    """Return a database that is closed at the end."""
    db = Database(url, source=source, clock=clock)
    stack.push_async_callback(db.close)
    await db.connect()
    return db


async def open_totp(
    stack: AsyncExitStack, url: str, clock: Hands, signer: Signer, digits: int
) -> Wire:
    """Return the wire to a TOTP service that is closed at the end."""
    app = create_totp(
        TotpSettings(
            totp_database_url=url,
            totp_sealing_keys=RING,
            caller_keys=signer.listed,
            totp_event_key=Signer("totp").key,
            broker_url="redis://127.0.0.1:1/0",
            mfa_totp_digits=digits,
        ),
        clock,
    )
    await stack.enter_async_context(app.router.lifespan_context(app))
    return Wire(app)


async def open_recovery(
    stack: AsyncExitStack, url: str, clock: Hands, signer: Signer, **changes: Any
) -> Wire:
    """Return the wire to a recovery service that is closed at the end."""
    app = create_recovery(
        RecoverySettings(
            **{
                "recovery_database_url": url,
                "recovery_sealing_keys": RING,
                "caller_keys": signer.listed,
                "recovery_event_key": Signer("recovery").key,
                "broker_url": "redis://127.0.0.1:1/0",
                **changes,
            }
        ),
        clock,
    )
    await stack.enter_async_context(app.router.lifespan_context(app))
    return Wire(app)


async def open_webauthn(
    stack: AsyncExitStack, url: str, clock: Hands, signer: Signer, **changes: Any
) -> Wire:
    """Return the wire to a WebAuthn service, for pages of `ORIGIN`, that is closed at the end."""
    app = create_webauthn(
        WebAuthnSettings(
            **{
                "webauthn_database_url": url,
                "caller_keys": signer.listed,
                "webauthn_event_key": Signer("webauthn").key,
                "broker_url": "redis://127.0.0.1:1/0",
                "public_url": ORIGIN,
                **changes,
            }
        ),
        clock,
    )
    await stack.enter_async_context(app.router.lifespan_context(app))
    return Wire(app)


def make_factors(
    stack: AsyncExitStack, wires: dict[str, Wire], clock: Hands, signer: Signer
) -> dict[str, FactorClient]:
    """Return the factors that session calls over `wires`."""
    factors = {}
    for service, wire in wires.items():
        caller = Caller(signer.key, clock)
        http = connect(f"http://{service}", caller=caller, audience=service, transport=wire)
        stack.push_async_callback(http.aclose)
        factors[service] = FactorClient(http)
    return factors


def counted(source: str = "session") -> dict[str, float]:
    """Return how many statements and commits a service has made so far."""
    return spending.counted(source)


def kinds(standing: Standing) -> list[str]:
    """Return by what means the person of a session has proved who they are."""
    session = standing.visit.session
    return [method.kind.value for method in session.methods] if session else []


def faults_of(outcome: Outcome) -> list[str]:
    """Return the codes of a refusal."""
    return [fault.code for fault in getattr(outcome, "faults", ())]


async def unavailable(outcome: Any) -> bool:
    """Tell whether a flow answers that a part is away."""
    try:
        await outcome
    except Unavailable:
        return True
    return False
