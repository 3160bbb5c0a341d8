"""Proving to own an address, by the code that was mailed to it."""

from collections.abc import Sequence
from dataclasses import replace

from services.session.domain.faults import incorrect_code
from services.session.domain.origins import origin_of
from services.session.domain.sessions import Account, Session
from services.session.domain.stages import Login, Stage, pass_stage
from services.session.events import AccountReclaimed, EmailVerificationFailed, EmailVerified
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Visit
from services.session.store import Store
from services.session.store.credentials import forget_origins, set_password
from shared.clock import Clock
from shared.database import Step
from shared.event import Event


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
        turned on meanwhile is not passed by. Who signed up for an account that nobody has got into
        has it by the same write, unless somebody has got into it meanwhile.
        """
        session = visit.session
        if session is None or session.login is None or visit.pending is not Stage.VERIFY_EMAIL:
            return Misfit()
        right = self._engine.is_code(session.login, key)
        if visit.account is None or not right:
            return await self._wrong(visit, session, session.login)
        if session.login.reclaims:
            return await self._reclaim(visit, session.login, visit.account)
        account = replace(visit.account, email_verified=True)
        return await self._pass(
            visit,
            pass_stage(session.login, Stage.VERIFY_EMAIL),
            account,
            self._store.account_stands(visit.account, held=True),
        )

    async def _reclaim(self, visit: Visit, login: Login, found: Account) -> Outcome:
        """Pass the stage, and let the account begin anew: other logins to it end with that."""
        if not found.is_unfinished:
            return Misfit()
        account = replace(
            found,
            email_verified=True,
            password_hash=login.password_hash,
            factor_epoch=found.factor_epoch + 1,
            session_epoch=found.session_epoch + 1,
        )
        passed = replace(
            pass_stage(login, Stage.VERIFY_EMAIL),
            factor_epoch=account.factor_epoch,
            session_epoch=account.session_epoch,
            reclaims=False,
            password_hash=None,
        )
        return await self._pass(
            visit,
            passed,
            account,
            set_password(found, login.password_hash),
            forget_origins(found.id, but=origin_of(visit.address, visit.user_agent)),
            first=not found.email_verified,
            along=[AccountReclaimed(user_id=found.id)],
        )

    async def _pass(
        self,
        visit: Visit,
        login: Login,
        account: Account,
        *conditions: Step,
        first: bool = False,
        along: Sequence[Event] = (),
    ) -> Outcome:
        now = self._clock()
        move = self._engine.move(visit, login, account.facts, now)
        written = await self._store.write(
            *conditions,
            *move.steps,
            self._store.verify_email(account.id, login.email, now, first=first),
            events=[*along, EmailVerified(user_id=account.id), *move.events],
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
