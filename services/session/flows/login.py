"""Logging in with a password."""

from services.session.domain.faults import MISMATCH, TOO_MANY_ATTEMPTS
from services.session.domain.limits import MAILS_PER_ACCOUNT
from services.session.domain.methods import Method, MethodKind
from services.session.domain.sessions import Account
from services.session.domain.stages import Stage
from services.session.events import LoginFailed, LoginLimited
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Throttled, Visit
from services.session.flows.passwords import PasswordHasher
from services.session.flows.register import Registrar
from services.session.store import Store
from shared.clock import Clock
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
        now = self._clock()
        known = await self._store.find_by_address(email, visit.address, now)
        account = known.account
        user_id = None if account is None else account.id
        if known.limited:
            return await self._limited(user_id)
        right = await self._hasher.verify(password, account.password_hash if account else None)
        if account is None or not right or account.disabled:
            return await self._wrong(visit, email, user_id)
        return await self._right(visit, account)

    async def _right(self, visit: Visit, account: Account) -> Outcome:
        account = await self._registrar.settled(account)
        now = self._clock()
        method = Method(kind=MethodKind.PASSWORD, at=now, amr=("pwd",), email=account.email)
        login = self._engine.begin(account, method, now)
        move = self._engine.move(visit, login, account.facts, now)
        written = await self._store.write(
            self._store.within_limits(account.email, visit.address, now),
            self._store.account_stands(account),
            *move.steps,
            events=move.events,
        )
        if written is None:
            return await self._overtaken(visit, account, move.stage)
        return arrived(visit, move, account)

    async def _wrong(self, visit: Visit, email: str, user_id: str | None) -> Outcome:
        """Count the failure; the count decides whether the password is called wrong."""
        counted = await self._store.write(
            *self._store.count_password_failure(email, visit.address, self._clock()),
            events=[LoginFailed(user_id=user_id, method=PASSWORD)],
        )
        return await self._limited(user_id) if counted is None else Refused((MISMATCH,))

    async def _limited(self, user_id: str | None) -> Outcome:
        await self._store.record(LoginLimited(user_id=user_id, method=PASSWORD))
        return Refused((TOO_MANY_ATTEMPTS,))

    async def _overtaken(self, visit: Visit, account: Account, stage: Stage | None) -> Outcome:
        """Say why a right password was not accepted: others failed, or something changed."""
        known = await self._store.find_by_address(account.email, visit.address, self._clock())
        if known.limited:
            return await self._limited(account.id)
        if stage is Stage.VERIFY_EMAIL:
            return Throttled(MAILS_PER_ACCOUNT.window)
        raise Unavailable("The account or the session changed meanwhile.")
