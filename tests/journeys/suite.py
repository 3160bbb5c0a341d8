"""The suite that journeys go through: in this process with a clock of their own, or running."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self

import anyio
import httpx
import pyotp
from fastapi import FastAPI

from services.cli.environment import KEY_FILES
from services.cli.keys import make
from services.embedded import create_apps, living
from services.recovery.settings import Settings as RecoverySettings
from services.session.settings import Settings as SessionSettings
from services.session.worker import create_delivery
from services.totp.settings import Settings as TotpSettings
from services.webauthn.settings import Settings as WebAuthnSettings
from shared.database import Database
from shared.migrations import migrate
from tests.hashing import quickly
from tests.journeys.client import ORIGIN, Client

PATIENCE = 120.0  # seconds to wait for mail of a running suite
PERIOD = 5  # seconds: the shortest that may be set, so that nobody waits long for the next code
SHORT_CODES = {"MFA_TOTP_PERIOD": str(PERIOD), "MFA_TOTP_TOLERANCE": "3"}
"""Settings of a running suite: and a busy machine may hand a code in, or again, periods later."""
CODE = re.compile(r"(?m)^[A-Z]{4}-[A-Z]{4}$")
LINK = re.compile(r"(?m)^https://testserver/([^\s/]+)$")
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Suite(Protocol):
    """What a journey needs besides HTTP: mail, and codes that were not used before."""

    def client(self, kind: str) -> Client:
        """Return a new client of that kind."""

    async def mailed_code(self, address: str) -> str | None:
        """Return the code in the newest mail to `address`, or None if that mail has none."""

    async def fresh_code(self, secret: str) -> str:
        """Return a time-based code of a step after the last one that was asked for."""


@dataclass
class Hands:
    """A clock that stands still until it is moved."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        """Return what it shows."""
        return self.now

    def advance(self, by: timedelta) -> None:
        """Move it on."""
        self.now += by


@dataclass(kw_only=True)
class InProcess:
    """session and the factors in this process, on databases of their own, with no network."""

    apps: Mapping[str, FastAPI]
    settings: SessionSettings
    totp_settings: TotpSettings
    clock: Hands
    deliver: Callable[[], Awaitable[None]] = field(repr=False)
    clients: list[Client] = field(default_factory=list)
    last_step: int = 0

    def client(self, kind: str) -> Client:
        """Return a new client of that kind."""
        client = Client(kind, httpx.ASGITransport(self.apps["session"]))
        self.clients.append(client)
        return client

    async def mailed_code(self, address: str) -> str | None:
        """Send what is due, and return the code in the newest mail to `address`."""
        await self.deliver()
        response = await self.client("app").http.get("/inbox.json")
        return code_in(response.json(), address)

    async def mailed_key(self, address: str) -> str:
        """Send what is due, and return the key in the newest link to `address`, or ""."""
        await self.deliver()
        listing = (await self.client("app").http.get("/inbox.json")).json()
        texts = [mail["text"] for mail in listing["messages"] if mail["to"] == address]
        found = LINK.search(texts[0] if texts else "")
        return found[1] if found else ""

    async def throw_mail_away(self) -> None:
        """Send what is due, and empty the inbox: reading it takes the longer the more there is."""
        await self.deliver()
        for mail in self.settings.inbox.glob("*.eml"):
            mail.unlink()

    async def fresh_code(self, secret: str) -> str:
        """Move the clock to the next time step, and return its code."""
        self.clock.advance(timedelta(seconds=30))
        return pyotp.TOTP(secret).at(self.clock())


@asynccontextmanager
async def in_process(directory: Path, **changes: Any) -> AsyncIterator[InProcess]:
    """Make databases, keys and apps under `directory`, and run them until the end.

    `changes` are settings of any of the services that differ from their defaults.
    """
    make(directory / "keys")  # and with it the directory
    keys = {
        name.lower(): (directory / "keys" / path).read_text() for name, path in KEY_FILES.items()
    }
    common: dict[str, Any] = {
        **keys,
        "broker_url": "redis://127.0.0.1:1/0",  # nothing here publishes: that is the worker's
        "countersign_development": True,
        "session_database_url": f"sqlite:///{directory / 'session.db'}",
        "totp_database_url": f"sqlite:///{directory / 'totp.db'}",
        "totp_url": "http://totp",
        "recovery_database_url": f"sqlite:///{directory / 'recovery.db'}",
        "recovery_url": "http://recovery",
        "webauthn_database_url": f"sqlite:///{directory / 'webauthn.db'}",
        "webauthn_url": "http://webauthn",
        "public_url": ORIGIN,
        "var_dir": directory,
    }
    session = SessionSettings(**quickly(common | changes))
    totp = TotpSettings(**(common | changes))
    recovery = RecoverySettings(**(common | changes))
    webauthn = WebAuthnSettings(**(common | changes))
    for service in ("session", "totp", "recovery", "webauthn"):
        (directory / f"{service}.db").write_bytes(_empty_database(service))
    clock = Hands()
    apps = create_apps(
        {"totp": totp, "recovery": recovery, "webauthn": webauthn, "session": session}, clock
    )
    database = Database(
        session.session_database_url.get_secret_value(), source="session", clock=clock
    )
    suite = InProcess(
        apps=apps,
        settings=session,
        totp_settings=totp,
        clock=clock,
        deliver=create_delivery(session, database, clock).deliver_due,
    )
    async with living(list(apps.values())):
        await database.connect()
        try:
            yield suite
        finally:
            for client in suite.clients:
                await client.close()
            await database.close()


@cache
def _empty_database(service: str) -> bytes:
    """Return the file of a migrated database: to migrate takes longer than most journeys."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "empty.db"
        migrate(f"sqlite:///{path}", f"services.{service}.migrations")
        return path.read_bytes()


@dataclass(kw_only=True)
class Running:
    """A suite of processes, reached over the network as anybody would."""

    base_url: str
    period: int = 30  # seconds
    clients: list[Client] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        """Return itself; at the end of the block all clients hang up."""
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Hang up, whatever has happened: who does not fails a test that comes later."""
        for client in self.clients:
            await client.close()

    def client(self, kind: str) -> Client:
        """Return a new client of that kind."""
        client = Client(kind, base_url=self.base_url)
        self.clients.append(client)
        return client

    async def mailed_code(self, address: str) -> str | None:
        """Wait for a mail to `address`, and return the code in the newest one."""
        deadline = time.monotonic() + PATIENCE
        async with httpx.AsyncClient(
            base_url=self.base_url, trust_env=False, timeout=PATIENCE
        ) as http:
            while True:
                listing = (await http.get("/inbox.json")).json()
                if any(message["to"] == address for message in listing["messages"]):
                    return code_in(listing, address)
                assert time.monotonic() < deadline, f"no mail to {address}"
                await anyio.sleep(0.1)

    async def fresh_code(self, secret: str) -> str:
        """Wait for a time step whose code was not used, and return its code."""
        while True:
            now = time.time()
            step = int(now) // self.period
            # Not at the end of a step either: the code would arrive in the next one.
            if step > self.used.get(secret, 0) and now % self.period < self.period * 0.8:
                self.used[secret] = step
                return pyotp.TOTP(secret, interval=self.period).at(int(now))
            await anyio.sleep(0.05)


def code_in(listing: dict[str, Any], address: str) -> str | None:
    """Return the code in the newest mail to `address`."""
    mail = next(message for message in listing["messages"] if message["to"] == address)
    found = CODE.search(mail["text"])
    return found.group() if found else None
