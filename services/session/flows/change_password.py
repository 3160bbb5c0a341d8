"""Changing a password, or setting the first one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.session.domain.faults import (
    ENTER_CURRENT_PASSWORD,
    Fault,
    required,
    too_many_attempts,
)
from services.session.domain.identifiers import by_id
from services.session.domain.limits import CHANGE_PASSWORD
from services.session.domain.mails import MailKind
from services.session.domain.passwords import RULES, PasswordRules, password_faults
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.sessions import Account, Session
from services.session.events import (
    PasswordChanged,
    PasswordChangeFailed,
    PasswordChangeLimited,
    PasswordSet,
)
from services.session.flows.grants import Grants
from services.session.flows.notices import Notices
from services.session.flows.outcomes import (
    LoginNeeded,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    Standing,
    Visit,
)
from services.session.flows.password_guesses import PasswordGuesses, Place
from services.session.flows.passwords import PasswordHasher
from services.session.flows.trust import Recognition
from services.session.store import Known, Store
from services.session.store.credentials import forget_origins, set_password
from shared.clock import Clock
from shared.errors import Unavailable
from shared.token import hash_token, new_token

CURRENT = "current_password"
NEW = "new_password"

AT_CHANGE = Place(
    action=CHANGE_PASSWORD,
    wrong=ENTER_CURRENT_PASSWORD,
    too_many=too_many_attempts(CURRENT),
    failed=lambda user_id: PasswordChangeFailed(user_id=user_id),
    limited=lambda user_id: PasswordChangeLimited(user_id=user_id),
)


@dataclass(frozen=True, kw_only=True)
class PasswordPolicy:
    """What the operator chose: the rules, and whether a change ends the session it is made in."""

    rules: PasswordRules = RULES
    log_out: bool = False


class ChangePasswordFlow:
    """Judges the current password, and writes a new one that ends all other sessions."""

    def __init__(
        self,
        store: Store,
        notices: Notices,
        grants: Grants,
        hasher: PasswordHasher,
        clock: Clock,
        *,
        recognition: Recognition,
        reauthentication: Reauthentication,
        policy: PasswordPolicy,
    ) -> None:
        self._store = store
        self._notices = notices
        self._grants = grants
        self._hasher = hasher
        self._clock = clock
        self._reauthentication = reauthentication
        self._policy = policy
        self._guesses = PasswordGuesses(store, recognition, clock, AT_CHANGE)

    async def change(
        self, visit: Visit, current: str | None, new: str | None, *, faults: Sequence[Fault] = ()
    ) -> Outcome:
        """Change the password of who is logged in. Where there is one, it has to be given.

        Where there is none, a second factor has to be proved first, if there is one.
        What is wrong with either is told together. `faults` are those of what could not be read,
        and is None here. A wrong current password counts like one at a login, so that a stolen
        session is no better place to guess; over either limit nothing is judged, and nothing
        hashed.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        if not account.has_usable_password:
            methods = self._reauthentication.missing(
                Matter.FIRST_PASSWORD, session, account, self._clock()
            )
            if methods:
                return ReauthenticationNeeded(visit, methods)
        unread = self._unread(account, current, new, faults)
        if current is None and unread:
            return Refused(unread)
        known = await self._guesses.known(visit, by_id(account.id), account.id)
        limited = await self._guesses.limited(known, account.id)
        if limited is not None:
            return limited
        # Hashed before the old one is judged: over the limit, time must not tell right from wrong.
        new_hash = None if unread or new is None else await self._hasher.hash(new)
        if current is not None and not await self._hasher.verify(current, account.password_hash):
            return await self._guesses.wrong(
                visit,
                by_id(account.id),
                known,
                about=account.id,
                user_id=account.id,
                others=unread,
            )
        if new_hash is None:
            return await self._unfit(visit, account, known, unread)
        return await self._write(visit, session, account, known, new_hash)

    def _unread(
        self, account: Account, current: str | None, new: str | None, faults: Sequence[Fault]
    ) -> tuple[Fault, ...]:
        """Return what is wrong before anything is judged, the current password's faults first."""
        rules = self._policy.rules
        mine = [fault for fault in faults if fault.param == CURRENT]
        if current is None and not mine and account.has_usable_password:
            mine = [required(CURRENT)]
        others = [fault for fault in faults if fault.param != CURRENT]
        if new is not None:
            others += password_faults(
                new, rules, email=account.email, username=account.username, param=NEW
            )
        return (*mine, *others)

    async def _write(
        self, visit: Visit, session: Session, account: Account, known: Known, password_hash: str
    ) -> Outcome:
        """Write the password; every epoch that was read has to stand, and the session to be."""
        now, token = self._clock(), None if self._policy.log_out else new_token()
        moved = replace(session, session_epoch=account.session_epoch + 1)
        own = (
            self._store.end_session(session.id)
            if token is None
            else self._store.move_session(
                moved, hash_token(token), ip=visit.address, user_agent=visit.user_agent
            )
        )
        grant = None if token is None else self._grants.of(moved, now)
        first = not account.has_usable_password
        kind = MailKind.PASSWORD_SET if first else MailKind.PASSWORD_CHANGED
        event = PasswordSet(user_id=account.id) if first else PasswordChanged(user_id=account.id)
        written = await self._store.write(
            *self._store.accept_password(known, now),
            set_password(account, password_hash),
            *self._guesses.counted(visit, known, now, account.id),
            own,
            *(() if grant is None else (grant.step,)),
            forget_origins(account.id, but=known.arrival.origin),
            *self._notices.tell(account.email, kind, now),
            events=[event],
        )
        if written is None:
            return await self._overtaken(visit, account, known)
        if token is None:
            return Standing(visit=visit.as_nobody)
        changed = replace(
            account,
            password_hash=password_hash,
            session_epoch=account.session_epoch + 1,
            factor_epoch=account.factor_epoch + 1,
        )
        moved = replace(moved, version=moved.version + 1)
        return Standing(
            visit=replace(visit, session=moved, account=changed),
            token=token,
            tokens=grant.tokens if grant else None,
        )

    async def _unfit(
        self, visit: Visit, account: Account, known: Known, unread: tuple[Fault, ...]
    ) -> Outcome:
        """Refuse a new password, after a current one that was right: told within limits only."""
        now = self._clock()
        counted = await self._store.write(
            *self._store.within(known.counters, now),
            *self._guesses.counted(visit, known, now, account.id),
        )
        if counted is not None:
            return Refused(unread)
        return await self._guesses.beyond(
            visit, by_id(account.id), known, about=account.id, user_id=account.id
        )

    async def _overtaken(self, visit: Visit, account: Account, known: Known) -> Outcome:
        """Say why nothing was written: too many tried, or something else changed meanwhile."""
        limited = await self._guesses.overtaken(
            visit, by_id(account.id), known, about=account.id, user_id=account.id
        )
        if limited is not None:
            return limited
        found = await self._store.find_account(account.id)
        if found is None or found.session_epoch != account.session_epoch:
            return LoginNeeded(visit.as_nobody)
        raise Unavailable("The account or the session changed meanwhile.")
