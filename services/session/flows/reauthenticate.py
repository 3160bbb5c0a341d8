"""Proving oneself again, before something that matters."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pydantic import JsonValue

from services.session.domain.faults import (
    INCORRECT_PASSWORD,
    too_many_attempts,
)
from services.session.domain.identifiers import by_id
from services.session.domain.limits import REAUTHENTICATE
from services.session.domain.methods import Method, MethodKind, add_method
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.register import Register
from services.session.domain.sessions import Account, Client, Session
from services.session.events import (
    Reauthenticated,
    ReauthenticationFailed,
    ReauthenticationLimited,
)
from services.session.flows.outcomes import (
    LoginNeeded,
    Outcome,
    ReauthenticationNeeded,
    Standing,
    Visit,
)
from services.session.flows.password_guesses import PasswordGuesses, Place
from services.session.flows.passwords import PasswordHasher
from services.session.flows.register import Registrar
from services.session.flows.second_factor import (
    REAUTHENTICATION,
    Accepted,
    Proof,
    SecondFactor,
    code,
    credential,
)
from services.session.flows.trust import Recognition
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step
from shared.token import hash_token, new_token

PASSWORD = MethodKind.PASSWORD.value

AT_REAUTHENTICATION = Place(
    action=REAUTHENTICATE,
    wrong=INCORRECT_PASSWORD,
    too_many=too_many_attempts("password"),
    failed=lambda user_id: ReauthenticationFailed(user_id=user_id, method=PASSWORD),
    limited=lambda user_id: ReauthenticationLimited(user_id=user_id, method=PASSWORD),
)


class ReauthenticateFlow:
    """Adds a fresh proof to a session. A browser gets a new token with it."""

    def __init__(
        self,
        store: Store,
        registrar: Registrar,
        second_factor: SecondFactor,
        hasher: PasswordHasher,
        clock: Clock,
        *,
        recognition: Recognition,
        reauthentication: Reauthentication,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._second_factor = second_factor
        self._hasher = hasher
        self._clock = clock
        self._reauthentication = reauthentication
        self._guesses = PasswordGuesses(store, recognition, clock, AT_REAUTHENTICATION)

    def needed(self, visit: Visit, matter: Matter) -> ReauthenticationNeeded | None:
        """Return what the person has to prove before that changes; None if they may go on.

        For pages, which ask before anything is typed. What changes something asks again.
        """
        if visit.logged_in is None:
            return None
        session, account = visit.logged_in
        methods = self._reauthentication.missing(matter, session, account, self._clock())
        return ReauthenticationNeeded(visit, methods) if methods else None

    async def by_password(self, visit: Visit, password: str) -> Outcome:
        """Reauthenticate by password. Failures count like those of a login by password.

        Over the limit nothing is judged, and nothing hashed.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        known = await self._guesses.known(visit, by_id(account.id), account.id)
        limited = await self._guesses.limited(known, account.id)
        if limited is not None:
            return limited
        if not await self._hasher.verify(password, account.password_hash):
            return await self._guesses.wrong(
                visit, by_id(account.id), known, about=account.id, user_id=account.id
            )
        now = self._clock()
        method = Method(kind=MethodKind.PASSWORD, at=now, amr=("pwd",), reauthenticated=True)
        conditions = (
            *self._store.accept_password(known, now),
            self._store.account_stands(account),
            *self._guesses.counted(visit, known, now, account.id),
        )
        standing = await self._proved(visit, session, account, method, *conditions)
        if standing is not None:
            return standing
        limited = await self._guesses.overtaken(
            visit, by_id(account.id), known, about=account.id, user_id=account.id
        )
        return limited or _lost(visit)

    async def by_code(self, visit: Visit, typed: str) -> Outcome:
        """Reauthenticate by a code of an authenticator. Failures count like those of a login."""
        return await self._by_second_factor(visit, code(typed))

    async def ask_for_key(self, visit: Visit) -> Outcome:
        """Have one of the person's keys asked for, in this session alone."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        return await self._second_factor.ask(
            account, session_id=session.id, purpose=REAUTHENTICATION
        )

    async def by_key(self, visit: Visit, answer: Mapping[str, JsonValue]) -> Outcome:
        """Reauthenticate by the answer of a key. Failures count like those of a login."""
        return await self._by_second_factor(visit, credential(answer))

    async def _by_second_factor(self, visit: Visit, proof: Proof) -> Outcome:
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        account = await self._registrar.settled(account)
        proved = await self._second_factor.prove(
            account,
            proof,
            partial(self._accepted, visit, session),
            session_id=session.id,
            purpose=REAUTHENTICATION,
            spot=await self._second_factor.spot(visit, account),
        )
        return proved or _lost(visit)

    async def _accepted(
        self, visit: Visit, session: Session, account: Account, judged: Accepted
    ) -> Standing | None:
        return await self._proved(
            visit, session, account, judged.method, *judged.acceptance, register=judged.register
        )

    async def _proved(
        self,
        visit: Visit,
        session: Session,
        account: Account,
        method: Method,
        *conditions: Step,
        register: Register | None = None,
    ) -> Standing | None:
        """Write the proof into the session, if the conditions hold and the session still is."""
        changed = replace(session, methods=add_method(session.methods, method))
        token = new_token() if visit.client is Client.BROWSER else None
        write = self._store.change_session(changed)
        if token is not None:
            write = self._store.move_session(
                changed, hash_token(token), ip=visit.address, user_agent=visit.user_agent
            )
        event = Reauthenticated(
            user_id=account.id, method=method.kind.value, authenticator_id=method.id
        )
        if await self._store.write(*conditions, write, events=[event]) is None:
            return None
        changed = replace(changed, version=changed.version + 1)
        account = replace(account, register=register or account.register)
        return Standing(visit=replace(visit, session=changed, account=account), token=token)


def _lost(visit: Visit) -> LoginNeeded:
    """The session ended or changed while the proof was being judged."""
    return LoginNeeded(visit.as_nobody)
