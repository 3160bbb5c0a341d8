"""An authenticator that is proved by codes: shown, activated by a code, deactivated."""

from collections.abc import Collection
from dataclasses import replace

from services.session.domain.faults import UNVERIFIED_EMAIL, incorrect_code, rate_limited
from services.session.domain.limits import Spot
from services.session.domain.methods import MethodKind
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.register import Register
from services.session.domain.sessions import Account, Session
from services.session.domain.verification import Verification
from services.session.events import SecondFactorFailed
from services.session.flows.enrolment import Enrolment
from services.session.flows.outcomes import (
    Enrolled,
    LoginNeeded,
    Misfit,
    NotEnrolled,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    Removed,
    Visit,
)
from services.session.flows.register import Registrar, overtaken
from services.session.flows.second_factor import ACTIVATION, SecondFactor
from services.session.store import Store
from shared.clock import Clock


class CodeFactorFlow:
    """One kind of them, of which a person has one at most: TOTP, or someone else's.

    Of what its factor shows to be enrolled, `shown` is handed on, or everything.
    """

    def __init__(
        self,
        store: Store,
        registrar: Registrar,
        enrolment: Enrolment,
        second_factor: SecondFactor,
        clock: Clock,
        *,
        reauthentication: Reauthentication,
        verification: Verification,
        kind: str,
        shown: Collection[str] | None = None,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._enrolment = enrolment
        self._second_factor = second_factor
        self._clock = clock
        self._reauthentication = reauthentication
        self._verification = verification
        self._kind = kind
        self._shown = shown

    async def show(self, visit: Visit) -> Outcome:
        """Show the authenticator, or begin an enrolment with a new secret."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        for entry in account.register.of_type(self._kind):
            return Enrolled(entry)
        if self._verification.bars(account):
            return Misfit((UNVERIFIED_EMAIL,))
        display = await self._enrolment.begin(account, session, self._kind)
        shown = display if self._shown is None else self._shown
        return NotEnrolled({name: display[name] for name in shown if name in display})

    async def activate(self, visit: Visit, code: str) -> Outcome:
        """Let the authenticator count whose secret was shown last in this session.

        Its first code is judged by the factor, which spends it. Failures count like those of a
        login: whoever has the session and not the phone may not guess here either. It does not
        outlive its session: a logout, or a change that ends sessions, stops it on its way.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        if methods := self._missing(session, account):
            return ReauthenticationNeeded(visit, methods)
        account = await self._registrar.settled(account)
        if methods := self._missing(session, account):  # it may have been another register
            return ReauthenticationNeeded(visit, methods)
        if account.register.of_type(self._kind):
            return Refused((incorrect_code(),))
        if self._verification.bars(account):
            return Refused((replace(UNVERIFIED_EMAIL, param="code"),))
        spot = await self._second_factor.spot(visit, account)
        if await self._second_factor.rests(account, spot):
            return await self._limited(account)
        return await self._judged(account, session, code, spot)

    async def deactivate(self, visit: Visit) -> Outcome:
        """Remove the authenticator, if there is one."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        if methods := self._missing_for_removal(session, account):
            return ReauthenticationNeeded(visit, methods)
        if account.register.pending is not None:
            account = await self._registrar.settled(account)
            if methods := self._missing_for_removal(session, account):
                return ReauthenticationNeeded(visit, methods)
        for entry in account.register.of_type(self._kind):
            account = await self._registrar.remove(account, entry)
        return Removed()

    async def _judged(self, account: Account, session: Session, code: str, spot: Spot) -> Outcome:
        made = await self._enrolment.complete(account, session, self._kind, {"code": code})
        if made.entry is None:
            return await self._wrong(account, made.register, spot)
        stands = self._store.session_stands(session.id)
        grown = await self._registrar.add(
            account, made.register, made.entry, made.codes, stands, spot=spot
        )
        if grown is not None:
            return Enrolled(made.entry, codes_generated=made.codes is not None)
        await self._registrar.abandon(account, made.register)
        if limited := await self._refused(account, spot):
            return limited
        raise overtaken()

    async def _wrong(self, account: Account, register: Register, spot: Spot) -> Outcome:
        """Count the failure and withdraw the change. The count decides what is said."""
        now = self._clock()
        failed = SecondFactorFailed(user_id=account.id, purpose=ACTIVATION)
        counted = await self._store.write(
            *self._store.fail_activation(
                account.id, register.number, now, here=spot.here, familiar=spot.familiar
            ),
            events=[failed],
        )
        if counted is not None:
            return Refused((incorrect_code(),))
        # Either the second factor rests by now, or somebody took over and withdrew the change.
        await self._registrar.withdraw(account, register)
        counted = await self._store.write(
            *self._store.count_mfa_failure(account.id, now, here=spot.here, familiar=spot.familiar),
            events=[failed],
        )
        if counted is not None:
            return Refused((incorrect_code(),))
        return await self._refused(account, spot) or await self._limited(account)

    async def _refused(self, account: Account, spot: Spot) -> Refused | None:
        return await self._second_factor.refused(account, ACTIVATION, spot, rate_limited())

    async def _limited(self, account: Account) -> Outcome:
        return await self._second_factor.limited(account, ACTIVATION, rate_limited())

    def _missing_for_removal(self, session: Session, account: Account) -> frozenset[MethodKind]:
        held = account.register.of_type(self._kind)
        return self._missing(session, account) if held else frozenset()

    def _missing(self, session: Session, account: Account) -> frozenset[MethodKind]:
        return self._reauthentication.missing(Matter.MFA, session, account, self._clock())
