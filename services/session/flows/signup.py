"""Signing up with e-mail and password."""

from collections.abc import Sequence
from dataclasses import replace

from services.session.domain.faults import Fault
from services.session.domain.limits import SIGNUPS_PER_ADDRESS
from services.session.domain.mails import MailKind
from services.session.domain.passwords import password_faults
from services.session.domain.sessions import NOBODY, Account
from services.session.domain.stages import Login
from services.session.events import SignedUp, SignupLimited, SignupRepeated
from services.session.flows.engine import ID_BYTES, Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Throttled, Visit
from services.session.flows.passwords import PasswordHasher
from services.session.store import Store
from shared.clock import Clock
from shared.errors import Conflict
from shared.token import new_token


class SignupFlow:
    """Makes accounts. Nobody learns here whether an address has one."""

    def __init__(self, store: Store, engine: Engine, hasher: PasswordHasher, clock: Clock) -> None:
        self._store = store
        self._engine = engine
        self._hasher = hasher
        self._clock = clock

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
        login leads nowhere, and the owner of the address is told by mail. One read and one write;
        over the limit of the origin nothing is hashed.
        `faults` are those of what could not be read, and is None here; what is wrong with the
        password is told along with them.
        """
        weak = password_faults(password, email=email) if password else ()
        if faults or weak or email is None or password is None:
            return Refused((*faults, *weak))
        if visit.authenticated:
            return Misfit()
        known = await self._store.find_by_address(email, visit.address, self._clock())
        if known.signups_limited:  # hashing is what an origin could keep all cores busy with
            return await self._limited(visit)
        password_hash = await self._hasher.hash(password)
        try:
            return await self._write(visit, email, password_hash, known.account)
        except Conflict:  # the address was free when it was looked up, and is so no more
            known = await self._store.find_by_address(email, visit.address, self._clock())
            return await self._write(visit, email, password_hash, known.account)

    async def _write(
        self, visit: Visit, email: str, password_hash: str, owner: Account | None
    ) -> Outcome:
        now = self._clock()
        user_id = new_token(ID_BYTES)
        login = Login(id=new_token(ID_BYTES), user_id=user_id, email=email, started_at=now)
        mail = MailKind.VERIFICATION_CODE if owner is None else MailKind.ACCOUNT_EXISTS
        move = self._engine.move(visit, login, NOBODY, now, mail=mail)
        event = SignedUp(user_id=user_id) if owner is None else SignupRepeated(user_id=owner.id)
        written = await self._store.write(
            self._store.count_signup(visit.address, now),
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
        return await self._limited(visit)

    async def _limited(self, visit: Visit) -> Outcome:
        """Put on record that a sign-up was refused. It counts for its origin all the same."""
        counted = replace(self._store.count_signup(visit.address, self._clock()), required=False)
        await self._store.write(counted, events=[SignupLimited(user_id=None)])
        return Throttled(SIGNUPS_PER_ADDRESS.window)
