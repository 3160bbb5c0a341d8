"""Signing up with e-mail and password, or with e-mail alone and a passkey later."""

from collections.abc import Sequence
from dataclasses import replace

from services.session.domain.faults import Fault
from services.session.domain.limits import SIGNUP, Counter
from services.session.domain.mails import MailKind
from services.session.domain.passwords import PasswordRules, password_faults
from services.session.domain.sessions import NOBODY, Account
from services.session.domain.stages import Login
from services.session.events import SignedUp, SignupLimited, SignupRepeated
from services.session.flows.engine import ID_BYTES, Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Throttled, Visit, until
from services.session.flows.passwords import PasswordHasher
from services.session.store import Known, Store
from shared.clock import Clock
from shared.errors import Conflict
from shared.token import new_token


class SignupFlow:
    """Makes accounts. Nobody learns here whether an address has one."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        hasher: PasswordHasher,
        clock: Clock,
        rules: PasswordRules,
    ) -> None:
        self._store = store
        self._engine = engine
        self._hasher = hasher
        self._clock = clock
        self._rules = rules

    async def sign_up(
        self,
        visit: Visit,
        email: str | None,
        password: str | None,
        *,
        faults: Sequence[Fault] = (),
    ) -> Outcome:
        """Make an account and begin its login, which waits for the code that is mailed.

        `email` is canonical. If it is taken, the same work is done and the same answer given, the
        login leads nowhere, and the owner of the address is told by mail. An account that nobody
        can get into does not take it: a code is mailed, and whoever gives it has the account with
        this password. One read and one write; over the limit of the origin nothing is hashed.
        `faults` are those of what could not be read, and is None here; what is wrong with the
        password is told along with them.
        """
        weak = password_faults(password, self._rules, email=email) if password else ()
        if faults or weak or email is None or password is None:
            return Refused((*faults, *weak))
        if visit.authenticated:
            return Misfit()
        known = await self._known(visit, email)
        if known.action_until:  # hashing is what an origin could keep all cores busy with
            return await self._limited(visit, email)
        password_hash = await self._hasher.hash(password)
        return await self._made(visit, email, password_hash, known.account)

    async def sign_up_by_passkey(
        self, visit: Visit, email: str | None, *, faults: Sequence[Fault] = ()
    ) -> Outcome:
        """Make an account without a password; its passkey is made once the address is verified.

        Otherwise as `sign_up`.
        """
        if faults or email is None:
            return Refused(tuple(faults))
        if visit.authenticated:
            return Misfit()
        known = await self._known(visit, email)
        if known.action_until:
            return await self._limited(visit, email)
        return await self._made(visit, email, None, known.account)

    async def _made(
        self, visit: Visit, email: str, password_hash: str | None, owner: Account | None
    ) -> Outcome:
        try:
            return await self._write(visit, email, password_hash, owner)
        except Conflict:  # the address was free when it was looked up, and is so no more
            known = await self._known(visit, email)
            return await self._write(visit, email, password_hash, known.account)

    async def _known(self, visit: Visit, email: str) -> Known:
        return await self._store.find_by_address(
            email,
            ip=visit.address,
            user_agent=visit.user_agent,
            now=self._clock(),
            action=self._counters(visit),
        )

    def _counters(self, visit: Visit) -> tuple[Counter, ...]:
        return self._store.limits.counters(SIGNUP, ip=visit.address)

    async def _write(
        self, visit: Visit, email: str, password_hash: str | None, owner: Account | None
    ) -> Outcome:
        now = self._clock()
        user_id = new_token(ID_BYTES)
        login = Login(
            id=new_token(ID_BYTES),
            user_id=user_id,
            email=email,
            started_at=now,
            by_passkey=password_hash is None,
        )
        mail = MailKind.VERIFICATION_CODE
        if owner is not None and owner.is_unfinished:
            login = _reclaiming(login, owner, password_hash)
        elif owner is not None:
            mail = MailKind.ACCOUNT_EXISTS
        move = self._engine.move(visit, login, NOBODY, now, mail=mail)
        event = SignedUp(user_id=user_id) if owner is None else SignupRepeated(user_id=owner.id)
        written = await self._store.write(
            *self._store.count(self._counters(visit), now),
            *move.steps,
            *self._store.sign_up(
                user_id=user_id,
                email_id=new_token(ID_BYTES),
                address=email,
                password_hash=password_hash,
                fresh=owner is None,
                now=now,
            ),
            events=[event],
        )
        if written is not None:
            return arrived(visit, move, None)
        if visit.session is not None:  # it may only have moved on or ended meanwhile
            return await self._write(replace(visit, session=None), email, password_hash, owner)
        return await self._limited(visit, email)

    async def _limited(self, visit: Visit, email: str) -> Outcome:
        """Put on record that a sign-up was refused. It counts for its origin all the same."""
        now = self._clock()
        counters = self._counters(visit)
        counted = (replace(s, required=False) for s in self._store.count(counters, now))
        await self._store.write(*counted, events=[SignupLimited(user_id=None)])
        mails = self._store.limits.mails(address=email, ip=visit.address)
        ends_at = await self._store.spent_until((*counters, *mails), now)
        return Throttled(until(ends_at or now, now))


def _reclaiming(login: Login, owner: Account, password_hash: str | None) -> Login:
    """Return `login` as one to the account of `owner`, as it is now, once the code is given."""
    return replace(
        login,
        user_id=owner.id,
        factor_epoch=owner.factor_epoch,
        session_epoch=owner.session_epoch,
        reclaims=True,
        password_hash=password_hash,
    )
