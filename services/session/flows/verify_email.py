"""Proving to own an address, by the code that was mailed to it."""

from dataclasses import replace

from services.session.domain.faults import incorrect_code
from services.session.domain.sessions import Session
from services.session.domain.stages import Login, Stage, pass_stage
from services.session.events import EmailVerificationFailed, EmailVerified
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Visit
from services.session.store import Store
from shared.clock import Clock


class VerifyEmailFlow:
    """The e-mail verification stage."""

    def __init__(self, store: Store, engine: Engine, clock: Clock) -> None:
        self._store = store
        self._engine = engine
        self._clock = clock

    async def verify(self, visit: Visit, key: str) -> Outcome:
        """Pass the stage if `key` is the code. The third wrong one ends the login.

        One write, which holds only for the state that was read: two requests with one code pass
        the stage once, however many guess at once, three are judged, and a second factor that was
        turned on meanwhile is not passed by.
        """
        session = visit.session
        if session is None or session.login is None or visit.pending is not Stage.VERIFY_EMAIL:
            return Misfit()
        right = self._engine.is_code(session.login, key)
        if visit.account is None or not right:
            return await self._wrong(visit, session, session.login)
        now = self._clock()
        account = replace(visit.account, email_verified=True)
        login = pass_stage(session.login, Stage.VERIFY_EMAIL)
        move = self._engine.move(visit, login, account.facts, now)
        written = await self._store.write(
            self._store.account_stands(visit.account),
            *move.steps,
            self._store.verify_email(account.id, login.email, now),
            events=[EmailVerified(user_id=account.id), *move.events],
        )
        return Misfit() if written is None else arrived(visit, move, account)

    async def _wrong(self, visit: Visit, session: Session, login: Login) -> Outcome:
        user_id = None if visit.account is None else visit.account.id
        code = login.code.failed() if login.code else None
        # A login without a code to wait for is over; its session is empty, but not gone.
        left = replace(login, code=code) if code else None
        counted = await self._store.write(
            self._store.change_session(replace(session, login=left)),
            events=[EmailVerificationFailed(user_id=user_id, ended=left is None)],
        )
        return Misfit() if counted is None else Refused((incorrect_code("key"),))
