"""A person's authenticators: shown, activated by a code, deactivated."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from services.session.domain.faults import UNVERIFIED_EMAIL, incorrect_code, rate_limited
from services.session.domain.methods import MethodKind
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.register import Entry, Intent, Pending, Register
from services.session.domain.sessions import Account, Session
from services.session.events import SecondFactorFailed, SecondFactorLimited
from services.session.flows.engine import ID_BYTES
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
from services.session.flows.register import Registrar
from services.session.flows.second_factor import ACTIVATION
from services.session.store import Store
from shared.clock import Clock
from shared.errors import Malformed, NotFound, Unavailable
from shared.factor import Authenticator, FactorClient
from shared.token import new_token

TOTP = "totp"
SHOWN = ("secret", "totp_url", "totp_svg")


class AuthenticatorsFlow:
    """What is enrolled, and how that changes."""

    def __init__(
        self,
        store: Store,
        registrar: Registrar,
        factors: Mapping[str, FactorClient],
        clock: Clock,
        *,
        reauthentication: Reauthentication,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._factors = factors
        self._clock = clock
        self._reauthentication = reauthentication

    async def list(self, visit: Visit) -> Outcome:
        """Show what the register holds: no factor is asked, and none needs to be up."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        return Authenticators(account.register.entries)

    async def show_totp(self, visit: Visit) -> Outcome:
        """Show the authenticator, or begin an enrolment with a new secret."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        for entry in account.register.of_type(TOTP):
            return Enrolled(entry)
        if not account.email_verified:
            return Misfit((UNVERIFIED_EMAIL,))
        enrolment = new_token(ID_BYTES)
        begun = replace(session, enrolments={**session.enrolments, TOTP: enrolment})
        if await self._store.write(self._store.set_enrolments(begun)) is None:
            return LoginNeeded(replace(visit, session=None, account=None))
        offer = await self._totp.begin(
            account.id, enrolment, session_id=session.id, account_name=account.email
        )
        return NotEnrolled({name: offer.display[name] for name in SHOWN if name in offer.display})

    async def activate_totp(self, visit: Visit, code: str) -> Outcome:
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
        enrolment = session.enrolments.get(TOTP)
        if enrolment is None or account.register.of_type(TOTP):
            return Refused((incorrect_code(),))
        if not account.email_verified:
            return Refused((replace(UNVERIFIED_EMAIL, param="code"),))
        if self._clock() < account.mfa_rests_until:
            return await self._limited(account)
        pending = Pending(intent=Intent.ADD, type=TOTP, id=enrolment)
        register = await self._registrar.announce(account, pending)
        try:
            result = await self._totp.complete(
                account.id, enrolment, session_id=session.id, proof={"code": code}
            )
        except (
            NotFound,
            Malformed,
        ):  # it has expired or was replaced, or this is no code
            return await self._wrong(account, register)
        if result.authenticator is None:
            return await self._wrong(account, register)
        return await self._activated(account, session, register, result.authenticator)

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
        return self._factors[TOTP]

    async def _activated(
        self, account: Account, session: Session, register: Register, made: Authenticator
    ) -> Outcome:
        entry = Entry(
            id=made.id,
            type=TOTP,
            created_at=datetime.fromtimestamp(made.created_at, UTC),
        )
        used_up = {name: own for name, own in session.enrolments.items() if name != TOTP}
        done = self._store.set_enrolments(replace(session, enrolments=used_up))
        if entry.id == session.enrolments[TOTP] and await self._registrar.add(
            account, register, entry, done
        ):
            return Enrolled(entry)
        await self._registrar.abandon(account, register)
        found = await self._store.find_account(account.id)
        if found is not None and self._clock() < found.mfa_rests_until:
            return await self._limited(account)
        raise Unavailable("The authenticators of this account are being changed.")

    async def _wrong(self, account: Account, register: Register) -> Outcome:
        """Count the failure and withdraw the change. The count decides what is said."""
        now = self._clock()
        failed = SecondFactorFailed(user_id=account.id, purpose=ACTIVATION)
        counted = await self._store.write(
            self._store.fail_activation(account.id, register.number, now), events=[failed]
        )
        if counted is not None:
            return Refused((incorrect_code(),))
        # Either the second factor rests by now, or somebody took over and withdrew the change.
        withdrawn = self._store.register_written(
            account.id, replace(register, pending=None), changed=False
        )
        await self._store.write(withdrawn)
        counted = await self._store.write(
            *self._store.count_mfa_failure(account.id, now), events=[failed]
        )
        return await self._limited(account) if counted is None else Refused((incorrect_code(),))

    async def _limited(self, account: Account) -> Outcome:
        await self._store.record(SecondFactorLimited(user_id=account.id, purpose=ACTIVATION))
        return Refused((rate_limited(),))

    def _missing(self, session: Session, account: Account) -> frozenset[MethodKind]:
        return self._reauthentication.missing(Matter.MFA, session, account, self._clock())
