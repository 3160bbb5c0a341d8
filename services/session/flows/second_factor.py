"""Judging a second factor: one counter for every place where one is asked for."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from pydantic import JsonValue

from services.session.domain.factors import (
    RECOVERY_CODES,
    TYPES,
    WEBAUTHN,
    is_real,
    takes_code,
)
from services.session.domain.faults import Fault, incorrect_code, too_many_attempts
from services.session.domain.limits import FOR_EVER, Spot
from services.session.domain.mails import MailKind
from services.session.domain.methods import Method, MethodKind
from services.session.domain.origins import origin_of
from services.session.domain.register import Entry, Register
from services.session.domain.sessions import Account
from services.session.events import SecondFactorFailed, SecondFactorLimited
from services.session.flows.clones import Clones
from services.session.flows.factors import Factors
from services.session.flows.notices import Notices
from services.session.flows.outcomes import Asked, Refused, Visit, until
from services.session.store import Store
from shared.clock import Clock
from shared.code_form import CodeForm
from shared.database import Step
from shared.errors import Malformed, Unavailable
from shared.factor import Purpose, Verification

CODE = "code"
CREDENTIAL = "credential"

T = TypeVar("T")


@dataclass(frozen=True)
class Proof:
    """What a person gives: a code that they type, or what a key has made of its options.

    `member` is what it is called in requests, and to factors.
    """

    member: str
    value: JsonValue = field(repr=False)

    @property
    def too_many(self) -> Fault:
        """What is said while proofs are not judged."""
        return too_many_attempts(self.member)


def code(text: str) -> Proof:
    """Return a code as what a person gives."""
    return Proof(CODE, text)


def credential(answer: Mapping[str, JsonValue]) -> Proof:
    """Return the answer of a key as what a person gives."""
    return Proof(CREDENTIAL, dict(answer))


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A proof was right. `acceptance` has to be written for it to count, and may be refused.

    `anew` returns the same upon the account as it is by now.
    """

    method: Method
    register: Register
    acceptance: tuple[Step, ...]
    anew: Callable[[Account], "Accepted"]


class SecondFactor:
    """Has proofs judged. Accepting and failing are conditional on the counter of the account."""

    def __init__(self, store: Store, factors: Factors, notices: Notices, clock: Clock) -> None:
        self._store = store
        self._factors = factors
        self._notices = notices
        self._clones = Clones(notices)
        self._clock = clock

    async def ask(self, account: Account, *, session_id: str, purpose: str) -> Asked:
        """Have one of the keys of the account asked for. Raises Unavailable if webauthn is away."""
        offer = await self._factors.of(WEBAUTHN).challenge(
            account.id,
            authenticators=[entry.id for entry in account.register.of_type(WEBAUTHN)],
            session_id=session_id,
            purpose=PURPOSES[purpose],
        )
        return Asked(offer.display)

    async def prove(
        self,
        account: Account,
        proof: Proof,
        write: Callable[[Account, Accepted], Awaitable[T | None]],
        *,
        session_id: str,
        purpose: str,
        spot: Spot,
    ) -> T | Refused | None:
        """Have `proof` judged, and `write` write down that it is accepted; return what that does.

        If nothing but other uses came in between, it is written after them: the proof is good, and
        spent. None if what was accepted may not be written, but for the counter: that is said.

        Which of the authenticators that the register holds a code may be for is told by its form;
        where several are of one form they are asked in turn, and that is one attempt. While the
        second factor rests no factor is asked, so that no good code is spent. Where the owner is
        familiar a rest that others caused stops nobody, but what has failed there. A failure is
        counted by the write whose outcome decides what is said of it.

        Raises Unavailable if a factor that the proof may be for is away, or one that the person has
        is not configured: a code of it could not be told from a wrong one. That counts nothing,
        unless another factor has judged the code: then it was a guess.
        """
        accepted = await self._judge(account, proof, session_id, purpose, spot)
        while not isinstance(accepted, Refused):
            written = await write(account, accepted)
            if written is not None:
                return written
            found = await self._store.find_account(account.id)
            if found is None or not found.was_used_since(account):
                return await self._over(account, found, purpose, spot, proof.too_many)
            account, accepted = found, accepted.anew(found)
        return accepted

    async def limited(
        self,
        account: Account,
        purpose: str,
        fault: Fault,
        *,
        spent_until: datetime | None = None,
    ) -> Refused:
        """Put on record that nothing was told, and return what is said instead."""
        await self._store.record(SecondFactorLimited(user_id=account.id, purpose=purpose))
        now = self._clock()
        ends_at = max(account.mfa_rests_until, spent_until or now)
        wait = until(ends_at, now) if now < ends_at < FOR_EVER else None
        return Refused((fault,), wait)

    async def refused(
        self, account: Account, purpose: str, spot: Spot, fault: Fault
    ) -> Refused | None:
        """Return what is said if a write was refused because of the counter, or None."""
        found = await self._store.find_account(account.id)
        return await self._over(account, found, purpose, spot, fault)

    async def spot(self, visit: Visit, account: Account) -> Spot:
        """Return where whoever is logged in is.

        Whether they have been there before is asked for only if a rest runs, which others may have
        caused.
        """
        here = self._store.limits.here(user=account.id, ip=visit.address)
        if self._clock() >= account.mfa_rests_until:
            return Spot(here=here, familiar=False)
        origin = origin_of(visit.address, visit.user_agent)
        return Spot(here=here, familiar=await self._store.has_been_at(account.id, origin))

    async def rests(self, account: Account, spot: Spot) -> bool:
        """Tell whether nothing is judged now; see `prove`."""
        now = self._clock()
        if now >= account.mfa_rests_until:
            return False
        if not spot.familiar or account.mfa_rests_until >= FOR_EVER:
            return True
        return await self._store.spent_until((spot.here,), now) is not None

    async def _judge(
        self, account: Account, proof: Proof, session_id: str, purpose: str, spot: Spot
    ) -> Accepted | Refused:
        if await self.rests(account, spot):
            return await self.limited(account, purpose, proof.too_many)
        self._check_offered(account, proof)
        away: Unavailable | None = None
        judged: Verification | None = None
        suspected: tuple[Step, ...] = ()
        is_unjudged = False  # by one of our own that it may be for
        for entries in self._may_be_of(account, proof):
            is_ours = entries[0].type in TYPES
            if is_unjudged and not is_ours:
                break  # it may be a good code of ours, which nobody else's factor is to see
            try:
                verification = await self._verified(account, entries, proof, session_id, purpose)
            except Unavailable as error:
                away, is_unjudged = error, is_unjudged or is_ours
                continue
            judged = verification
            entry = account.register.find(verification.authenticator_id or "")
            if verification.accepted is True and entry is not None and entry in entries:
                return self._accepted(entry, verification, purpose, spot, account)
            suspected += self._clones.refused(account, entries, verification, self._clock())
        if away is not None and judged is None:
            raise away
        failed = await self._failed(account, proof, purpose, spot, suspected)
        if away is not None:
            raise away
        return failed

    async def _over(
        self, account: Account, found: Account | None, purpose: str, spot: Spot, fault: Fault
    ) -> Refused | None:
        spent = await self._store.spent_until((spot.here,), self._clock())
        if spent or (found and await self.rests(found, spot)):
            return await self.limited(found or account, purpose, fault, spent_until=spent)
        return None

    def _check_offered(self, account: Account, proof: Proof) -> None:
        for kind in filter(is_real, account.register.types):
            if _takes(kind, proof):
                self._factors.of(kind)

    def _may_be_of(self, account: Account, proof: Proof) -> Iterator[tuple[Entry, ...]]:
        """Yield, kind by kind, the authenticators that a proof of this form may be of."""
        for kind in self._factors.offered:
            if not _takes(kind, proof):
                continue
            entries = tuple(e for e in account.register.of_type(kind) if _fits(e, proof))
            if entries:
                yield entries

    async def _verified(
        self,
        account: Account,
        entries: tuple[Entry, ...],
        proof: Proof,
        session_id: str,
        purpose: str,
    ) -> Verification:
        try:
            return await self._factors.of(entries[0].type).verify(
                account.id,
                authenticators=[entry.id for entry in entries],
                proof={proof.member: proof.value},
                session_id=session_id,
                purpose=PURPOSES[purpose],
            )
        except Malformed:  # so it is not the right one either
            return Verification(accepted=False)

    def _accepted(
        self,
        entry: Entry,
        verification: Verification,
        purpose: str,
        spot: Spot,
        account: Account,
    ) -> Accepted:
        now = self._clock()
        register = account.register.used(entry.id, now, verification.changed)
        acceptance = self._store.accept_mfa(
            account, register, now, here=spot.here, familiar=spot.familiar
        )
        return Accepted(
            method=_method(entry, tuple(verification.amr), purpose, now),
            register=register,
            acceptance=(
                *acceptance,
                *self._told(account, entry, verification, now),
                *self._clones.accepted(account, entry, verification, now),
            ),
            anew=partial(self._accepted, entry, verification, purpose, spot),
        )

    def _told(
        self, account: Account, entry: Entry, verification: Verification, now: datetime
    ) -> tuple[Step, ...]:
        """Return the steps that tell the person that a recovery code was used, and what it left.

        That is what its factor said of this use, whichever others the register knows of by now.
        """
        if entry.type != RECOVERY_CODES:
            return ()
        after = {**entry.facts, **verification.changed}
        low = after.get("low") is True
        kind = MailKind.RECOVERY_CODES_LOW if low else MailKind.RECOVERY_CODE_USED
        left = {"left": str(after.get("unused", 0))}
        return self._notices.tell(account.email, kind, now, left)

    async def _failed(
        self,
        account: Account,
        proof: Proof,
        purpose: str,
        spot: Spot,
        told: tuple[Step, ...],
    ) -> Refused:
        now = self._clock()
        counted = await self._store.write(
            *self._store.count_mfa_failure(account.id, now, here=spot.here, familiar=spot.familiar),
            *told,
            events=[SecondFactorFailed(user_id=account.id, purpose=purpose)],
        )
        if counted is not None:
            return Refused((incorrect_code(proof.member),))
        # In the same way as in `prove`: neither answer nor time tells that the proof was not right.
        fault = proof.too_many
        refused = await self.refused(account, purpose, spot, fault)
        return refused or await self.limited(account, purpose, fault)


def _takes(kind: str, proof: Proof) -> bool:
    """Tell whether authenticators of a kind are proved by something of this sort at all."""
    return takes_code(kind) if proof.member == CODE else kind == WEBAUTHN


def _fits(entry: Entry, proof: Proof) -> bool:
    """Tell whether a code has the form of those of an authenticator, as far as that is known."""
    try:
        form = CodeForm.parse(str(entry.facts["code_form"]))
    except (KeyError, ValueError):
        return True
    return form.normalise(str(proof.value)) is not None


def _method(entry: Entry, amr: tuple[str, ...], purpose: str, now: datetime) -> Method:
    return Method(
        kind=MethodKind.MFA,
        at=now,
        amr=amr,
        id=entry.id,
        type=entry.type,
        reauthenticated=purpose == REAUTHENTICATION,
    )


LOGIN = "login"
REAUTHENTICATION = "reauthentication"
ACTIVATION = "activation"

PURPOSES = {LOGIN: Purpose.AUTHENTICATE, REAUTHENTICATION: Purpose.REAUTHENTICATE}
