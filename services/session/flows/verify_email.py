"""Proving to own an address: by the code that was mailed to it, or by the link."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.codes import MailedCode
from services.session.domain.faults import INVALID_KEY, Fault, email_taken, incorrect_code
from services.session.domain.mails import MailKind
from services.session.domain.processes import AddressProof
from services.session.domain.sessions import Account, Session
from services.session.domain.stages import Login, Stage, pass_stage
from services.session.domain.verification import Verification
from services.session.events import (
    EmailLimited,
    EmailRefused,
    EmailVerificationFailed,
    EmailVerificationResent,
    EmailVerified,
)
from services.session.flows.address_mails import AddressMails
from services.session.flows.engine import Engine, arrived
from services.session.flows.letters import Letter
from services.session.flows.new_addresses import Counted, NewAddresses
from services.session.flows.outcomes import (
    AddressShown,
    Done,
    Misfit,
    Outcome,
    Refused,
    Standing,
    Throttled,
    Visit,
    until,
)
from services.session.flows.reclaiming import reclaim
from services.session.store import Store
from services.session.store.emails import Address, Emails
from shared.clock import Clock
from shared.database import Step
from shared.errors import Conflict, Unavailable
from shared.event import Event

WRONG = incorrect_code("key")


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What waits for a code in a session: a login, or the proof of somebody who is logged in.

    `account` is whose address it would be, or None if that leads nowhere.
    """

    session: Session
    account: Account | None
    address: str
    code: MailedCode
    login: Login | None = None
    proof: AddressProof | None = None

    @property
    def id(self) -> str:
        """What the code is bound to."""
        found = self.login or self.proof
        return "" if found is None else found.id

    def left_with(self, code: MailedCode | None) -> Session:
        """Return the session as it goes on, with another code or, without one, with nothing."""
        if self.login is not None:
            login = None if code is None else replace(self.login, code=code)
            return replace(self.session, login=login)
        proof = None if code is None or self.proof is None else replace(self.proof, code=code)
        processes = replace(self.session.processes, address=proof)
        return replace(self.session, processes=processes)


@dataclass(frozen=True, kw_only=True)
class Linked:
    """The address that a link is to verify, whose it is, and who has it besides."""

    account: Account
    address: Address
    holder: Account | None


class VerifyEmailFlow:
    """The e-mail verification stage, and the proof of another address."""

    def __init__(
        self,
        store: Store,
        emails: Emails,
        engine: Engine,
        clock: Clock,
        *,
        mails: AddressMails,
        new_addresses: NewAddresses,
        verification: Verification,
    ) -> None:
        self._store = store
        self._emails = emails
        self._engine = engine
        self._mails = mails
        self._new_addresses = new_addresses
        self._clock = clock
        self._verification = verification

    async def show(self, visit: Visit, key: str | None, *, faults: Sequence[Fault] = ()) -> Outcome:
        """Show which address `key` is to verify, and whose. A wrong code counts as one.

        `faults` are those of what could not be read, and is None here; that is no guess.
        """
        if not self._verification.by_code:
            linked = Refused(tuple(faults)) if key is None else await self._linked(key)
            if isinstance(linked, Refused):
                return linked
            return _shown(visit, linked.account, linked.address.address)
        waiting = await self._live(visit)
        if waiting is None:
            return Misfit()
        if key is None:
            return Refused(tuple(faults))
        if waiting.account is None or not self._is_right(waiting, key):
            return await self._wrong(waiting)
        return _shown(visit, waiting.account, waiting.address)

    async def verify(
        self, visit: Visit, key: str | None, *, faults: Sequence[Fault] = ()
    ) -> Outcome:
        """Verify the address that `key` was mailed to, and go on with a login that waits for it.

        `faults` are as in `show`.

        By code, the third wrong one ends what waits for it. One write, which holds only for the
        state that was read: two requests with one code pass the stage once, however many guess at
        once, three are judged, and a second factor that was turned on meanwhile is not passed by.
        Who signed up for an account that nobody has got into has it by the same write, unless
        somebody has got into it meanwhile.
        """
        if not self._verification.by_code:
            return Refused(tuple(faults)) if key is None else await self._by_link(visit, key)
        waiting = await self._live(visit)
        if waiting is None:
            return Misfit()
        account = waiting.account
        if key is None:
            return Refused(tuple(faults))
        if account is None or not self._is_right(waiting, key):
            return await self._wrong(waiting)
        if waiting.login is None:
            return await self._prove(visit, waiting, account)
        if waiting.login.reclaims:
            return await self._reclaim(visit, waiting.login, account)
        return await self._pass(
            visit,
            pass_stage(waiting.login, Stage.VERIFY_EMAIL),
            replace(account, email_verified=True),
            self._store.account_stands(account, held=True),
        )

    async def resend(self, visit: Visit) -> Outcome:
        """Mail another code, which takes the place of the one that is awaited.

        It is as old, and has failed as often. One read, of whose the address is, and one write.
        """
        waiting = await self._live(visit) if self._verification.by_code else None
        if waiting is None or not waiting.code.can_be_resent(self._verification.codes):
            return Misfit()
        now, ip = self._clock(), visit.address
        code, letter = self._mails.with_code_again(
            waiting.id,
            waiting.code,
            waiting.address,
            now,
            ip=ip,
            instead=await self._instead(waiting),
        )
        user_id = None if waiting.account is None else waiting.account.id
        written = await self._store.write(
            *letter.conditions,
            self._store.change_session(waiting.left_with(code)),
            letter.mail,
            events=[EmailVerificationResent(user_id=user_id)],
        )
        return Done() if written is not None else await self._unsent(letter, now, user_id)

    # By code

    async def _live(self, visit: Visit) -> Waiting | None:
        """Return what waits for a code. What has waited too long ends with that."""
        waiting = _waiting(visit)
        if waiting is None:
            return None
        if waiting.code.is_over(self._clock(), self._verification.codes):
            await self._fail(waiting, None)
            return None
        return waiting

    def _is_right(self, waiting: Waiting, key: str) -> bool:
        return self._mails.is_code(waiting.id, waiting.code, key)

    async def _wrong(self, waiting: Waiting) -> Outcome:
        counted = await self._fail(waiting, waiting.code.failed(self._verification.codes))
        return Refused((WRONG,)) if counted else Misfit()

    async def _fail(self, waiting: Waiting, left: MailedCode | None) -> bool:
        """Count a failure. With no code left what waited for it is over, but not its session.

        False if the session has moved on meanwhile.
        """
        user_id = None if waiting.account is None else waiting.account.id
        counted = await self._store.write(
            self._store.change_session(waiting.left_with(left)),
            events=[EmailVerificationFailed(user_id=user_id, ended=left is None)],
        )
        return counted is not None

    async def _instead(self, waiting: Waiting) -> MailKind | None:
        """Return what is mailed in place of a code, to an address that is somebody else's."""
        holder = await self._emails.holder(waiting.address)
        if waiting.account is None:
            return MailKind.ACCOUNT_EXISTS
        if waiting.login is not None or self._new_addresses.is_free(holder):
            return None
        return MailKind.ADDRESS_TAKEN

    async def _unsent(self, letter: Letter, now: datetime, user_id: str | None) -> Outcome:
        ends_at = await self._store.spent_until(letter.counters, now)
        if ends_at is None:
            return Misfit()
        await self._store.record(EmailLimited(user_id=user_id))
        return Throttled(until(ends_at, now))

    async def _reclaim(self, visit: Visit, login: Login, found: Account) -> Outcome:
        """Pass the stage, and let the account begin anew: other logins to it end with that."""
        if not self._engine.is_unfinished(found):
            return Misfit()
        reclaimed = reclaim(visit, pass_stage(login, Stage.VERIFY_EMAIL), found)
        return await self._pass(
            visit,
            reclaimed.login,
            reclaimed.account,
            *reclaimed.steps,
            first=reclaimed.first,
            along=reclaimed.events,
        )

    async def _pass(
        self,
        visit: Visit,
        login: Login,
        account: Account,
        *conditions: Step,
        first: bool = False,
        along: Sequence[Event] = (),
    ) -> Outcome:
        now = self._clock()
        move = self._engine.move(visit, login, account.facts, now)
        written = await self._store.write(
            *conditions,
            *move.steps,
            self._store.verify_email(account.id, login.mailbox, now, first=first),
            events=[*along, EmailVerified(user_id=account.id), *move.events],
        )
        return Misfit() if written is None else arrived(visit, move, account)

    async def _prove(self, visit: Visit, waiting: Waiting, account: Account) -> Outcome:
        """Let the address of the proof count, unless somebody has got it meanwhile."""
        now = self._clock()
        holder = await self._emails.holder(waiting.address)
        if waiting.address == account.email and not account.email_verified:
            counted = self._new_addresses.first(account, waiting.address, now)
        elif self._new_addresses.is_free(holder):
            counted = self._new_addresses.count(account, waiting.address, holder, now)
        else:
            return await self._had_by(holder, account)
        session = waiting.left_with(None)
        try:
            written = await self._store.write(
                *counted.steps, self._store.change_session(session), events=counted.events
            )
        except Conflict:
            return await self._had_by(await self._emails.holder(waiting.address), account)
        if written is None:
            return Misfit()
        session = replace(session, version=session.version + 1)
        return Standing(visit=replace(visit, session=session, account=counted.account))

    async def _had_by(self, holder: Account | None, account: Account) -> Outcome:
        """Return why an address cannot be had: somebody else has it, or this person by now."""
        if holder is not None and holder.id == account.id:
            return Misfit()
        return await self._taken(account)

    async def _taken(self, account: Account) -> Refused:
        await self._store.record(EmailRefused(user_id=account.id))
        return Refused((email_taken("key"),))

    # By link

    async def _linked(self, key: str) -> Linked | Refused:
        """Return what a link is to verify, or why it does not."""
        read = self._mails.read_link(key, self._clock())
        account = None if read is None else await self._store.find_account(read.user_id)
        if read is None or account is None or account.disabled:
            return Refused((INVALID_KEY,))
        for address in await self._emails.list(account.id):
            if self._mails.is_for(read, address, account.session_epoch):
                holder = await self._emails.holder(address.address)
                if address.primary:
                    return Linked(account=account, address=address, holder=None)
                if self._new_addresses.is_free(holder):
                    return Linked(account=account, address=address, holder=holder)
                return await self._taken(account)
        return Refused((INVALID_KEY,))

    async def _by_link(self, visit: Visit, key: str) -> Outcome:
        linked = await self._linked(key)
        if isinstance(linked, Refused):
            return linked
        try:
            outcome = await self._follow(visit, linked)
        except Conflict:
            return await self._taken(linked.account)
        if outcome is not None:
            return outcome
        if isinstance(again := await self._linked(key), Refused):  # somebody has followed it
            return again
        raise Unavailable("The account or the session changed meanwhile.")

    async def _follow(self, visit: Visit, linked: Linked) -> Outcome | None:
        """Verify the address, and see to a login that waits for that. None if it was refused.

        One that waits for this very address goes on only where links log in; any other is over.
        """
        now, account, address = self._clock(), linked.account, linked.address
        if address.primary:
            counted = self._new_addresses.first(account, address.address, now)
        else:
            counted = self._new_addresses.count(
                account, address.address, linked.holder, now, claimed=address
            )
        login = _waiting_login(visit)
        if login is not None and self._goes_on(login, linked):
            return await self._log_in(visit, login, counted, now)
        dropped: tuple[Step, ...] = ()
        after = _followed(visit, counted.account)
        if visit.session is not None and login is not None:
            dropped = (self._store.change_session(replace(visit.session, login=None)),)
            after = _without_login(visit, visit.session)
        written = await self._store.write(*counted.steps, *dropped, events=counted.events)
        return None if written is None else Standing(visit=after)

    def _goes_on(self, login: Login, linked: Linked) -> bool:
        return (
            self._verification.login_by_link
            and login.user_id == linked.account.id
            and login.email == linked.address.address
        )

    async def _log_in(
        self, visit: Visit, login: Login, counted: Counted, now: datetime
    ) -> Outcome | None:
        passed = pass_stage(login, Stage.VERIFY_EMAIL)
        move = self._engine.move(visit, passed, counted.account.facts, now)
        written = await self._store.write(
            *counted.steps, *move.steps, events=[*counted.events, *move.events]
        )
        return None if written is None else arrived(visit, move, counted.account)


def _waiting(visit: Visit) -> Waiting | None:
    """Return what waits for a code in the session, or None if nothing does."""
    login = _waiting_login(visit)
    session, account = visit.session, visit.account
    if session is not None and login is not None and login.code is not None:
        return Waiting(
            session=session, account=account, address=login.mailbox, code=login.code, login=login
        )
    if visit.logged_in is None:
        return None
    session, account = visit.logged_in
    proof = session.processes.address
    if proof is None:
        return None
    return Waiting(
        session=session, account=account, address=proof.address, code=proof.code, proof=proof
    )


def _waiting_login(visit: Visit) -> Login | None:
    if visit.session is None or visit.pending is not Stage.VERIFY_EMAIL:
        return None
    return visit.session.login


def _shown(visit: Visit, account: Account, address: str) -> AddressShown:
    stage = _waiting_login(visit) is not None
    return AddressShown(address=address, account=account, is_authenticating=stage)


def _without_login(visit: Visit, session: Session) -> Visit:
    left = replace(session, login=None, version=session.version + 1)
    return replace(visit, session=left, account=None)


def _followed(visit: Visit, account: Account) -> Visit:
    """Return the visit as it stands after an address of `account` was verified in it."""
    theirs = visit.account is not None and visit.account.id == account.id
    return replace(visit, account=account) if theirs else visit
