"""Judging a second factor: one counter for every place where one is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.session.domain.faults import incorrect_code, too_many_attempts
from services.session.domain.limits import FOR_EVER, Counter
from services.session.domain.methods import Method, MethodKind
from services.session.domain.register import Entry, Register
from services.session.domain.sessions import Account
from services.session.events import SecondFactorFailed, SecondFactorLimited
from services.session.flows.outcomes import Refused, until
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Malformed, Unavailable
from shared.factor import FactorClient

CODE_FACTORS = ("totp",)
"""The factors that judge what is typed into a field `code`, in the order of asking."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A proof was right. `acceptance` has to be written for it to count, and may be refused."""

    method: Method
    register: Register
    acceptance: tuple[Step, ...]


class SecondFactor:
    """Has codes judged. Accepting and failing are conditional on the counter of the account."""

    def __init__(self, store: Store, factors: Mapping[str, FactorClient], clock: Clock) -> None:
        self._store = store
        self._factors = factors
        self._clock = clock

    async def judge(
        self,
        account: Account,
        code: str,
        *,
        session_id: str,
        purpose: str,
        here: Counter,
        familiar: bool = False,
    ) -> Accepted | Refused:
        """Have `code` judged by the factors of the account, and by registered authenticators only.

        While the second factor rests no factor is asked, so that no good code is spent. Where the
        owner has logged in before (`familiar`) a rest that others caused stops nobody, but what
        has failed `here`. A failure is counted by the write whose outcome decides what is said of
        it. Raises Unavailable, and counts nothing, if a factor that the person has is not
        configured: a code of it could not be told from a wrong one.
        """
        if await self._rests(account, here, familiar=familiar):
            return await self.limited(account, purpose)
        if unknown := sorted(set(account.register.types) - self._factors.keys()):
            raise Unavailable(f"No factor of type {unknown[0]} is configured.")
        for factor in CODE_FACTORS:
            entries = account.register.of_type(factor)
            if not entries:
                continue
            try:
                verification = await self._factors[factor].verify(
                    account.id,
                    authenticators=[entry.id for entry in entries],
                    proof={"code": code},
                    session_id=session_id,
                )
            except Malformed:  # so it is not the right one either
                continue
            entry = account.register.find(verification.authenticator_id or "")
            if verification.accepted is True and entry in entries:
                method = _method(entry, tuple(verification.amr), purpose, self._clock())
                return self._accepted(account, method, here, familiar=familiar)
        return await self._failed(account, purpose, here, familiar=familiar)

    async def limited(self, account: Account, purpose: str) -> Refused:
        """Put on record that nothing was told, and return what is said instead."""
        await self._store.record(SecondFactorLimited(user_id=account.id, purpose=purpose))
        rests_until, now = account.mfa_rests_until, self._clock()
        wait = until(rests_until, now) if now < rests_until < FOR_EVER else None
        return Refused((too_many_attempts("code"),), wait)

    async def refused(
        self, account: Account, purpose: str, here: Counter, *, familiar: bool = False
    ) -> Refused | None:
        """Return what is said of a right code that was refused because of the counter, or None."""
        found = await self._store.find_account(account.id)
        spent = await self._store.spent_until((here,), self._clock())
        if spent or (found and await self._rests(found, here, familiar=familiar)):
            return await self.limited(found or account, purpose)
        return None

    async def _rests(self, account: Account, here: Counter, *, familiar: bool) -> bool:
        now = self._clock()
        if now >= account.mfa_rests_until:
            return False
        if not familiar or account.mfa_rests_until >= FOR_EVER:
            return True
        return await self._store.spent_until((here,), now) is not None

    def _accepted(
        self, account: Account, method: Method, here: Counter, *, familiar: bool
    ) -> Accepted:
        now = self._clock()
        register = account.register.used(method.id or "", now)
        return Accepted(
            method=method,
            register=register,
            acceptance=self._store.accept_mfa(account, register, now, here=here, familiar=familiar),
        )

    async def _failed(
        self, account: Account, purpose: str, here: Counter, *, familiar: bool
    ) -> Refused:
        now = self._clock()
        counted = await self._store.write(
            *self._store.count_mfa_failure(account.id, now, here=here, familiar=familiar),
            events=[SecondFactorFailed(user_id=account.id, purpose=purpose)],
        )
        if counted is not None:
            return Refused((incorrect_code(),))
        return await self.limited(account, purpose)


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
