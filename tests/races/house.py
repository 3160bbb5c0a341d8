"""What a race is watched from: the replicas' doors, and what they have written down."""

import json
import ssl
from asyncio import Lock
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
from httpx_aiohttp import AiohttpTransport
from sqlalchemy import BigInteger, bindparam, select, update

from services.session.domain.factors import KINDS
from services.session.domain.mails import Mail
from services.session.flows import Policy, Sweeps, build_mails, build_sweeps
from services.session.flows.register import LIVE
from services.session.store import MailStore
from services.session.store.tables import dead_authenticators, emails, outbox, sessions, users
from shared.auth import Caller, PrivateKey
from shared.cipher import KeyRing
from shared.clock import MICROSECOND, utc_now
from shared.database import Database, Row, Statement, step
from shared.factor import FactorClient
from shared.http import connect
from tests.journeys.client import Answer
from tests.races.replicas import Replicas

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to read certificates would take longer than all

USER = Statement(select(*users.c).where(users.c.id == bindparam("id")))
CHANGING = Statement(select(users.c.id).where(users.c.register_pending.is_not(None)))
AGE_CHANGES = Statement(
    update(users)
    .where(users.c.register_pending.is_not(None))
    .values(register_marked_at=users.c.register_marked_at - bindparam("by", type_=BigInteger()))
)
EMAILS = Statement(select(emails.c.user_id).where(emails.c.address == bindparam("address")))
SESSIONS = Statement(select(sessions.c.id).where(sessions.c.user_id == bindparam("id")))
DEAD = Statement(
    select(dead_authenticators.c.authenticator_id).where(
        dead_authenticators.c.user_id == bindparam("id")
    )
)
EVENTS = Statement(
    select(outbox.c.type).where(outbox.c.subject == bindparam("id")).order_by(outbox.c.seq)
)


@dataclass(frozen=True, kw_only=True)
class House:
    """Two replicas from outside, and from below."""

    replicas: Replicas
    doors: tuple[httpx.AsyncClient, httpx.AsyncClient]
    db: Database
    factors: dict[str, FactorClient]
    mails: MailStore
    ring: KeyRing
    _letters: dict[str, list[Mail]] = field(default_factory=lambda: defaultdict(list))
    _postman: Lock = field(default_factory=Lock)

    async def ask(
        self,
        replica: int,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        address: str,
        token: str | None = None,
    ) -> Answer:
        """Ask one replica as an app that comes from `address` and has the session `token`."""
        headers = {"X-Real-IP": address, **({"X-Session-Token": token} if token else {})}
        response = await self.doors[replica].request(
            method, f"/_allauth/app/v1/{path}", json=body, headers=headers
        )
        return Answer(response.status_code, response.json(), response.headers)

    async def letters(self, address: str) -> list[Mail]:
        """Return what has been mailed to `address` so far."""
        async with self._postman:
            while due := await self.mails.take(utc_now(), timedelta(minutes=1)):
                mail = self.mails.open(due)
                self._letters[mail.to].append(mail)
                await self.mails.sent(due.id)
        return self._letters[address]

    async def accounts(self, address: str) -> list[str]:
        """Return the ids of the accounts with that address."""
        return [row.user_id for row in await self.db.all(EMAILS, address=address)]

    async def sessions(self, user_id: str) -> list[str]:
        """Return the ids of somebody's sessions."""
        return [row.id for row in await self.db.all(SESSIONS, id=user_id)]

    async def events(self, user_id: str) -> list[str]:
        """Return the kinds of what session has put on record of somebody, in order."""
        rows = await self.db.all(EVENTS, id=user_id)
        return [row.type.removeprefix("mfa.session.") for row in rows]

    async def half_done(self) -> set[str]:
        """Return whose register is being changed."""
        return {row.id for row in await self.db.all(CHANGING)}

    async def age_changes(self) -> None:
        """Make every change that is under way so old that somebody may take over."""
        await self.db.apply(step(AGE_CHANGES, by=LIVE // MICROSECOND))

    async def registered(self, user_id: str, type: str = "totp") -> list[str]:
        """Return the ids of a kind that count. Session and the factors agree on all of them.

        What races have left behind is swept first, as a worker does some minutes later: to be
        called when nobody is changing anything.
        """
        await self._sweeps(timedelta(minutes=10)).repair_registers()
        await self._sweeps(timedelta(minutes=20)).collect_dead()
        user = await self._user(user_id)
        entries = json.loads(user.register)["entries"]
        for kind in KINDS:
            registered = {entry["id"] for entry in entries if entry["type"] == kind.type}
            held = await self.factors[kind.service].authenticators(user_id)
            assert {authenticator.id for authenticator in held.authenticators} == registered
        assert user.register_pending is None
        assert await self.db.all(DEAD, id=user_id) == []
        return [entry["id"] for entry in entries if entry["type"] == type]

    def _sweeps(self, later: timedelta) -> Sweeps:
        return build_sweeps(
            self.db,
            ring=self.ring,
            factors=self.factors,
            clock=lambda: utc_now() + later,
            policy=Policy(),
        )

    async def _user(self, user_id: str) -> Row:
        row = await self.db.find(USER, id=user_id)
        assert row is not None
        return row


@asynccontextmanager
async def opened(replicas: Replicas) -> AsyncIterator[House]:
    """Open connections to the replicas and to what is below them."""
    suite = replicas[1].suite
    keys = suite.key_dir / "session"
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=replica.url,
                    transport=AiohttpTransport(verify=NO_TLS),
                    trust_env=False,
                    timeout=120,
                )
            )
            for replica in replicas
        ]
        db = Database(suite.variables["SESSION_DATABASE_URL"], source="session")
        stack.push_async_callback(db.close)
        caller = Caller(PrivateKey.parse((keys / "caller.json").read_text()), utc_now)
        factors = {
            name: FactorClient(
                connect(suite.variables[f"{name.upper()}_URL"], caller=caller, audience=name)
            )
            for name in sorted({kind.service for kind in KINDS})
        }
        for factor in factors.values():
            stack.push_async_callback(factor.close)
        ring = KeyRing.parse((keys / "sealing.json").read_text())
        yield House(
            replicas=replicas,
            doors=(first, second),
            db=db,
            factors=factors,
            mails=build_mails(db, ring),
            ring=ring,
        )
