"""Signing up with a password, or with names alone and a passkey later."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.session.domain.faults import USERNAME_TAKEN, Fault, email_taken
from services.session.domain.limits import SIGNUP, Counter
from services.session.domain.mails import MailKind
from services.session.domain.passwords import PasswordRules, password_faults
from services.session.domain.sessions import NOBODY, Account
from services.session.domain.signup_fields import SignupFields
from services.session.domain.stages import Login
from services.session.domain.usernames import UsernameRules
from services.session.domain.verification import Verification, Verified
from services.session.events import SignedUp, SignupLimited, SignupRepeated, UsernameRefused
from services.session.flows.address_mails import AddressMails
from services.session.flows.engine import ID_BYTES, Engine, Move, arrived
from services.session.flows.outcomes import Misfit, Outcome, Refused, Throttled, Visit, until
from services.session.flows.passwords import PasswordHasher
from services.session.store import Store, Vacancy
from services.session.store.emails import Address
from shared.clock import Clock
from shared.database import Step
from shared.errors import Conflict
from shared.event import Event
from shared.token import new_token

SUFFIX_DIGITS = 7  # behind a username that is made up and taken, as many as allauth tries


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """Who signs up: the names that they give, canonical as they are kept, and their password."""

    email: str | None = None
    username: str | None = None
    password_hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class SignupPolicy:
    """What the operator chose. Without `usernames` accounts have none.

    Without a username of their own, people get one that is made up.
    """

    fields: SignupFields = field(default_factory=SignupFields)
    usernames: UsernameRules | None = None
    passwords: PasswordRules = field(default_factory=PasswordRules)

    def in_order(self, faults: Iterable[Fault]) -> tuple[Fault, ...]:
        """Return faults in the order of the fields, those of the password last."""
        order = {name: place for place, name in enumerate(self.fields.names)}
        return tuple(sorted(faults, key=lambda fault: order.get(fault.param or "", len(order))))


class SignupFlow:
    """Makes accounts. Nobody learns here whether an address has one; of a username they do."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        hasher: PasswordHasher,
        clock: Clock,
        policy: SignupPolicy,
        *,
        mails: AddressMails,
        verification: Verification,
    ) -> None:
        self._store = store
        self._engine = engine
        self._hasher = hasher
        self._clock = clock
        self._policy = policy
        self._mails = mails
        self._verification = verification

    async def sign_up(
        self,
        visit: Visit,
        applicant: Applicant,
        password: str | None,
        *,
        faults: Sequence[Fault] = (),
    ) -> Outcome:
        """Make an account and begin its login, which waits for the code or link that is mailed.

        Where addresses need not be verified it waits for nothing, and who gives one that is taken
        is told so. If an address is taken, the same work is done and the same answer given, the
        login leads nowhere, and the owner of the address is told by mail. An account that nobody
        can get into does not take it: a code is mailed, and whoever gives it has the account with
        this password and username. That a username is taken is told. One read and one write; over
        the limit of the origin nothing is hashed. `faults` are those of what could not be read, and
        is None in `applicant`, or as `password`; what else is wrong is told along with them.
        """
        email, username = applicant.email, applicant.username
        rules = self._policy.passwords
        weak = password_faults(password, rules, email=email, username=username) if password else ()
        outcome = await self._judged(visit, applicant, (*faults, *weak))
        if not isinstance(outcome, Vacancy):
            return outcome
        if password is None:
            raise TypeError("what could not be read has its fault")
        password_hash = await self._hasher.hash(password)
        return await self._made(visit, replace(applicant, password_hash=password_hash), outcome)

    async def sign_up_by_passkey(
        self, visit: Visit, applicant: Applicant, *, faults: Sequence[Fault] = ()
    ) -> Outcome:
        """Make an account without a password; its passkey is made once the address is verified.

        Otherwise as `sign_up`.
        """
        outcome = await self._judged(visit, applicant, faults)
        if not isinstance(outcome, Vacancy):
            return outcome
        return await self._made(visit, applicant, outcome)

    async def _judged(
        self, visit: Visit, applicant: Applicant, faults: Sequence[Fault]
    ) -> Vacancy | Outcome:
        """Return what somebody finds who may have an account, or else what they are answered."""
        refused = Refused(self._policy.in_order(faults))
        may_be_taken = applicant.username or (applicant.email and self._tells_addresses)
        if faults and not may_be_taken:
            return refused
        if visit.authenticated:
            return refused if faults else Misfit()
        vacancy = await self._vacancy(visit, applicant)
        if vacancy.action_until:  # hashing is what an origin could keep all cores busy with
            return refused if faults else await self._limited(visit, applicant.email)
        taken = self._taken(applicant, vacancy)
        if taken:
            return await self._told(visit, applicant, vacancy, (*faults, *taken))
        return refused if faults else vacancy

    @property
    def _tells_addresses(self) -> bool:
        """Whether it is told that an address is taken: who is let in at once would see it."""
        return not self._verification.is_mandatory

    def _taken(self, applicant: Applicant, vacancy: Vacancy) -> tuple[Fault, ...]:
        """Return what is told to be taken."""
        address = vacancy.owner is not None and self._tells_addresses
        username = vacancy.username_taken and applicant.username is not None
        return (*((email_taken(),) if address else ()), *((USERNAME_TAKEN,) if username else ()))

    async def _told(
        self, visit: Visit, applicant: Applicant, vacancy: Vacancy, faults: Sequence[Fault]
    ) -> Outcome:
        """Tell what is taken, as often as anybody may sign up: it is worth knowing."""
        owner = vacancy.owner if self._tells_addresses else None
        events: list[Event] = [] if owner is None else [SignupRepeated(user_id=owner.id)]
        if vacancy.username_taken and applicant.username is not None:
            events.append(UsernameRefused(user_id=None))
        counted = self._store.count(self._counters(visit), self._clock())
        if await self._store.write(*counted, events=events):
            return Refused(self._policy.in_order(faults))
        return await self._limited(visit, applicant.email)

    async def _made(self, visit: Visit, applicant: Applicant, vacancy: Vacancy) -> Outcome:
        try:
            return await self._write(visit, self._named(applicant, vacancy), vacancy.owner)
        except Conflict:  # a name was free when it was looked up, and is so no more
            vacancy = await self._vacancy(visit, applicant)
            if taken := self._taken(applicant, vacancy):
                return await self._told(visit, applicant, vacancy, taken)
            return await self._write(visit, self._named(applicant, vacancy), vacancy.owner)

    async def _vacancy(self, visit: Visit, applicant: Applicant) -> Vacancy:
        return await self._store.find_vacancy(
            applicant.email,
            applicant.username or self._made_up(applicant),
            self._clock(),
            action=self._counters(visit),
        )

    def _made_up(self, applicant: Applicant) -> str | None:
        usernames = self._policy.usernames
        return None if usernames is None else usernames.made_up(applicant.email)

    def _named(self, applicant: Applicant, vacancy: Vacancy) -> Applicant:
        """Return the applicant with the username that they get if they have given none."""
        usernames, name = self._policy.usernames, self._made_up(applicant)
        if applicant.username is not None or usernames is None or name is None:
            return applicant
        if vacancy.username_taken or len(name) < usernames.min_length:
            digits = max(SUFFIX_DIGITS, usernames.min_length - len(name))
            name += f"{secrets.randbelow(10**digits):0{digits}d}"
        return replace(applicant, username=name)

    def _counters(self, visit: Visit) -> tuple[Counter, ...]:
        return self._store.limits.counters(SIGNUP, ip=visit.address)

    async def _write(self, visit: Visit, applicant: Applicant, owner: Account | None) -> Outcome:
        now, email = self._clock(), applicant.email
        user_id = new_token(ID_BYTES)
        login = Login(
            id=new_token(ID_BYTES),
            user_id=user_id,
            email=email,
            started_at=now,
            by_passkey=applicant.password_hash is None,
            verifies_email=self._verification.is_mandatory,
        )
        mail = MailKind.VERIFICATION_CODE
        if owner is not None and self._is_reclaimed(owner):
            login = reclaiming(login, owner, applicant)
        elif owner is not None:
            mail = MailKind.ACCOUNT_EXISTS
            if self._verification.max_changes:  # with another address there may be an account
                login = replace(
                    login, username=applicant.username, password_hash=applicant.password_hash
                )
        move = self._mailed(visit, self._engine.move(visit, login, NOBODY, now, mail=mail), login)
        event = SignedUp(user_id=user_id) if owner is None else SignupRepeated(user_id=owner.id)
        made = (
            *self._store.sign_up(
                user_id=user_id,
                email_id=new_token(ID_BYTES),
                address=email,
                username=applicant.username,
                password_hash=applicant.password_hash,
                fresh=owner is None,
                now=now,
            ),
            *held_name(self._store, applicant.username, now, wanted=owner is not None),
        )
        at_once = move.stage is None  # then what is written refers to the account
        written = await self._engine.write(
            move,
            now,
            *self._store.count(self._counters(visit), now),
            *(made if at_once else ()),
            after=() if at_once else made,
            events=[event, *move.events],
        )
        if written is not None:
            return arrived(visit, move, self._newcomer(user_id, applicant) if at_once else None)
        if visit.session is not None:  # it may only have moved on or ended meanwhile
            return await self._write(replace(visit, session=None), applicant, owner)
        return await self._limited(visit, email)

    def _newcomer(self, user_id: str, applicant: Applicant) -> Account:
        return self._store.newcomer(
            user_id, applicant.email, applicant.username, applicant.password_hash
        )

    def _is_reclaimed(self, owner: Account) -> bool:
        """Tell whether who gives the code that is mailed has an account that there is already.

        A link is followed by whoever reads the mail: it opens no account with a new password.
        """
        return self._verification.by_code and self._engine.is_unfinished(owner)

    def _mailed(self, visit: Visit, move: Move, login: Login) -> Move:
        """Return a move that nothing waits for with the link that people may follow at leisure."""
        optional = self._verification.when is Verified.OPTIONAL
        if move.letter is not None or not optional or login.email is None:
            return move
        address = Address(address=login.email, verified=False, primary=True)
        letter = self._mails.with_link(
            login.user_id, login.session_epoch, address, login.started_at, ip=visit.address
        )
        return replace(move, letter=letter)

    async def _limited(self, visit: Visit, email: str | None) -> Outcome:
        """Put on record that a sign-up was refused. It counts for its origin all the same."""
        now = self._clock()
        counters = self._counters(visit)
        counted = (replace(s, required=False) for s in self._store.count(counters, now))
        await self._store.write(*counted, events=[SignupLimited(user_id=None)])
        mails = self._store.limits.mails(address=email, ip=visit.address) if email else ()
        ends_at = await self._store.spent_until((*counters, *mails), now)
        return Throttled(until(ends_at or now, now))


def held_name(
    store: Store, username: str | None, now: datetime, *, wanted: bool
) -> tuple[Step, ...]:
    """Return what holds a username for nobody, or if that is not `wanted` does the same work.

    It is wanted where an account would have been made, had its address been free: were the username
    free afterwards, that would tell that the address is not.
    """
    if username is None:
        return ()
    return (store.reserve_username(username, now, wanted=wanted),)


def reclaiming(login: Login, owner: Account, applicant: Applicant) -> Login:
    """Return `login` as one to the account of `owner`, as it is now, once the code is given."""
    return replace(
        login,
        user_id=owner.id,
        factor_epoch=owner.factor_epoch,
        session_epoch=owner.session_epoch,
        reclaims=True,
        password_hash=applicant.password_hash,
        username=applicant.username,
    )
