"""Signing up with e-mail and password."""

from dataclasses import replace

from services.session.domain.limits import SIGNUPS_PER_ADDRESS, origin_key
from services.session.domain.mails import MailKind
from services.session.domain.passwords import password_faults
from services.session.domain.sessions import NOBODY
from services.session.domain.stages import Login
from services.session.events import SignedUp, SignupLimited, SignupRepeated
from services.session.flows.engine import ID_BYTES, Engine, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Throttled, Visit
from services.session.flows.passwords import PasswordHasher
from services.session.store import Store
from shared.clock import Clock
from shared.errors import Conflict
from shared.token import new_token

SIGNUP = "signup"


class SignupFlow:
    """Makes accounts. Nobody learns here whether an address has one."""

    def __init__(self, store: Store, engine: Engine, hasher: PasswordHasher, clock: Clock) -> None:
        self._store = store
        self._engine = engine
        self._hasher = hasher
        self._clock = clock

    async def sign_up(self, visit: Visit, email: str, password: str) -> Outcome:
        """Make an account and begin its login, which waits for the code that is mailed.

        `email` is canonical. If it is taken, the same work is done and the same answer given, the
        login leads nowhere, and the owner of the address is told by mail.
        """
        faults = password_faults(password, email=email)
        if faults:
            return Refused(tuple(faults))
        if visit.authenticated:
            return Misfit()
        password_hash = await self._hasher.hash(password)
        try:
            return await self._write(visit, email, password_hash)
        except Conflict:  # the address was free when it was looked up, and is so no more
            return await self._write(visit, email, password_hash)

    async def _write(self, visit: Visit, email: str, password_hash: str) -> Outcome:
        now = self._clock()
        known = await self._store.find_by_address(email, visit.address, now)
        user_id, taken = new_token(ID_BYTES), known.account is not None
        login = Login(id=new_token(ID_BYTES), user_id=user_id, email=email, started_at=now)
        mail = MailKind.ACCOUNT_EXISTS if taken else MailKind.VERIFICATION_CODE
        move = self._engine.move(visit, login, NOBODY, now, mail=mail)
        event = (
            SignedUp(user_id=user_id)
            if known.account is None
            else SignupRepeated(user_id=known.account.id)
        )
        written = await self._store.write(
            self._store.count(origin_key(SIGNUP, visit.address), SIGNUPS_PER_ADDRESS, now),
            *move.steps,
            *self._store.sign_up(
                user_id=user_id,
                email_id=new_token(ID_BYTES),
                address=email,
                password_hash=password_hash,
                fresh=not taken,
                now=now,
            ),
            events=[event],
        )
        if written is not None:
            return arrived(visit, move, None)
        if visit.session is not None:  # it may only have moved on or ended meanwhile
            return await self._write(replace(visit, session=None), email, password_hash)
        await self._store.record(SignupLimited(user_id=None))
        return Throttled(SIGNUPS_PER_ADDRESS.window)
