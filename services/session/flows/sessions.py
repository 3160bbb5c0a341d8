"""A person's sessions: shown, ended one by one, or all at once."""

from collections.abc import Sequence

from services.session.domain.faults import not_a_choice
from services.session.domain.origins import origin_of
from services.session.domain.sessions import Account, Session, recorded_id
from services.session.events import SessionEnded, SessionsEnded
from services.session.flows.outcomes import (
    LoginNeeded,
    Outcome,
    Refused,
    Sessions,
    Standing,
    Visit,
)
from services.session.store import Store
from services.session.store.credentials import end_everything, forget_origins
from services.session.store.session_list import SessionList
from shared.clock import Clock


class SessionsFlow:
    """What a person sees of their sessions, and how they end them."""

    def __init__(
        self, store: Store, listed: SessionList, clock: Clock, *, track_activity: bool
    ) -> None:
        self._store = store
        self._listed = listed
        self._clock = clock
        self._tracked = track_activity

    async def list(self, visit: Visit) -> Outcome:
        """Show the live sessions of who is logged in, by apps and browsers alike."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        return await self._shown(account, session)

    async def end(self, visit: Visit, ids: Sequence[str]) -> Outcome:
        """End some of the person's own sessions. If one is none of them, nothing is ended."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        live = await self._listed.among(ids, account, self._clock())
        if strange := [own for own in ids if own not in live]:
            return Refused((not_a_choice("sessions", strange[0]),))
        ended = [SessionEnded(user_id=account.id, session=recorded_id(own)) for own in sorted(live)]
        await self._store.write(self._listed.end(sorted(live), account), events=ended)
        if session.id in live:
            return Standing(visit=visit.as_nobody)
        return await self._shown(account, session)

    async def end_all(self, visit: Visit) -> Outcome:
        """End every session and every login under way of the person: one UPDATE, however many.

        If somebody else has just done so, or changed the password, then that is done too.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        await self._store.write(
            end_everything(account),
            forget_origins(account.id, but=origin_of(visit.address, visit.user_agent)),
            events=[SessionsEnded(user_id=account.id)],
        )
        return Standing(visit=visit.as_nobody)

    async def _shown(self, account: Account, session: Session) -> Sessions:
        listed = await self._listed.live(account, session, self._clock())
        return Sessions(tuple(listed), tracked=self._tracked)
