"""The sessions of one person, as the person sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Integer, Text, bindparam, delete, or_, select, update

from services.session.domain.sessions import Account, Session
from services.session.store.live import live, live_at, seen_at
from services.session.store.tables import sessions
from shared.clock import from_micros, to_micros
from shared.database import Database, Row, Statement, Step, also, step

SHOWN = 100  # sessions: the newest, and the one that asks

_live = live(
    bindparam("user_id", type_=Text()),
    bindparam("session_epoch", type_=Integer()),
)

LIST_SESSIONS = Statement(
    select(
        sessions.c.id,
        sessions.c.ip,
        sessions.c.user_agent,
        sessions.c.created_at,
        seen_at.label("seen_at"),
    )
    .where(*_live)
    .order_by(
        (sessions.c.id == bindparam("current", type_=Text())).desc(),
        sessions.c.created_at.desc(),
        sessions.c.id,
    )
    .limit(SHOWN)
)

FIND_AMONG = Statement(
    select(sessions.c.id).where(*_live, sessions.c.id.in_(bindparam("ids", type_=Text())))
)

END_AMONG = Statement(
    delete(sessions).where(
        sessions.c.user_id == bindparam("user_id", type_=Text()),
        sessions.c.id.in_(bindparam("ids", type_=Text())),
    )
)

NOTE_USE = Statement(
    update(sessions)
    .where(
        sessions.c.id == bindparam("id", type_=Text()),
        sessions.c.authenticated_at.is_not(None),
        or_(
            sessions.c.last_seen_at.is_(None),
            sessions.c.last_seen_at <= bindparam("before", type_=BigInteger()),
        ),
    )
    .values(
        last_seen_at=bindparam("now", type_=BigInteger()),
        ip=bindparam("ip", type_=Text()),
        user_agent=bindparam("user_agent", type_=Text()),
    )
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A session that counts. `last_seen_at` is the login if its use is not tracked."""

    id: str
    ip: str
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


class SessionList:
    """Reads whose sessions are live, and ends some. `idle` is how long one may be unused."""

    def __init__(self, db: Database, idle: timedelta | None = None) -> None:
        self._db = db
        self._idle = idle

    async def live(self, account: Account, current: Session, now: datetime) -> list[Listed]:
        """Return the newest live sessions of either kind of client, the current one first."""
        rows = await self._db.all(LIST_SESSIONS, current=current.id, **self._params(account, now))
        return [_listed(row, current) for row in rows]

    async def among(self, ids: Sequence[str], account: Account, now: datetime) -> set[str]:
        """Return those of `ids` that are live sessions of the account."""
        rows = await self._db.all(FIND_AMONG, ids=list(ids), **self._params(account, now))
        return {row.id for row in rows}

    def end(self, ids: Sequence[str], account: Account) -> Step:
        """End those sessions of the account; refuse if none of them is left."""
        return step(END_AMONG, ids=list(ids), user_id=account.id)

    async def note_use(
        self, session: Session, now: datetime, *, every: timedelta, ip: str, user_agent: str
    ) -> None:
        """Write when, and from where, a session was used, unless that was done since `every`.

        A session that has ended meanwhile stays so.
        """
        used = self.used(session, now, every=every, ip=ip, user_agent=user_agent)
        await self._db.apply(replace(used, required=True))

    def used(
        self, session: Session, now: datetime, *, every: timedelta, ip: str, user_agent: str
    ) -> Step:
        """Note the same along with another write, which does not depend on it."""
        return also(
            NOTE_USE,
            id=session.id,
            now=to_micros(now),
            before=to_micros(now - every),
            ip=ip,
            user_agent=user_agent,
        )

    def _params(self, account: Account, now: datetime) -> dict[str, object]:
        return {
            "user_id": account.id,
            "session_epoch": account.session_epoch,
            **live_at(now, self._idle),
        }


def _listed(row: Row, current: Session) -> Listed:
    return Listed(
        id=row.id,
        ip=row.ip,
        user_agent=row.user_agent,
        created_at=from_micros(row.created_at),
        last_seen_at=from_micros(row.seen_at),
        is_current=row.id == current.id,
    )
