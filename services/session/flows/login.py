"""Logging in with a password."""

from contextlib import suppress
from datetime import datetime

from services.session.domain.faults import MISMATCH, TOO_MANY_ATTEMPTS
from services.session.domain.limits import LOGIN
from services.session.domain.methods import Method, MethodKind
from services.session.domain.sessions import Account
from services.session.domain.stages import Stage
from services.session.events import LoginFailed, LoginLimited
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Visit, until
from services.session.flows.password_guesses import PasswordGuesses, Place
from services.session.flows.passwords import PasswordHasher
from services.session.flows.register import Registrar
from services.session.flows.trust import Recognition
from services.session.store import Known, Store
from shared.clock import Clock
from shared.errors import Unavailable

PASSWORD = MethodKind.PASSWORD.value

AT_LOGIN = Place(
    action=LOGIN,
    wrong=MISMATCH,
    too_many=TOO_MANY_ATTEMPTS,
    failed=lambda user_id: LoginFailed(user_id=user_id, method=PASSWORD),
    limited=lambda user_id: LoginLimited(user_id=user_id, method=PASSWORD),
)


class LoginFlow:
    """The first proof of a login; what is still missing, the engine says."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        registrar: Registrar,
        hasher: PasswordHasher,
        clock: Clock,
        *,
        recognition: Recognition,
    ) -> None:
        self._store = store
        self._engine = engine
        self._registrar = registrar
        self._recognition = recognition
        self._hasher = hasher
        self._clock = clock
        self._guesses = PasswordGuesses(store, recognition, clock, AT_LOGIN)

    async def log_in(self, visit: Visit, email: str, password: str) -> Outcome:
        """Begin a login, in place of one that may be under way in the session.

        `email` is canonical. One read and one write; unknown addresses cost the same of both, and
        a hash too. Over the limit nothing is judged, but in a browser that the owner trusts. One
        that shows what trusted ones have is asked about, after a right password and a write more;
        over the limit before any password.
        """
        if visit.authenticated:
            return Misfit()
        known = await self._guesses.known(visit, email)
        account = known.account
        user_id = None if account is None else account.id
        limited = await self._guesses.limited(known, user_id)
        if limited is not None:
            return limited
        right = await self._hasher.verify(password, account.password_hash if account else None)
        if account is None or not right or account.disabled:
            return await self._guesses.wrong(visit, email, known, about=user_id)
        return await self._right(visit, known, account, password)

    async def _right(self, visit: Visit, known: Known, account: Account, password: str) -> Outcome:
        if account.register.pending is not None or self._recognition.has_to_ask(visit, account):
            # Only a right password comes here: over the limit nothing may tell that, nor how long
            # it takes to ask others.
            within = self._guesses.within(visit, known, self._clock())
            if await self._store.write(*within) is None:
                return await self._guesses.beyond(visit, account.email, known, about=account.id)
            account = await self._registrar.settled(account)
        now = self._clock()
        method = Method(kind=MethodKind.PASSWORD, at=now, amr=("pwd",), email=account.email)
        login = self._engine.begin(
            account, method, now, known.arrival, asks_trust=self._recognition.asks(visit)
        )
        recognised = await self._recognition.recognise(visit, login, account)
        move = self._engine.move(visit, recognised.login, account.facts, now)
        written = await self._store.write(
            *self._store.accept_password(known, now),
            self._store.account_stands(account),
            *self._guesses.counted(visit, now),
            *move.steps,
            events=move.events,
        )
        if written is None:
            return await self._overtaken(visit, known, account, move.stage)
        await self._renew_hash(account, password)
        return arrived(visit, move, account, trust_tokens=recognised.tokens)

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

    async def _overtaken(
        self, visit: Visit, known: Known, account: Account, stage: Stage | None
    ) -> Outcome:
        """Say why a right password was not accepted: others failed, or something changed."""
        limited = await self._guesses.overtaken(visit, account.email, known, about=account.id)
        if limited is not None:
            return limited
        return await lost(self._store, visit, account, stage, self._clock())


async def lost(
    store: Store, visit: Visit, account: Account, stage: Stage | None, now: datetime
) -> Refused:
    """Return why a login could not be moved to `stage`, if that is for a want of mails.

    Raises Unavailable else: the account or the session has changed.
    """
    if stage is Stage.VERIFY_EMAIL:
        mails = store.limits.mails(address=account.email, ip=visit.address)
        ends_at = await store.spent_until(mails, now)
        if ends_at is not None:  # as allauth says it
            return Refused((TOO_MANY_ATTEMPTS,), until(ends_at, now))
    raise Unavailable("The account or the session changed meanwhile.")
