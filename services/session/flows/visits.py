"""Who is calling, and whether they may: the first thing that every request asks."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.session.domain.access import Access, allows
from services.session.domain.codes import CodeRules
from services.session.domain.methods import amr
from services.session.domain.sessions import Client, Session, is_live, recorded_id
from services.session.flows.access_tokens import AccessTokens
from services.session.flows.outcomes import (
    Gone,
    LoginNeeded,
    Misfit,
    Outcome,
    StageNeeded,
    Visit,
)
from services.session.store import Found, Store
from services.session.store.session_list import SessionList
from shared import context
from shared.clock import Clock
from shared.token import hash_token

__all__ = ["Tracking", "Visit", "Visits"]

MAX_TOKEN = 256  # characters; what is longer was never issued
NOTED_EVERY = timedelta(minutes=1)
MISFITS = frozenset(
    {
        Access.LOGIN_BY_CODE,
        Access.ADDRESS_PROOF,
        Access.PASSWORD_RESET,
        Access.MFA_SIGNUP_WEBAUTHN,
    }
)
"""What does not fit a session in another state, whether or not somebody is logged in."""


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Whether it is kept when sessions are used, and for how long (`idle`) they may not be."""

    activity: bool = False
    idle: timedelta | None = None

    @property
    def writes(self) -> bool:
        """Whether uses are written down: an idle life cannot be told without."""
        return self.activity or self.idle is not None

    def notes(self, session: Session, now: datetime) -> bool:
        """Tell whether a use of `session` is to be written down, as it is once a minute."""
        if not self.writes or session.authenticated_at is None:
            return False
        return session.last_seen_at is None or now - session.last_seen_at >= NOTED_EVERY


class Visits:
    """Recognises sessions, and lets them pass to what their state allows."""

    def __init__(
        self,
        store: Store,
        listed: SessionList,
        clock: Clock,
        tracking: Tracking,
        offered: tuple[str, ...],
        *,
        access_tokens: AccessTokens,
        resets: CodeRules,
    ) -> None:
        self._store = store
        self._offered = offered
        self._listed = listed
        self._clock = clock
        self._tracking = tracking
        self._access_tokens = access_tokens
        self._resets = resets

    async def recognise(
        self,
        client: Client,
        token: str | None,
        *,
        address: str,
        user_agent: str,
        access_token: str | None = None,
    ) -> Visit:
        """Return the visit that a token stands for: one statement, or none without a token.

        A second one, once a minute, notes the use of a session where that is tracked.

        A token that is unknown, over, or of the other kind of client: raises Gone for `app`; a
        browser is then a visitor without a session. In place of a token, an access token stands
        for its session; one that is none of ours, or has expired, counts as none.
        """
        visit = Visit(client=client, address=address, user_agent=user_agent, offered=self._offered)
        claims = None if token else self._access_tokens.read(access_token)
        if token:
            found = await self._find(client, token)
        elif claims is not None:
            found = await self._access_tokens.find(claims)
        else:
            return visit
        visit = await self._in_session(visit, found)
        if visit.session is None:
            if client is Client.APP and not (claims and self._access_tokens.stateful):
                raise Gone("The session has ended.")
            return visit
        context.amend(session=recorded_id(visit.session.id), amr=_proofs(visit.session))
        return visit

    def admit(self, visit: Visit, access: Access) -> Outcome | None:
        """Return None if `visit` may go on, or what to answer instead."""
        if allows(
            access,
            authenticated=visit.authenticated,
            pending=visit.pending,
            resets=visit.resets,
        ):
            return None
        if access in MISFITS:
            return Misfit()
        match access:
            case Access.MFA_AUTHENTICATE | Access.MFA_TRUST:
                return StageNeeded(visit)
        return LoginNeeded(visit)

    async def _find(self, client: Client, token: str) -> Found | None:
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        return await self._store.find_session(hash_token(token), client)

    async def _in_session(self, visit: Visit, found: Found | None) -> Visit:
        """Return the visit in a session that was found, if that is live."""
        now = self._clock()
        if found is None or not is_live(found.session, found.account, now, self._tracking.idle):
            return visit
        session = await self._noted(visit, found.session, now)
        session = replace(session, processes=session.processes.at(now, self._resets))
        involved = session.authenticated_at is not None or session.login is not None
        return replace(visit, session=session, account=found.account if involved else None)

    async def _noted(self, visit: Visit, session: Session, now: datetime) -> Session:
        """Note the use of a session that is authenticated, unless it was noted a moment ago."""
        if not self._tracking.notes(session, now):
            return session
        await self._listed.note_use(
            session, now, every=NOTED_EVERY, ip=visit.address, user_agent=visit.user_agent
        )
        return replace(session, last_seen_at=now)


def _proofs(session: Session) -> str | None:
    """Return how the person has proved themselves in `session` so far, for the record."""
    methods = session.login.methods if session.login is not None else session.methods
    return " ".join(amr(methods)) or None
