"""Logging in with a password."""

from contextlib import suppress
from datetime import datetime

from services.session.domain.faults import MISMATCH, TOO_MANY_ATTEMPTS, USERNAME_MISMATCH
from services.session.domain.identifiers import Identifier, LoginMethod
from services.session.domain.limits import LOGIN
from services.session.domain.methods import Method, MethodKind
from services.session.domain.sessions import Account
from services.session.domain.stages import Login
from services.session.events import LoginFailed, LoginLimited
from services.session.flows.engine import Engine, Move, arrived
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
WRONG = {LoginMethod.EMAIL: MISMATCH, LoginMethod.USERNAME: USERNAME_MISMATCH}
"""What is said of a wrong password, by what was typed beside it."""


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

    async def log_in(self, visit: Visit, name: Identifier, password: str) -> Outcome:
        """Begin a login, in place of one that may be under way in the session.

        One read and one write; unknown names cost the same of both, and a hash too. Over the limit
        nothing is judged, but in a browser that the owner trusts. One that shows what trusted ones
        have is asked about, after a right password and a write more; over the limit before any
        password, after a write more that counts the attempt.
        """
        if visit.authenticated:
            return Misfit()
        known = await self._guesses.known(visit, name)
        account = known.account
        user_id = None if account is None else account.id
        limited = await self._guesses.limited(known, user_id)
        if limited is not None:
            return limited
        right = await self._hasher.verify(password, account.password_hash if account else None)
        if account is None or not right or account.disabled:
            wrong = WRONG[name.method]
            return await self._guesses.wrong(visit, name, known, about=user_id, wrong=wrong)
        return await self._right(visit, name, known, account, password)

    async def _right(
        self, visit: Visit, name: Identifier, known: Known, account: Account, password: str
    ) -> Outcome:
        login = self._begun(visit, name, known, account)
        if account.register.pending is not None or self._recognition.has_to_ask(
            visit, login, account
        ):
            # Only a right password comes here: over the limit nothing may tell that, nor how long
            # it takes to ask others.
            within = self._guesses.within(visit, known, self._clock())
            if await self._store.write(*within) is None:
                return await self._guesses.beyond(visit, name, known, about=account.id)
            account = await self._registrar.settled(account)
            login = self._begun(visit, name, known, account)
        recognised = await self._recognition.recognise(visit, login, account)
        now = self._clock()
        move = self._engine.move(visit, recognised.login, account.facts, now)
        written = await self._engine.write(
            move,
            now,
            *self._store.accept_password(known, now),
            self._store.account_stands(account),
            *self._guesses.counted(visit, known, now),
        )
        if written is None:
            return await self._overtaken(visit, name, known, account, move)
        await self._renew_hash(account, password)
        return arrived(visit, move, account, trust_tokens=recognised.tokens)

    def _begun(self, visit: Visit, name: Identifier, known: Known, account: Account) -> Login:
        now = self._clock()
        by_email = name.method is LoginMethod.EMAIL
        method = Method(
            kind=MethodKind.PASSWORD,
            at=now,
            amr=("pwd",),
            email=name.address if by_email else None,
            username=None if by_email else name.typed,
        )
        login = self._engine.begin(
            account,
            method,
            now,
            known.arrival,
            email=name.address,
            verified=known.address_verified,
            asks_trust=self._recognition.asks(visit),
        )
        return self._engine.besides(visit, login)

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
        self, visit: Visit, name: Identifier, known: Known, account: Account, move: Move
    ) -> Outcome:
        """Say why a right password was not accepted: others failed, or something changed."""
        limited = await self._guesses.overtaken(visit, name, known, about=account.id)
        if limited is not None:
            return limited
        told = LoginLimited(user_id=account.id, method=PASSWORD)
        return await lost(self._store, move, self._clock(), told)


async def lost(store: Store, move: Move, now: datetime, told: LoginLimited) -> Refused:
    """Return why a login could not be moved on, if that is for a want of mails, which is `told`.

    Raises Unavailable else: the account or the session has changed.
    """
    if move.letter is not None:
        ends_at = await store.spent_until(move.letter.counters, now)
        if ends_at is not None:  # as allauth says it
            await store.record(told)
            return Refused((TOO_MANY_ATTEMPTS,), until(ends_at, now))
    raise Unavailable("The account or the session changed meanwhile.")
