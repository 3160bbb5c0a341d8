"""Asking for a new password, by whoever has forgotten theirs."""

from dataclasses import replace
from datetime import datetime

from services.session.domain.faults import unknown_email
from services.session.domain.identifiers import by_address
from services.session.domain.limits import RESET_PASSWORD, Counter
from services.session.domain.password_reset import PasswordResets, gets_reset
from services.session.domain.processes import PasswordReset
from services.session.domain.sessions import Account, Session, recorded_id
from services.session.events import PasswordResetLimited, PasswordResetRequested
from services.session.flows.empty_sessions import (
    empty_session,
    end_of,
    is_ending,
    is_worn_out,
)
from services.session.flows.letters import Letter
from services.session.flows.outcomes import (
    Done,
    Outcome,
    Refused,
    Standing,
    Throttled,
    Visit,
    until,
)
from services.session.flows.password_reset_mails import ID_BYTES, PasswordResetMails
from services.session.store import Known, Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Unavailable
from shared.token import hash_token, new_token


class RequestPasswordFlow:
    """Mails what a password is reset by. Nobody learns here whether an address has an account."""

    def __init__(
        self,
        store: Store,
        mails: PasswordResetMails,
        clock: Clock,
        *,
        resets: PasswordResets,
        prevent_enumeration: bool = True,
    ) -> None:
        self._store = store
        self._mails = mails
        self._clock = clock
        self._resets = resets
        self._prevent_enumeration = prevent_enumeration

    async def request(self, visit: Visit, email: str) -> Outcome:
        """Mail a code, for which the session waits from now on beside all else, or a link.

        `email` is canonical. One read and one write. Where there is no account, it is disabled, or
        the address is not known to be the account's, the same is done and answered, and leads
        nowhere. Another code takes the place of one that is awaited.
        """
        known = await self._known(visit, email)
        account = _owner(known, email)
        if account is None and not self._prevent_enumeration:
            return await self._unknown(visit)
        if known.action_until:
            return await self._limited(account.id if account else None, known.action_until)
        if self._resets.by_code:
            return await self._by_code(visit, email, known, account)
        letter = self._mails.with_link(visit, email, known, self._clock(), account=account)
        event = PasswordResetRequested(user_id=account.id if account else None)
        return await self._write(event, letter) or Done()

    async def _by_code(
        self, visit: Visit, email: str, known: Known, account: Account | None
    ) -> Outcome:
        now, process = self._clock(), new_token(ID_BYTES)
        code, letter = self._mails.with_code(visit, process, email, known, now, account=account)
        reset = PasswordReset(
            id=process,
            address=email,
            user_id=new_token(ID_BYTES) if account is None else account.id,
            factor_epoch=0 if account is None else account.factor_epoch,
            session_epoch=0 if account is None else account.session_epoch,
            started_at=now,
            code=code,
        )
        session, token = self._session(visit, reset, now)
        if token is None:
            place = self._store.change_session(session)
            session = replace(session, version=session.version + 1)
        else:
            place = self._store.open_session(
                session, hash_token(token), ip=visit.address, user_agent=visit.user_agent
            )
        event = PasswordResetRequested(
            user_id=account.id if account else None, reset=recorded_id(process)
        )
        try:
            limited = await self._write(event, letter, place)
        except Unavailable:
            if visit.session is None or visit.authenticated:
                raise
            # It may only have moved on or ended meanwhile.
            return await self._by_code(visit.as_nobody, email, known, account)
        return limited or Standing(visit=replace(visit, session=session), token=token)

    def _session(
        self, visit: Visit, reset: PasswordReset, now: datetime
    ) -> tuple[Session, str | None]:
        """Return the session that waits for the code, and its token if it is a new one.

        One in which nobody is lasts long enough: the time for the code begins anew when it is
        first given.
        """
        needed = 2 * self._resets.lifetime
        session, token = visit.session, None
        if session is None or is_worn_out(session, now, needed):
            session, token = empty_session(visit, now), new_token()
        if is_ending(session, now, needed):
            session = replace(session, expires_at=end_of(session, now, needed))
        return replace(session, processes=replace(session.processes, reset=reset)), token

    async def _write(
        self, event: PasswordResetRequested, letter: Letter, *place: Step
    ) -> Throttled | None:
        """Write what there is to be written with the letter.

        Raises Unavailable if that was refused, and not for a want of mails.
        """
        written = await self._store.write(*letter.conditions, *place, letter.mail, events=[event])
        if written is not None:
            return None
        ends_at = await self._store.spent_until(letter.counters, self._clock())
        if ends_at is None:
            raise Unavailable("The session changed meanwhile.")
        return await self._limited(event.user_id, ends_at)

    async def _known(self, visit: Visit, email: str) -> Known:
        return await self._store.find_known(
            by_address(email),
            ip=visit.address,
            user_agent=visit.user_agent,
            now=self._clock(),
            action=self._from(visit),
        )

    async def _unknown(self, visit: Visit) -> Outcome:
        """Say that there is no such account, as often as one origin may ask."""
        now, counters = self._clock(), self._from(visit)
        counted = await self._store.write(
            *self._store.count(counters, now), events=[PasswordResetRequested(user_id=None)]
        )
        if counted is not None:
            return Refused((unknown_email(),))
        ends_at = await self._store.spent_until(counters, now)
        return await self._limited(None, ends_at or now)

    async def _limited(self, user_id: str | None, ends_at: datetime) -> Throttled:
        await self._store.record(PasswordResetLimited(user_id=user_id))
        return Throttled(until(ends_at, self._clock()))

    def _from(self, visit: Visit) -> tuple[Counter, ...]:
        return self._store.limits.counters(RESET_PASSWORD, ip=visit.address)


def _owner(known: Known, email: str) -> Account | None:
    """Return the account whose password may be set by who reads the mails to `email`."""
    account = known.account
    if account is None or account.disabled:
        return None
    may = gets_reset(
        verified=known.address_verified,
        primary=account.email == email,
        any_verified=known.any_verified,
    )
    return account if may else None
