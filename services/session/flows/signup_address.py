"""Giving another address before the one of a sign-up is verified: it may have been mistyped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.faults import SAME_AS_CURRENT, Fault, email_taken
from services.session.domain.limits import MANAGE_EMAIL, Counter
from services.session.domain.mails import MailKind
from services.session.domain.sessions import Account, Session
from services.session.domain.stages import Login, Stage
from services.session.domain.verification import Verification
from services.session.events import EmailLimited, EmailRefused, SignupAddressChanged
from services.session.flows.address_mails import AddressMails
from services.session.flows.engine import ID_BYTES, Engine
from services.session.flows.letters import Letter
from services.session.flows.outcomes import (
    Addresses,
    Misfit,
    Outcome,
    Refused,
    Throttled,
    Visit,
    until,
)
from services.session.flows.signup import Applicant, held_name, reclaiming
from services.session.store import Store
from services.session.store.emails import Address, Emails
from shared.clock import Clock
from shared.database import Step
from shared.errors import Conflict
from shared.token import new_token


@dataclass(frozen=True, kw_only=True)
class SignedUp:
    """A login that waits for an address to be verified, and the account that it has made.

    There is none if somebody else had the address: the login leads nowhere, or to theirs.
    """

    visit: Visit
    session: Session
    login: Login
    account: Account | None

    @property
    def address(self) -> str:
        """The address that is to be verified so far."""
        return self.login.mailbox

    @property
    def applicant(self) -> Applicant:
        """Who signs up."""
        made = self.login if self.account is None else self.account
        return Applicant(
            email=self.address, username=made.username, password_hash=made.password_hash
        )


@dataclass(frozen=True, kw_only=True)
class Change:
    """Where a login leads with another address.

    Either the account `keeps` being that of the login, or one is to be made (`makes`), or there is
    nothing to be done: somebody else has the address, and is perhaps told by mail (`instead`).
    """

    login: Login
    keeps: bool = False
    makes: bool = False
    instead: MailKind | None = None


class SignupAddressFlow:
    """Changes the address of a sign-up, as if it had been made with the other one."""

    def __init__(
        self,
        store: Store,
        emails: Emails,
        engine: Engine,
        clock: Clock,
        *,
        mails: AddressMails,
        verification: Verification,
        prevent_enumeration: bool = True,
    ) -> None:
        self._store = store
        self._emails = emails
        self._engine = engine
        self._clock = clock
        self._mails = mails
        self._verification = verification
        self._prevent_enumeration = prevent_enumeration

    async def change(
        self, visit: Visit, email: str | None, *, faults: Sequence[Fault] = ()
    ) -> Outcome:
        """Let a login that waits for a code wait for one that goes to `email`.

        As often as `max_changes`, and only while nobody has ever been logged in to the account.
        Whether an address is taken is not told, neither of the old one nor of the new: the
        statements are the same. One read and one write.
        """
        signed_up = self._signed_up(visit)
        if signed_up is None:
            return Misfit()
        if email is None:
            return Refused(tuple(faults))
        if email == signed_up.address:
            return Refused((SAME_AS_CURRENT,))
        try:
            return await self._changed(signed_up, email)
        except Conflict:  # it was free when it was looked up, and is so no more
            return await self._changed(signed_up, email)

    def _signed_up(self, visit: Visit) -> SignedUp | None:
        session, account = visit.session, visit.account
        login = None if session is None else session.login
        if session is None or login is None or visit.pending is not Stage.VERIFY_EMAIL:
            return None
        if login.code is None or login.changes >= self._verification.max_changes:
            return None
        if login.code.is_over(self._clock(), self._verification.codes):
            return None
        own = account is not None and not login.reclaims
        return SignedUp(visit=visit, session=session, login=login, account=account if own else None)

    async def _changed(self, signed_up: SignedUp, email: str) -> Outcome:
        now = self._clock()
        holder = await self._emails.holder(email)
        change = self._change(signed_up, email, holder)
        counters = self._counters(signed_up)
        if holder is not None and change.instead and not self._prevent_enumeration:
            written = await self._store.write(
                *self._store.count(counters, now), events=[EmailRefused(user_id=None)]
            )
            return Refused((email_taken(),)) if written else await self._limited(counters, now)
        login, letter = self._mailed(signed_up, change, now)
        event = SignupAddressChanged(user_id=None if change.instead else login.user_id)
        written = await self._store.write(
            *self._store.count(counters, now),
            *letter.conditions,
            *self._steps(signed_up, change, now),
            self._store.change_session(
                replace(
                    signed_up.session,
                    user_id=login.user_id,
                    session_epoch=login.session_epoch,
                    login=login,
                )
            ),
            letter.mail,
            events=[event],
        )
        if written is None:
            return await self._limited((*counters, *letter.counters), now)
        return Addresses((Address(address=email, verified=False, primary=True),))

    def _change(self, signed_up: SignedUp, email: str, holder: Account | None) -> Change:
        login = replace(signed_up.login, email=email, changes=signed_up.login.changes + 1)
        if holder is None and signed_up.account is not None:
            return Change(login=login, keeps=True)
        fresh = replace(
            login,
            user_id=new_token(ID_BYTES),
            factor_epoch=0,
            session_epoch=0,
            reclaims=False,
            password_hash=None if holder is None else signed_up.applicant.password_hash,
            username=None if holder is None else signed_up.applicant.username,
        )
        if holder is None:
            return Change(login=fresh, makes=True)
        if self._engine.is_unfinished(holder):
            return Change(login=reclaiming(login, holder, signed_up.applicant))
        return Change(login=fresh, instead=MailKind.ACCOUNT_EXISTS)

    def _mailed(self, signed_up: SignedUp, change: Change, now: datetime) -> tuple[Login, Letter]:
        awaited = signed_up.login.code
        if awaited is None:
            raise TypeError("what is changed here waits for a code")
        code, letter = self._mails.with_code_elsewhere(
            change.login.id,
            awaited,
            change.login.mailbox,
            now,
            ip=signed_up.visit.address,
            instead=change.instead,
        )
        return replace(change.login, code=code), letter

    def _steps(self, signed_up: SignedUp, change: Change, now: datetime) -> Iterator[Step]:
        """Yield the same statements whatever there is to do; those that are not needed do nothing.

        An account that is kept is held while its address changes, and refuses if it was verified,
        or somebody has been logged in to it. One that is left gives up its username, which is then
        of whoever has the login.
        """
        account, login, applicant = signed_up.account, change.login, signed_up.applicant
        account_id = "" if account is None else account.id
        moved = self._emails.change_at_signup(
            account_id if change.keeps else "", signed_up.address, login.mailbox
        )
        yield replace(moved, required=change.keeps)
        if applicant.username is not None:
            left = "" if change.keeps else account_id
            yield self._store.give_up_username(left, applicant.username)
        yield from self._store.sign_up(
            user_id=login.user_id,
            email_id=new_token(ID_BYTES),
            address=login.email,
            username=applicant.username if change.makes else None,
            password_hash=applicant.password_hash if change.makes else None,
            fresh=change.makes,
            now=now,
        )
        held = not (change.keeps or change.makes)
        yield from held_name(self._store, applicant.username, now, wanted=held)

    def _counters(self, signed_up: SignedUp) -> tuple[Counter, ...]:
        """Return what counts this: by who it would be, whether or not there is such an account."""
        return self._store.limits.counters(
            MANAGE_EMAIL, ip=signed_up.visit.address, user=signed_up.login.id
        )

    async def _limited(self, counters: tuple[Counter, ...], now: datetime) -> Outcome:
        ends_at = await self._store.spent_until(counters, now)
        if ends_at is None:
            return Misfit()
        await self._store.record(EmailLimited(user_id=None))  # whose it is, is not settled yet
        return Throttled(until(ends_at, now))
