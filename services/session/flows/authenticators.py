"""A person's authenticators: shown, activated by a code, deactivated."""

from dataclasses import dataclass, replace

import structlog

from services.session.domain.factors import RECOVERY_CODES, TOTP, is_real
from services.session.domain.faults import UNVERIFIED_EMAIL, incorrect_code, rate_limited
from services.session.domain.limits import Counter
from services.session.domain.methods import MethodKind
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.register import Entry, Intent, Pending, Register
from services.session.domain.sessions import Account, Session
from services.session.events import SecondFactorFailed
from services.session.flows.enrolled import entry_of
from services.session.flows.factors import Factors
from services.session.flows.outcomes import (
    Authenticators,
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
from shared.errors import Conflict, CountersignError, Malformed, NotFound
from shared.factor import Authenticator, FactorClient

SHOWN = ("secret", "totp_url", "totp_svg")

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a person is: what counts their wrong codes here, and whether they have been before."""

    here: Counter
    familiar: bool


class AuthenticatorsFlow:
    """What is enrolled, and how that changes."""

    def __init__(
        self,
        store: Store,
        registrar: Registrar,
        second_factor: SecondFactor,
        factors: Factors,
        clock: Clock,
        *,
        reauthentication: Reauthentication,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._second_factor = second_factor
        self._factors = factors
        self._clock = clock
        self._reauthentication = reauthentication

    async def list(self, visit: Visit) -> Outcome:
        """Show what the register holds: no factor is asked, and none needs to be up."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        offered = self._factors.offered
        shown = (e for e in account.register.entries if is_real(e.type) or e.type in offered)
        return Authenticators(tuple(shown))

    async def show_totp(self, visit: Visit) -> Outcome:
        """Show the authenticator, or begin an enrolment with a new secret.

        Nothing is written here: which enrolment it is follows from the session and the register,
        and the factor forgets by itself what is not completed.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        for entry in account.register.of_type(TOTP):
            return Enrolled(entry)
        if not account.email_verified:
            return Misfit((UNVERIFIED_EMAIL,))
        account = await self._registrar.settled(account)
        enrolment = account.register.next_id(session.id, TOTP)
        try:
            offer = await self._totp.begin(
                account.id, enrolment, session_id=session.id, account_name=account.email
            )
        except Conflict:  # it is being completed at this moment
            raise overtaken() from None
        return NotEnrolled({name: offer.display[name] for name in SHOWN if name in offer.display})

    async def activate_totp(self, visit: Visit, code: str) -> Outcome:
        """Let the authenticator count whose secret was shown last in this session.

        Its first code is judged by the factor, which spends it. Failures count like those of a
        login: whoever has the session and not the phone may not guess here either. It does not
        outlive its session: a logout, or a change that ends sessions, stops it on its way.

        Recovery codes are made along, if there are none yet; where that cannot be done, it is done
        without.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        if methods := self._missing(session, account):
            return ReauthenticationNeeded(visit, methods)
        account = await self._registrar.settled(account)
        if account.register.of_type(TOTP):
            return Refused((incorrect_code(),))
        if not account.email_verified:
            return Refused((replace(UNVERIFIED_EMAIL, param="code"),))
        spot = Spot(
            here=self._store.limits.here(user=account.id, ip=visit.address),
            familiar=await self._second_factor.is_familiar(visit, account),
        )
        if await self._second_factor.rests(account, spot.here, familiar=spot.familiar):
            return await self._limited(account)
        pending = self._pending(account, session)
        register = await self._registrar.announce(account, pending)
        try:
            result = await self._totp.complete(
                account.id, pending.id, session_id=session.id, proof={"code": code}
            )
        except (NotFound, Malformed):  # never begun, expired or replaced; or this is no code
            return await self._wrong(account, register, spot)
        if result.authenticator is None:
            return await self._wrong(account, register, spot)
        return await self._activated(account, session, register, result.authenticator, spot)

    async def deactivate_totp(self, visit: Visit) -> Outcome:
        """Remove the authenticator, if there is one."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        methods = self._missing(session, account)
        if account.register.of_type(TOTP) and methods:
            return ReauthenticationNeeded(visit, methods)
        if account.register.pending is not None:
            account = await self._registrar.settled(account)
        for entry in account.register.of_type(TOTP):
            account = await self._registrar.remove(account, entry)
        return Removed()

    @property
    def _totp(self) -> FactorClient:
        return self._factors.of(TOTP)

    def _pending(self, account: Account, session: Session) -> Pending:
        register = account.register
        codes = None
        if RECOVERY_CODES in self._factors.offered and not register.of_type(RECOVERY_CODES):
            codes = register.next_id(session.id, RECOVERY_CODES)
        enrolment = register.next_id(session.id, TOTP)
        return Pending(intent=Intent.ADD, type=TOTP, id=enrolment, codes=codes)

    async def _activated(
        self,
        account: Account,
        session: Session,
        register: Register,
        made: Authenticator,
        spot: Spot,
    ) -> Outcome:
        pending = register.pending
        if pending is not None and made.id == pending.id:
            entry = entry_of(made, TOTP)
            codes = await self._codes(account, session, pending.codes)
            if await self._registrar.add(
                account, register, entry, codes, session, here=spot.here, familiar=spot.familiar
            ):
                return Enrolled(entry, codes_generated=codes is not None)
        await self._registrar.abandon(account, register)
        if limited := await self._refused(account, spot):
            return limited
        raise overtaken()

    async def _codes(self, account: Account, session: Session, id: str | None) -> Entry | None:
        """Have recovery codes made. None if none are wanted, or it went wrong in whatever way."""
        if id is None:
            return None
        try:
            result = await self._factors.of(RECOVERY_CODES).complete(
                account.id, id, session_id=session.id, proof={}
            )
        except CountersignError as error:
            log.warning("recovery_codes_not_made", user_id=account.id, error=str(error))
            return None
        made = result.authenticator
        return entry_of(made, RECOVERY_CODES) if made is not None and made.id == id else None

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
        withdrawn = self._store.register_written(
            account.id, replace(register, pending=None), changed=False
        )
        await self._store.write(withdrawn)
        counted = await self._store.write(
            *self._store.count_mfa_failure(account.id, now, here=spot.here, familiar=spot.familiar),
            events=[failed],
        )
        if counted is not None:
            return Refused((incorrect_code(),))
        return await self._refused(account, spot) or await self._limited(account)

    async def _refused(self, account: Account, spot: Spot) -> Refused | None:
        return await self._second_factor.refused(
            account, ACTIVATION, spot.here, familiar=spot.familiar, fault=rate_limited()
        )

    async def _limited(self, account: Account) -> Outcome:
        return await self._second_factor.limited(account, ACTIVATION, rate_limited())

    def _missing(self, session: Session, account: Account) -> frozenset[MethodKind]:
        return self._reauthentication.missing(Matter.MFA, session, account, self._clock())
