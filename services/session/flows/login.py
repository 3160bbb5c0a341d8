"""Logging in with a password."""

from contextlib import suppress
from datetime import datetime

from services.session.domain.faults import MISMATCH, TOO_MANY_ATTEMPTS
from services.session.domain.limits import LOGIN, mail_counters
from services.session.domain.methods import Method, MethodKind
from services.session.domain.sessions import Account
from services.session.domain.stages import Stage
from services.session.events import LoginFailed, LoginLimited
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Throttled, Visit, until
from services.session.flows.passwords import PasswordHasher
from services.session.flows.register import Registrar
from services.session.store import Known, Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Unavailable

PASSWORD = MethodKind.PASSWORD.value


class LoginFlow:
    """The first proof of a login; what is still missing, the engine says."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        registrar: Registrar,
        hasher: PasswordHasher,
        clock: Clock,
    ) -> None:
        self._store = store
        self._engine = engine
        self._registrar = registrar
        self._hasher = hasher
        self._clock = clock

    async def log_in(self, visit: Visit, email: str, password: str) -> Outcome:
        """Begin a login, in place of one that may be under way in the session.

        `email` is canonical. One read and one write; unknown addresses cost the same of both, and
        a hash too. Over the limit nothing is judged.
        """
        if visit.authenticated:
            return Misfit()
        known = await self._known(visit, email)
        limited = await self._limited(known)
        if limited is not None:
            return limited
        account = known.account
        right = await self._hasher.verify(password, account.password_hash if account else None)
        if account is None or not right or account.disabled:
            return await self._wrong(visit, email, known)
        return await self._right(visit, known, account, password)

    async def _known(self, visit: Visit, email: str) -> Known:
        return await self._store.find_by_address(
            email,
            ip=visit.address,
            user_agent=visit.user_agent,
            now=self._clock(),
            action=self._store.limits.counters(LOGIN, ip=visit.address),
        )

    async def _right(self, visit: Visit, known: Known, account: Account, password: str) -> Outcome:
        if account.register.pending is not None:
            limited = await self._beyond(visit, known, account)
            if limited is not None:
                return limited
            account = await self._registrar.settled(account)
        now = self._clock()
        method = Method(kind=MethodKind.PASSWORD, at=now, amr=("pwd",), email=account.email)
        login = self._engine.begin(account, method, now, known.arrival)
        move = self._engine.move(visit, login, account.facts, now)
        written = await self._store.write(
            *self._store.within(known.counters, now),
            self._store.account_stands(account),
            *self._counted(visit, now),
            *move.steps,
            events=move.events,
        )
        if written is None:
            return await self._overtaken(visit, account, move.stage)
        await self._renew_hash(account, password)
        return arrived(visit, move, account)

    async def _beyond(self, visit: Visit, known: Known, account: Account) -> Outcome | None:
        """Return what is said beyond the limit, before anything that only a right password does."""
        if await self._store.write(*self._store.within(known.counters, self._clock())) is not None:
            return None
        limited = await self._limited(await self._known(visit, account.email))
        return limited or Refused((TOO_MANY_ATTEMPTS,))

    async def _renew_hash(self, account: Account, password: str) -> None:
        """Hash a password as it is done now, if it was done otherwise, once it has been accepted.

        Before, the time that it takes would tell a right password that is not to be told. If all
        hashers are busy, the next login is early enough.
        """
        if account.password_hash is None or not self._hasher.is_outdated(account.password_hash):
            return
        with suppress(Unavailable):
            new_hash = await self._hasher.hash(password)
            await self._store.write(self._store.replace_hash(account, new_hash))

    async def _wrong(self, visit: Visit, email: str, known: Known) -> Outcome:
        """Count the failure; the count decides whether the password is called wrong."""
        now = self._clock()
        user_id = None if known.account is None else known.account.id
        counted = await self._store.write(
            *self._store.count(known.counters, now),
            *self._counted(visit, now),
            events=[LoginFailed(user_id=user_id, method=PASSWORD)],
        )
        if counted is not None:
            return Refused((MISMATCH,))
        limited = await self._limited(await self._known(visit, email))
        return limited or Refused((TOO_MANY_ATTEMPTS,))

    def _counted(self, visit: Visit, now: datetime) -> tuple[Step, ...]:
        return self._store.count(self._store.limits.counters(LOGIN, ip=visit.address), now)

    async def _limited(self, known: Known) -> Outcome | None:
        """Return what is answered instead of a judgement, if it is not to be told; None else."""
        ends_at = known.action_until or known.limited_until
        if ends_at is None:
            return None
        user_id = None if known.account is None else known.account.id
        await self._store.record(LoginLimited(user_id=user_id, method=PASSWORD))
        wait = until(ends_at, self._clock())
        return Throttled(wait) if known.action_until else Refused((TOO_MANY_ATTEMPTS,), wait)

    async def _overtaken(self, visit: Visit, account: Account, stage: Stage | None) -> Outcome:
        """Say why a right password was not accepted: others failed, or something changed."""
        limited = await self._limited(await self._known(visit, account.email))
        if limited is not None:
            return limited
        if stage is Stage.VERIFY_EMAIL:
            now = self._clock()
            ends_at = await self._store.spent_until(mail_counters(account.email), now)
            if ends_at is not None:
                return Throttled(until(ends_at, now))
        raise Unavailable("The account or the session changed meanwhile.")
