"""Who is calling, and whether they may: the first thing that every request asks."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.session.domain.access import Access, allows
from services.session.domain.sessions import Client, Session, is_live, recorded_id
from services.session.flows.outcomes import (
    Gone,
    LoginNeeded,
    Misfit,
    Outcome,
    StageNeeded,
    Visit,
)
from services.session.store import Store
from services.session.store.session_list import SessionList
from shared import context
from shared.clock import Clock
from shared.token import hash_token

__all__ = ["Tracking", "Visit", "Visits"]

MAX_TOKEN = 256  # characters; what is longer was never issued
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Whether it is kept when sessions are used, and for how long (`idle`) they may not be."""

    activity: bool = False
    idle: timedelta | None = None

    @property
    def writes(self) -> bool:
        """Whether uses are written down: an idle life cannot be told without."""
        return self.activity or self.idle is not None


class Visits:
    """Recognises sessions, and lets them pass to what their state allows."""

    def __init__(
        self,
        store: Store,
        listed: SessionList,
        clock: Clock,
        tracking: Tracking,
        offered: tuple[str, ...],
    ) -> None:
        self._store = store
        self._offered = offered
        self._listed = listed
        self._clock = clock
        self._tracking = tracking

    async def recognise(
        self, client: Client, token: str | None, *, address: str, user_agent: str
    ) -> Visit:
        """Return the visit that a token stands for: one statement, or none without a token.

        A second one, once a minute, notes the use of a session where that is tracked.

        A token that is unknown, over, or of the other kind of client: raises Gone for `app`; a
        browser is then a visitor without a session.
        """
        visit = Visit(client=client, address=address, user_agent=user_agent, offered=self._offered)
        if not token:
            return visit
        visit = await self._look_up(visit, token)
        if visit.session is None:
            if client is Client.APP:
                raise Gone("The session has ended.")
            return visit
        context.amend(session=recorded_id(visit.session.id))
        return visit

    def admit(self, visit: Visit, access: Access) -> Outcome | None:
        """Return None if `visit` may go on, or what to answer instead."""
        if allows(access, authenticated=visit.authenticated, pending=visit.pending):
            return None
        match access:
            case Access.VERIFY_EMAIL | Access.MFA_SIGNUP_WEBAUTHN:
                return Misfit()
            case Access.MFA_AUTHENTICATE | Access.MFA_TRUST:
                return StageNeeded(visit)
        return LoginNeeded(visit)

    async def _look_up(self, visit: Visit, token: str) -> Visit:
        if len(token) > MAX_TOKEN or not token.isascii():
            return visit
        found = await self._store.find_session(hash_token(token), visit.client)
        now = self._clock()
        if found is None or not is_live(found.session, found.account, now, self._tracking.idle):
            return visit
        session = await self._noted(visit, found.session, now)
        involved = session.authenticated_at is not None or session.login is not None
        return replace(visit, session=session, account=found.account if involved else None)

    async def _noted(self, visit: Visit, session: Session, now: datetime) -> Session:
        """Note the use of a session that is authenticated, unless it was noted a moment ago."""
        if not self._tracking.writes or session.authenticated_at is None:
            return session
        if session.last_seen_at is not None and now - session.last_seen_at < NOTED_EVERY:
            return session
        await self._listed.note_use(
            session, now, every=NOTED_EVERY, ip=visit.address, user_agent=visit.user_agent
        )
        return replace(session, last_seen_at=now)
