"""The addresses of who is logged in: which there are, another one, one less, which comes first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from services.session.domain.faults import (
    ADD_EMAIL_BLOCKED,
    CANNOT_REMOVE_PRIMARY,
    DUPLICATE_EMAIL,
    NOT_AMONG_THEIRS,
    UNVERIFIED_PRIMARY,
    Fault,
    email_taken,
    too_many_addresses,
)
from services.session.domain.limits import MANAGE_EMAIL, Counter
from services.session.domain.mails import MailKind
from services.session.domain.processes import AddressProof
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.sessions import Account, Session
from services.session.domain.verification import AddressRules, Verification
from services.session.events import (
    EmailClaimed,
    EmailLimited,
    EmailRefused,
    EmailRemoved,
    EmailVerificationResent,
    PrimaryEmailChanged,
)
from services.session.flows.address_mails import AddressMails
from services.session.flows.letters import Letter
from services.session.flows.new_addresses import NewAddresses
from services.session.flows.notices import Notices
from services.session.flows.outcomes import (
    Addresses,
    Done,
    LoginNeeded,
    Misfit,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    Throttled,
    Unsent,
    Visit,
    until,
)
from services.session.flows.verify_email import VerifyEmailFlow
from services.session.store import Store
from services.session.store.emails import Address, Emails
from shared.clock import Clock
from shared.database import Row, Step
from shared.errors import Conflict, Unavailable
from shared.event import Event
from shared.token import new_token

ID_BYTES = 16
UNBOUNDED = 1 << 30  # where an address takes the place of all others, there is room for it


class Unmailed(Throttled):
    """Too many mails to one address."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """Who is logged in, and the addresses that they have."""

    visit: Visit
    session: Session
    account: Account
    listed: tuple[Address, ...]

    def of(self, email: str) -> Address | None:
        """Return the address that is written so, or None."""
        return next((address for address in self.listed if address.address == email), None)

    def without(self, email: str) -> tuple[Address, ...]:
        """Return all addresses but one."""
        return tuple(address for address in self.listed if address.address != email)


@dataclass(frozen=True, kw_only=True)
class EmailPolicy:
    """What the operator chose. Where it `needs_address` nobody logs in who has none."""

    verification: Verification
    rules: AddressRules
    reauthentication: Reauthentication
    prevent_enumeration: bool = True
    needs_address: bool = True


class EmailsFlow:
    """Every change is one write, counted for the person, and told at the primary address."""

    def __init__(
        self,
        store: Store,
        emails: Emails,
        notices: Notices,
        clock: Clock,
        *,
        mails: AddressMails,
        new_addresses: NewAddresses,
        verify_email: VerifyEmailFlow,
        policy: EmailPolicy,
    ) -> None:
        self._store = store
        self._emails = emails
        self._mails = mails
        self._new_addresses = new_addresses
        self._verify_email = verify_email
        self._notices = notices
        self._clock = clock
        self._policy = policy

    async def list(self, visit: Visit) -> Outcome:
        """List the addresses. What is being proved by a code is among them, and not stored."""
        own = await self._own(visit)
        return LoginNeeded(visit) if own is None else self._shown(own, own.listed)

    async def add(
        self, visit: Visit, email: str | None, *, faults: Sequence[Fault] = ()
    ) -> Outcome:
        """Have another address verified; then it is one of the person's, or the only one.

        `email` is canonical, and None if `faults` say why. Whether somebody else has it is not
        told: then the same is done, and that person is told by mail.
        """
        own = await self._own(visit)
        if own is None:
            return LoginNeeded(visit)
        if email is None:
            return Refused(tuple(faults))
        holder = await self._emails.holder(email)
        free = self._new_addresses.is_free(holder)
        if fault := self._unfit(own, email, free=free):
            return await self._refused(own, fault)
        if needed := self._needed(own):
            return needed
        instead = None if free else MailKind.ADDRESS_TAKEN
        if self._policy.verification.by_code:
            return await self._prove(own, email, instead)
        return await self._claim(own, email, instead)

    async def ask(self, visit: Visit, email: str) -> Outcome:
        """Mail again what an address is verified by, unless it is verified already."""
        own = await self._own(visit)
        if own is None:
            return LoginNeeded(visit)
        address = own.of(email)
        if address is None and self._is_being_proved(own, email):
            return await self._asked_again(visit)
        if address is None:
            return await self._refused(own, NOT_AMONG_THEIRS)
        if address.verified:
            return await self._counted(own) or Unsent()
        if not self._policy.verification.by_code:
            return await self._link_again(own, address)
        outcome = await self._prove(own, email, None)
        return Done() if isinstance(outcome, Addresses) else outcome

    async def make_primary(self, visit: Visit, email: str) -> Outcome:
        """Make another address the primary one: where mail goes, and what the person is called by.

        It has to be verified, unless none of theirs is. The one that was primary is told.
        """
        own = await self._own(visit)
        if own is None:
            return LoginNeeded(visit)
        address = own.of(email)
        if address is None and not self._is_being_proved(own, email):
            return await self._refused(own, NOT_AMONG_THEIRS)
        some = any(other.verified for other in own.listed)
        if address is None or (some and not address.verified):
            return await self._refused(own, UNVERIFIED_PRIMARY)
        if needed := self._needed(own):
            return needed
        if address.primary:
            return await self._counted(own) or self._shown(own, own.listed)
        return await self._made_primary(own, address)

    async def remove(self, visit: Visit, email: str) -> Outcome:
        """Remove an address, or give up proving it. The primary one stays, but for who can do
        without any.

        What was mailed there, such as a link, is of no use from then on.
        """
        own = await self._own(visit)
        if own is None:
            return LoginNeeded(visit)
        address = own.of(email)
        if address is None:
            if self._is_being_proved(own, email):
                return await self._give_up(own)
            return await self._refused(own, NOT_AMONG_THEIRS)
        if address.primary and not self._can_do_without(own):
            return await self._refused(own, CANNOT_REMOVE_PRIMARY)
        return self._needed(own) or await self._removed(own, address)

    # What may be done

    async def _own(self, visit: Visit) -> Own | None:
        if visit.logged_in is None:
            return None
        session, account = visit.logged_in
        listed = await self._emails.list(account.id)
        return Own(visit=visit, session=session, account=account, listed=listed)

    def _unfit(self, own: Own, email: str, *, free: bool) -> Fault | None:
        """Return why an address cannot be added, in the order in which clients are told."""
        rules = self._policy.rules
        if own.of(email) is not None:
            return DUPLICATE_EMAIL
        if not free and not self._policy.prevent_enumeration:
            return email_taken()
        if not rules.replaces and len(own.listed) >= rules.most:
            return too_many_addresses(rules.most)
        verification = self._policy.verification
        blocked = not (verification.by_code or verification.unverified_may_enrol)
        if blocked and own.account.register.has_second_factor:
            return ADD_EMAIL_BLOCKED
        return None

    def _can_do_without(self, own: Own) -> bool:
        """Tell whether the primary address is the only one, and nothing is mailed to log in."""
        return not self._policy.needs_address and len(own.listed) == 1

    def _needed(self, own: Own) -> ReauthenticationNeeded | None:
        methods = self._policy.reauthentication.missing(
            Matter.EMAIL, own.session, own.account, self._clock()
        )
        return ReauthenticationNeeded(own.visit, methods) if methods else None

    def _is_being_proved(self, own: Own, email: str) -> bool:
        proof = self._proof(own)
        return proof is not None and proof.address == email

    def _proof(self, own: Own) -> AddressProof | None:
        """Return what is being proved by a code that is still good."""
        proof, verification = own.session.processes.address, self._policy.verification
        if proof is None or not verification.by_code:
            return None
        return None if proof.code.is_over(self._clock(), verification.codes) else proof

    def _shown(self, own: Own, listed: tuple[Address, ...]) -> Addresses:
        proof = self._proof(own)
        if proof is None or any(address.address == proof.address for address in listed):
            return Addresses(listed)
        return Addresses((*listed, Address(address=proof.address, verified=False)))

    # Writing

    async def _write(
        self,
        own: Own,
        *steps: Step,
        events: Sequence[Event] = (),
        letter: Letter | None = None,
    ) -> Row | Throttled | None:
        """Write what one request changes, counted for the person. None if a step was refused.

        A letter that may be left out is, beyond its limits.
        """
        now = self._clock()
        counters = self._counters(own)
        counted = self._store.count(counters, now)
        mailed = () if letter is None else letter.conditions
        sent = () if letter is None else (letter.mail,)
        written = await self._store.write(*counted, *mailed, *steps, *sent, events=events)
        if written is not None:
            return written
        ends_at = await self._store.spent_until(counters, now)
        if ends_at is not None:
            await self._store.record(EmailLimited(user_id=own.account.id))
            return Throttled(until(ends_at, now))
        if letter is None:
            return None
        ends_at = await self._store.spent_until(letter.counters, now)
        if ends_at is None:
            return None
        if not letter.may_be_left_out:
            await self._store.record(EmailLimited(user_id=own.account.id))
            return Unmailed(until(ends_at, now))
        return await self._write(own, *steps, events=events)

    def _counters(self, own: Own) -> tuple[Counter, ...]:
        return self._store.limits.counters(MANAGE_EMAIL, ip=own.visit.address, user=own.account.id)

    async def _counted(self, own: Own, *events: Event) -> Throttled | None:
        written = await self._write(own, events=events)
        return written if isinstance(written, Throttled) else None

    async def _refused(self, own: Own, fault: Fault) -> Outcome:
        """Refuse, as often as anything may be asked: what is told may be worth something."""
        return await self._counted(own, *_learned(own, fault)) or Refused((fault,))

    async def _prove(self, own: Own, email: str, instead: MailKind | None) -> Outcome:
        """Mail a code, for which the session waits from now on."""
        now, proof_id = self._clock(), new_token(ID_BYTES)
        code, letter = self._mails.with_code(
            proof_id, email, now, ip=own.visit.address, instead=instead
        )
        proof = AddressProof(id=proof_id, address=email, started_at=now, code=code)
        session = self._with_proof(own, proof)
        written = await self._write(
            own,
            self._store.change_session(session),
            events=[EmailClaimed(user_id=own.account.id)],
            letter=letter,
        )
        if isinstance(written, Throttled):
            return written
        if written is None:
            raise _changed()
        return self._shown(replace(own, session=session), own.listed)

    def _with_proof(self, own: Own, proof: AddressProof | None) -> Session:
        processes = replace(own.session.processes, address=proof)
        return replace(own.session, processes=processes)

    async def _claim(self, own: Own, email: str, instead: MailKind | None) -> Outcome:
        """Note the address as claimed, and mail a link."""
        now, account, rules = self._clock(), own.account, self._policy.rules
        claimed = Address(address=email, verified=False, claimed_at=now)
        letter = self._mails.with_link(
            account.id, account.session_epoch, claimed, now, ip=own.visit.address, instead=instead
        )
        steps = [self._store.account_stands(account)]
        if rules.replaces:
            steps.append(self._emails.forget_claims(account.id))
        most = UNBOUNDED if rules.replaces else rules.most
        steps.append(self._emails.claim(account.id, email, now, most=most))
        try:
            written = await self._write(
                own, *steps, events=[EmailClaimed(user_id=account.id)], letter=letter
            )
        except Conflict:
            return Refused((DUPLICATE_EMAIL,))
        if isinstance(written, Throttled):
            return written
        if written is None:
            return await self._overtaken(own, lambda now: self._unfit(now, email, free=True))
        left = own.listed
        if rules.replaces:
            left = tuple(address for address in left if address.claimed_at is None)
        return self._shown(own, (*left, claimed))

    async def _link_again(self, own: Own, address: Address) -> Outcome:
        now, account = self._clock(), own.account
        letter = self._mails.with_link(
            account.id, account.session_epoch, address, now, ip=own.visit.address
        )
        letter = replace(letter, may_be_left_out=False)
        sent = EmailVerificationResent(user_id=account.id)
        written = await self._write(
            own, self._store.account_stands(account), events=[sent], letter=letter
        )
        if written is None:
            raise _changed()
        if isinstance(written, Unmailed):
            return Unsent()
        return written if isinstance(written, Throttled) else Done()

    async def _asked_again(self, visit: Visit) -> Outcome:
        outcome = await self._verify_email.resend(visit)
        return Unsent() if isinstance(outcome, Misfit) else outcome

    async def _made_primary(self, own: Own, address: Address) -> Outcome:
        now, account = self._clock(), own.account
        steps = [self._store.account_stands(account, held=True)]
        if address.verified:
            steps += self._emails.make_primary(account.id, account.email, address.address)
        else:
            steps += self._emails.make_claim_primary(account.id, account.email, address, now)
        told = {"email": address.address}
        steps += self._notices.tell(account.email, MailKind.EMAIL_CHANGED, now, told)
        event = PrimaryEmailChanged(user_id=account.id)
        try:
            written = await self._write(own, *steps, events=[event])
        except Conflict:
            return await self._told(own, email_taken())
        if isinstance(written, Throttled):
            return written
        if written is None:
            return await self._overtaken(own, lambda now: _no_longer(now, address))
        return self._shown(own, await self._emails.list(account.id))

    async def _removed(self, own: Own, address: Address) -> Outcome:
        now, account, email = self._clock(), own.account, address.address
        steps = [self._store.account_stands(account, held=True)]
        if address.primary:
            steps.append(self._emails.remove_last(account.id, email))
            steps += self._notices.tell(email, MailKind.EMAIL_REMOVED, now, {"email": email})
        elif address.verified:
            steps.append(self._emails.remove(account.id, email))
            for to in (account.email, email):
                steps += self._notices.tell(to, MailKind.EMAIL_REMOVED, now, {"email": email})
        else:
            steps.append(self._emails.forget_claim(account.id, email, required=True))
        event = EmailRemoved(user_id=account.id, verified=address.verified)
        written = await self._write(own, *steps, events=[event])
        if isinstance(written, Throttled):
            return written
        if written is None:
            return await self._overtaken(own, lambda now: _no_longer(now, address))
        return self._shown(own, own.without(email))

    async def _give_up(self, own: Own) -> Outcome:
        session = self._with_proof(own, None)
        event = EmailRemoved(user_id=own.account.id, verified=False)
        written = await self._write(own, self._store.change_session(session), events=[event])
        if isinstance(written, Throttled):
            return written
        if written is None:
            raise _changed()
        return self._shown(replace(own, session=session), own.listed)

    async def _overtaken(self, own: Own, judge: "Callable[[Own], Fault | None]") -> Outcome:
        """Say why nothing was written, if it is because of what has become of the addresses."""
        again = await self._own(own.visit)
        fault = None if again is None else judge(again)
        if fault is not None:
            return await self._told(own, fault)
        raise _changed()

    async def _told(self, own: Own, fault: Fault) -> Refused:
        """Refuse what has been counted, or was not to be."""
        if events := _learned(own, fault):
            await self._store.record(*events)
        return Refused((fault,))


def _learned(own: Own, fault: Fault) -> list[Event]:
    """Return what is on record of a refusal: that whose an address is has been told."""
    return [EmailRefused(user_id=own.account.id)] if fault == email_taken() else []


def _no_longer(own: Own, before: Address) -> Fault | None:
    """Return what is wrong with an address by now that was among them `before`."""
    address = own.of(before.address)
    if address is None:
        return NOT_AMONG_THEIRS
    return CANNOT_REMOVE_PRIMARY if address.primary and not before.primary else None


def _changed() -> Unavailable:
    return Unavailable("The account or the session changed meanwhile.")
