"""Judging a second factor: one counter for every place where one is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.session.domain.faults import Fault, incorrect_code, too_many_attempts
from services.session.domain.methods import Method, MethodKind
from services.session.domain.register import Entry, Register
from services.session.domain.sessions import Account
from services.session.events import SecondFactorFailed, SecondFactorLimited
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
    acceptance: Step


class SecondFactor:
    """Has codes judged. Accepting and failing are conditional on the counter of the account."""

    def __init__(self, store: Store, factors: Mapping[str, FactorClient], clock: Clock) -> None:
        self._store = store
        self._factors = factors
        self._clock = clock

    async def judge(
        self, account: Account, code: str, *, session_id: str, purpose: str
    ) -> Accepted | Fault:
        """Have `code` judged by the factors of the account, and by registered authenticators only.

        While the second factor rests no factor is asked, so that no good code is spent. A failure
        is counted by the write whose outcome decides what is said of it. Raises Unavailable, and
        counts nothing, if a factor that the person has is not configured here: a code of it could
        not be told from a wrong one.
        """
        if self._clock() < account.mfa_rests_until:
            return await self.limited(account.id, purpose)
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
                return self._accepted(account, entry, tuple(verification.amr), purpose)
        return await self._failed(account.id, purpose)

    async def limited(self, user_id: str, purpose: str) -> Fault:
        """Put on record that nothing was told, and return what is said instead."""
        await self._store.record(SecondFactorLimited(user_id=user_id, purpose=purpose))
        return too_many_attempts("code")

    async def refused(self, account: Account, purpose: str) -> Fault | None:
        """Return what is said of a right code that was refused because of the counter, or None."""
        found = await self._store.find_account(account.id)
        if found is not None and self._clock() < found.mfa_rests_until:
            return await self.limited(account.id, purpose)
        return None

    def _accepted(
        self, account: Account, entry: Entry, amr: tuple[str, ...], purpose: str
    ) -> Accepted:
        now = self._clock()
        register = account.register.used(entry.id, now)
        return Accepted(
            method=Method(
                kind=MethodKind.MFA,
                at=now,
                amr=amr,
                id=entry.id,
                type=entry.type,
                reauthenticated=purpose == REAUTHENTICATION,
            ),
            register=register,
            acceptance=self._store.accept_mfa(account, register, now),
        )

    async def _failed(self, user_id: str, purpose: str) -> Fault:
        counted = await self._store.write(
            self._store.count_mfa_failure(user_id, self._clock()),
            events=[SecondFactorFailed(user_id=user_id, purpose=purpose)],
        )
        return await self.limited(user_id, purpose) if counted is None else incorrect_code()


LOGIN = "login"
REAUTHENTICATION = "reauthentication"
ACTIVATION = "activation"
