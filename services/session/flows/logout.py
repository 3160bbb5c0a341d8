"""Ending a session."""

from services.session.events import LoggedOut
from services.session.flows.outcomes import Outcome, Standing, Visit
from services.session.store import Store


class LogoutFlow:
    """Ends sessions, and logins under way, on the server."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def log_out(self, visit: Visit) -> Outcome:
        """Delete the session of the visit. What is still in flight finds it gone."""
        session = visit.session
        if session is not None:
            user_id = None if visit.account is None else visit.account.id
            await self._store.write(
                self._store.end_session(session.id), events=[LoggedOut(user_id=user_id)]
            )
        return Standing(visit=visit.as_nobody)
