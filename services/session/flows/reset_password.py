"""Setting the password of an account by what was mailed: a code, or the key in a link."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from services.session.domain.faults import INVALID_RESET_KEY, Fault, incorrect_code
from services.session.domain.limits import RESET_PASSWORD_FROM_KEY, Counter
from services.session.domain.mails import MailKind
from services.session.domain.methods import MAILED_CODE, Method, MethodKind
from services.session.domain.origins import Arrival
from services.session.domain.password_reset import PasswordResets, gets_reset
from services.session.domain.passwords import PasswordRules, password_faults
from services.session.domain.processes import PasswordReset
from services.session.domain.sessions import Account, Session, recorded_id
from services.session.events import (
    EmailVerified,
    PasswordResetFailed,
    PasswordResetLimited,
    PasswordWasReset,
)
from services.session.flows.engine import Engine, Move, arrived
from services.session.flows.notices import Notices
from services.session.flows.outcomes import (
    Misfit,
    Outcome,
    Refused,
    ResetShown,
    Standing,
    Throttled,
    Visit,
    until,
)
from services.session.flows.password_reset_mails import PasswordResetMails
from services.session.flows.passwords import PasswordHasher
from services.session.flows.register import Registrar
from services.session.flows.trust import Recognition
from services.session.store import Store
from services.session.store.credentials import forget_origins, set_password
from services.session.store.emails import Address, Emails
from shared.clock import Clock
from shared.database import Row, Step
from shared.errors import Unavailable

KEY = "key"
PASSWORD = "password"  # noqa: S105 - the name of a member


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose password is set, by who reads the mails to `address`, and where they are now."""

    account: Account
    arrival: Arrival
    address: Address


@dataclass(frozen=True, kw_only=True)
class Left:
    """The session as the reset leaves it, if it logs nobody in, and what is written for that."""

    visit: Visit
    steps: tuple[Step, ...]


class ResetPasswordFlow:
    """Shows whose password a key is for, and sets it."""

    def __init__(
        self,
        store: Store,
        emails: Emails,
        engine: Engine,
        registrar: Registrar,
        clock: Clock,
        *,
        notices: Notices,
        hasher: PasswordHasher,
        mails: PasswordResetMails,
        recognition: Recognition,
        resets: PasswordResets,
        rules: PasswordRules,
    ) -> None:
        self._store = store
        self._emails = emails
        self._engine = engine
        self._registrar = registrar
        self._notices = notices
        self._hasher = hasher
        self._clock = clock
        self._mails = mails
        self._recognition = recognition
        self._resets = resets
        self._rules = rules

    async def show(self, visit: Visit, key: str | None, *, faults: Sequence[Fault] = ()) -> Outcome:
        """Show whose password `key` is for. A wrong code counts as one, the right one stays good.

        The time for it begins anew with that, once. `faults` are those of what could not be read,
        and is None here; that is no guess, since any page can have a browser ask for nothing.
        """
        if not self._resets.by_code:
            if key is None:
                return Refused(tuple(faults))
            owner = await self._linked(visit, key)
            return Refused((INVALID_RESET_KEY,)) if owner is None else ResetShown(owner.account)
        waiting = _waiting(visit)
        if waiting is None:
            return Misfit()
        if key is None:
            return Refused(tuple(faults))
        session, reset = waiting
        owner = await self._given(visit, reset, key)
        if owner is None:
            return await self._wrong(session, reset, (incorrect_code(KEY),))
        if reset.confirmed_at is None:
            confirmed = _with(session, reset.confirmed(self._clock()))
            if await self._store.write(self._store.change_session(confirmed)) is None:
                return Misfit()
        return ResetShown(owner.account)

    async def reset(
        self,
        visit: Visit,
        key: str | None,
        password: str | None,
        *,
        faults: Sequence[Fault] = (),
    ) -> Outcome:
        """Set the password of whom `key` was mailed to. It counts for where it is asked from.

        That ends every session, login under way and trust of the account, and lifts what wrong
        passwords were counted; it logs nobody in, unless that is chosen, and then through all
        stages. `faults` are as in `show`, but what is no code is a wrong one. A password that will
        not do leaves the key as good as it was.

        One write, which holds only for the account and the session that were read: of two at once
        with one key, one sets the password. Nothing is hashed for a wrong key, nor over the limit.
        """
        if not self._resets.by_code:
            return await self._by_link(visit, key, password, faults)
        waiting = _waiting(visit)
        if waiting is None:
            return Misfit()
        session, reset = waiting
        owner = None if key is None else await self._given(visit, reset, key)
        weak = self._weak(password, owner, reset)
        if owner is None:
            told = _told(faults, incorrect_code(KEY), weak)
            return await self._wrong(session, reset, told, self._counters(visit))
        return await self._judged(visit, owner, password, (*faults, *weak))

    async def _by_link(
        self, visit: Visit, key: str | None, password: str | None, faults: Sequence[Fault]
    ) -> Outcome:
        owner = None if key is None else await self._linked(visit, key)
        if owner is None:
            failed = PasswordResetFailed(user_id=None, ended=False)
            return await self._refused(visit, _told(faults, INVALID_RESET_KEY), failed)
        return await self._judged(visit, owner, password, (*faults, *self._weak(password, owner)))

    async def _judged(
        self, visit: Visit, owner: Owner, password: str | None, faults: tuple[Fault, ...]
    ) -> Outcome:
        if password is None or faults:
            return await self._refused(visit, faults)
        return await self._set(visit, owner, password)

    # What was mailed

    async def _linked(self, visit: Visit, key: str) -> Owner | None:
        """Return whose password a link sets, if it still does. Two reads, if it may be a key."""
        read = self._mails.read_link(key, self._clock())
        if read is None:
            return None
        return await self._owner(
            visit,
            read.user_id,
            lambda account, address: self._mails.is_for(read, account, address),
        )

    async def _given(self, visit: Visit, reset: PasswordReset, key: str) -> Owner | None:
        """Return whose password a code sets, if it is the one that is awaited.

        Two reads if so, and none if not: where nobody was mailed it, it never is.
        """
        if not self._mails.is_code(reset.id, reset.code, key):
            return None
        epochs = (reset.factor_epoch, reset.session_epoch)
        return await self._owner(
            visit,
            reset.user_id,
            lambda account, address: (
                address == reset.address and (account.factor_epoch, account.session_epoch) == epochs
            ),
        )

    async def _owner(
        self, visit: Visit, user_id: str, is_for: Callable[[Account, str], bool]
    ) -> Owner | None:
        found = await self._store.find_arriving(
            user_id, ip=visit.address, user_agent=visit.user_agent
        )
        if found is None or found[0].disabled:
            return None
        account, arrival = found
        listed = await self._emails.list(account.id)
        any_verified = any(address.verified for address in listed)
        for address in listed:
            may = gets_reset(
                verified=address.verified, primary=address.primary, any_verified=any_verified
            )
            if may and is_for(account, address.address):
                return Owner(
                    account=account,
                    arrival=arrival,
                    address=address,
                )
        return None

    # What is refused

    def _weak(
        self, password: str | None, owner: Owner | None, reset: PasswordReset | None = None
    ) -> tuple[Fault, ...]:
        """Return what is wrong with a new password, by the addresses that whoever asks may know."""
        if password is None:
            return ()
        known = {reset.address} if reset else set()
        account = None if owner is None else owner.account
        known |= {account.email or "", owner.address.address} if account and owner else set()
        username = None if account is None else account.username
        found = [
            fault
            for email in sorted(known)
            for fault in password_faults(password, self._rules, email=email, username=username)
        ]
        return tuple(dict.fromkeys(found))

    async def _wrong(
        self,
        session: Session,
        reset: PasswordReset,
        told: tuple[Fault, ...],
        counters: tuple[Counter, ...] = (),
    ) -> Outcome:
        """Count a wrong code. After the last one the session waits for none any more."""
        now, left = self._clock(), reset.failed(self._resets.codes)
        counted = await self._store.write(
            *self._store.count(counters, now),
            self._store.change_session(_with(session, left)),
            events=[
                PasswordResetFailed(user_id=None, ended=left is None, reset=recorded_id(reset.id))
            ],
        )
        if counted is not None:
            return Refused(told)
        return await self._limited(counters) or Misfit()

    async def _refused(
        self, visit: Visit, told: tuple[Fault, ...], *events: PasswordResetFailed
    ) -> Outcome:
        """Refuse what was given, and count that it was."""
        counters = self._counters(visit)
        counted = await self._store.write(
            *self._store.count(counters, self._clock()), events=events
        )
        if counted is not None:
            return Refused(told)
        return await self._limited(counters) or Refused(told)

    async def _limited(self, counters: tuple[Counter, ...]) -> Throttled | None:
        now = self._clock()
        ends_at = await self._store.spent_until(counters, now) if counters else None
        if ends_at is None:
            return None
        await self._store.record(PasswordResetLimited(user_id=None))
        return Throttled(until(ends_at, now))

    def _counters(self, visit: Visit) -> tuple[Counter, ...]:
        return self._store.limits.counters(RESET_PASSWORD_FROM_KEY, ip=visit.address)

    # What is accepted

    async def _set(self, visit: Visit, owner: Owner, password: str) -> Outcome:
        limited = await self._limited(self._counters(visit))
        if limited is not None:
            return limited
        if self._logs_in(visit):
            settled = await self._registrar.settled(owner.account)
            owner = replace(owner, account=settled)
        password_hash = await self._hasher.hash(password)
        outcome = await self._written(visit, owner, password_hash)
        if outcome is not None:
            return outcome
        limited = await self._limited(self._counters(visit))
        if limited is not None:
            return limited
        if self._resets.by_code:
            return Misfit()
        found = await self._store.find_account(owner.account.id)
        if found is None or found.session_epoch != owner.account.session_epoch:
            # Somebody else has used it, or ended it.
            await self._store.record(PasswordResetFailed(user_id=None, ended=False))
            return Refused((INVALID_RESET_KEY,))
        raise Unavailable("The account or the session changed meanwhile.")

    async def _written(self, visit: Visit, owner: Owner, password_hash: str) -> Outcome | None:
        """Write the password, and the login that begins with it. None if that was refused.

        Where the login cannot begin for a want of mails the password is set all the same.
        """
        now = self._clock()
        after = self._after(owner, password_hash)
        if self._logs_in(visit):
            within, move = self._move(visit, owner, after)
            stands = self._store.account_stands(owner.account)
            steps = (stands, *self._steps(visit, owner, password_hash), *move.steps)
            if await self._write(owner, steps, move) is not None:
                return arrived(within, move, after)
            letter = move.letter
            if letter is None or await self._store.spent_until(letter.counters, now) is None:
                return None
        left = self._left(visit, owner)
        steps = (*self._steps(visit, owner, password_hash), *left.steps)
        written = await self._write(owner, steps)
        return None if written is None else Standing(visit=left.visit)

    async def _write(
        self, owner: Owner, steps: tuple[Step, ...], move: Move | None = None
    ) -> Row | None:
        user_id = owner.account.id
        verified = self._resets.by_code and not owner.address.verified
        return await self._store.write(
            *steps,
            events=[
                PasswordWasReset(user_id=user_id),
                *([EmailVerified(user_id=user_id)] if verified else []),
                *(move.events if move else ()),
            ],
        )

    def _steps(self, visit: Visit, owner: Owner, password_hash: str) -> tuple[Step, ...]:
        """Return what is written of the account: refused unless it is as it was read.

        A code shows that the address is theirs, in the very session that asked; a link is left to
        the mail that is for that. What was said of other addresses before the first was known to
        be theirs may have been somebody else's word.
        """
        now, account, address = self._clock(), owner.account, owner.address
        if self._resets.by_code:
            theirs = self._store.verify_email(account.id, address.address, now)
        else:
            theirs = self._emails.has(account.id, address.address)
        return (
            *self._store.count(self._counters(visit), now),
            self._store.forget_guesses(account.id),
            set_password(account, password_hash),
            theirs,
            *(() if address.verified else (self._emails.forget_claims(account.id),)),
            forget_origins(account.id, but=owner.arrival.origin),
            *self._notices.tell(account.email, MailKind.PASSWORD_RESET, now),
        )

    def _after(self, owner: Owner, password_hash: str) -> Account:
        """Return the account as it is once that is written."""
        account = owner.account
        verified = self._resets.by_code and owner.address.primary
        return replace(
            account,
            password_hash=password_hash,
            email_verified=account.email_verified or verified,
            factor_epoch=account.factor_epoch + 1,
            session_epoch=account.session_epoch + 1,
        )

    def _logs_in(self, visit: Visit) -> bool:
        """Tell whether the new password begins a login: not where somebody is logged in."""
        return self._resets.logs_in and not visit.authenticated

    def _move(self, visit: Visit, owner: Owner, after: Account) -> tuple[Visit, Move]:
        """Return the visit in which the login begins that the new password is the proof of."""
        now, email = self._clock(), owner.address.address
        proof = Method(
            kind=MethodKind.PASSWORD_RESET,
            at=now,
            amr=MAILED_CODE,
            email=email if self._resets.by_code else None,  # as allauth tells it
        )
        login = self._engine.begin(
            after,
            proof,
            now,
            owner.arrival,
            email=email,
            verified=owner.address.verified or self._resets.by_code,
            asks_trust=self._recognition.asks(visit),
        )
        within = visit if visit.session is None else replace(visit, session=_with(visit.session))
        return within, self._engine.move(within, login, after.facts, now)

    def _left(self, visit: Visit, owner: Owner) -> Left:
        """Return where the visitor stands who is not logged in by it.

        What was theirs of the account ends, as elsewhere; all else in the session goes on.
        """
        session = visit.session
        if session is None:
            return Left(visit=visit, steps=())
        if visit.authenticated and session.user_id == owner.account.id:
            ended = replace(self._store.end_session(session.id), required=False)
            return Left(visit=visit.as_nobody, steps=(ended,))
        left, account = _with(session), visit.account
        if left.login is not None and left.login.user_id == owner.account.id:
            left, account = replace(left, login=None), None
        if left == session:
            return Left(visit=visit, steps=())
        moved = replace(left, version=left.version + 1)
        return Left(
            visit=replace(visit, session=moved, account=account),
            steps=(self._store.change_session(left),),
        )


def _waiting(visit: Visit) -> tuple[Session, PasswordReset] | None:
    """Return the session that waits for a code, and what it is for; None if it does not."""
    session = visit.session
    if session is None or session.processes.reset is None:
        return None
    return session, session.processes.reset


def _with(session: Session, reset: PasswordReset | None = None) -> Session:
    """Return the session as it goes on, with what is left of a reset or without one."""
    return replace(session, processes=replace(session.processes, reset=reset))


def _told(faults: Sequence[Fault], wrong: Fault, weak: Sequence[Fault] = ()) -> tuple[Fault, ...]:
    """Return what is wrong with a key, and with the password beside it, in that order."""
    mine = [fault for fault in faults if fault.param == KEY] or [wrong]
    return (*mine, *(fault for fault in faults if fault.param != KEY), *weak)
