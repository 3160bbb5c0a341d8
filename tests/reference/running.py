"""A suite of processes that journeys go through over HTTP, as they go through one in this process.

`countersign up` runs it as ever, but that its processes read the time from a file: a journey waits
for hours, and asks within a second what may not be asked twice in ten.
"""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import anyio
from sqlalchemy import bindparam, delete, or_, select

from services.session.store.tables import (
    attempts,
    claimed_addresses,
    emails,
    mails,
    origins,
    refresh_tokens,
    reserved_usernames,
    sessions,
    users,
)
from shared.clock import to_micros
from shared.database import Database, Statement, also
from tests.journeys.client import Client
from tests.journeys.suite import CODE, LINK, NOON, Hands
from tests.suites import PATIENCE, RunningSuite, running_suite

LOOK = 0.2  # seconds: the worker looks once a second for mail that is due
TURNED = Path(__file__).parent / "turned"
WAITING = Statement(
    select(mails.c.id).where(or_(mails.c.due_at <= bindparam("now"), mails.c.attempts > 0))
)
EVERYTHING = [
    Statement(delete(table))
    for table in (
        refresh_tokens,
        sessions,
        claimed_addresses,
        emails,
        origins,
        users,
        reserved_usernames,
        attempts,
        mails,
    )
]
"""What session has that anybody is answered by, the rows first that refer to others."""


class WallClock(Hands):
    """A clock that several processes look at: what it shows is in a file."""

    def __init__(self, file: Path) -> None:
        super().__init__(NOON)
        self.file = file
        self._show()

    def advance(self, by: timedelta) -> None:
        """Move it on."""
        super().advance(by)
        self._show()

    def _show(self) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(self.now.isoformat())
        draft.replace(self.file)  # so that whoever looks sees the one or the other


@dataclass(frozen=True)
class TurnedSuite:
    """A suite that is up, and its clock."""

    processes: RunningSuite
    clock: WallClock


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A suite of processes as journeys need it."""

    processes: RunningSuite
    clock: WallClock
    db: Database
    clients: list[Client] = field(default_factory=list)

    def client(self, kind: str) -> Client:
        """Return a new client of that kind."""
        client = Client(kind, base_url=self.processes.base_url)
        self.clients.append(client)
        return client

    async def mailed_code(self, address: str) -> str | None:
        """Wait for all mail that is due, and return the code in the newest to `address`."""
        found = CODE.search(await self._newest(address))
        return found.group() if found else None

    async def mailed_key(self, address: str) -> str:
        """Wait for all mail that is due, and return the key in the newest to `address`, or ""."""
        found = LINK.search(await self._newest(address))
        return found[1] if found else ""

    async def throw_mail_away(self) -> None:
        """Wait for all mail that is due, and empty the inbox."""
        await self._delivered()
        for mail in (self.processes.var_dir / "inbox").glob("*.eml"):
            mail.unlink()

    async def start_over(self) -> None:
        """Have everything forgotten that anybody has done so far."""
        await self.throw_mail_away()
        for forget in EVERYTHING:
            await self.db.apply(also(forget))

    async def _newest(self, address: str) -> str:
        await self._delivered()
        mail = self.processes.mailbox.messages(address)[-1]
        text = mail.get_body(("plain",))
        assert text is not None
        return str(text.get_content())

    async def _delivered(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while await self.db.all(WAITING, now=to_micros(self.clock())):
            assert time.monotonic() < deadline, "mail is not delivered"
            await anyio.sleep(LOOK)


@contextmanager
def turned_suite(directory: Path, *, split: bool, env: Mapping[str, str]) -> Iterator[TurnedSuite]:
    """Run a suite under `directory`, whose clock stands still until it is turned."""
    clock = WallClock(directory / "clock")
    told = {**env, "PYTHONPATH": str(TURNED), "TURNED_CLOCK": str(clock.file)}
    with running_suite(directory / "var", split=split, env=told) as processes:
        yield TurnedSuite(processes, clock)


@asynccontextmanager
async def reached(suite: TurnedSuite) -> AsyncIterator[Reached]:
    """Reach a suite from this event loop, as if nobody had ever done so."""
    variables = suite.processes.variables
    url = variables.get(
        "SESSION_DATABASE_URL", f"sqlite:///{suite.processes.var_dir / 'session.db'}"
    )
    db = Database(url, source="session", clock=suite.clock, connections=1)
    await db.connect()
    here = Reached(processes=suite.processes, clock=suite.clock, db=db)
    try:
        await here.start_over()
        yield here
    finally:
        for client in here.clients:
            await client.close()
        await db.close()
