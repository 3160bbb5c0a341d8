"""A person's recovery codes: shown, and made anew."""

from collections.abc import Mapping
from dataclasses import replace

from services.session.domain.factors import RECOVERY_CODES
from services.session.domain.faults import CANNOT_GENERATE_CODES
from services.session.domain.methods import MethodKind
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.recovery_codes import sheet
from services.session.domain.register import Entry, Intent, Pending, Register
from services.session.domain.sessions import Account, Session
from services.session.flows.enrolled import entry_of
from services.session.flows.factors import Factors
from services.session.flows.outcomes import (
    Absent,
    Codes,
    LoginNeeded,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    Visit,
)
from services.session.flows.register import Registrar, overtaken
from services.session.store import Store
from shared.clock import Clock
from shared.errors import CountersignError, NotFound
from shared.factor import Authenticator, FactorClient, Revealed

LOST = {"unused": 0, "low": True}


class RecoveryCodesFlow:
    """Codes to log in with when the second factor is lost. `site` is the host that they are for."""

    def __init__(
        self,
        store: Store,
        registrar: Registrar,
        factors: Factors,
        clock: Clock,
        *,
        reauthentication: Reauthentication,
        site: str,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._factors = factors
        self._clock = clock
        self._reauthentication = reauthentication
        self._site = site

    async def show(self, visit: Visit) -> Outcome:
        """Show the set, and those of its codes that may be seen (again)."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        for entry in account.register.of_type(RECOVERY_CODES):
            if methods := self._missing(session, account):
                return ReauthenticationNeeded(visit, methods)
            try:
                revealed = await self._recovery.reveal(account.id, entry.id)
            except NotFound:  # it has lost them: none is good any more
                return self._shown(account, replace(entry, facts={**entry.facts, **LOST}), {})
            return await self._refreshed(account, entry, revealed)
        return Absent()

    async def generate(self, visit: Visit) -> Outcome:
        """Make a new set, which takes the place of the one before by one write.

        Codes are for those who have another second factor. It does not outlive its session.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        if not account.register.has_second_factor:
            return Refused((CANNOT_GENERATE_CODES,))
        if methods := self._missing(session, account):
            return ReauthenticationNeeded(visit, methods)
        account = await self._registrar.settled(account)
        if not account.register.has_second_factor:
            return Refused((CANNOT_GENERATE_CODES,))
        if methods := self._missing(session, account):  # it may have been another register
            return ReauthenticationNeeded(visit, methods)
        new = account.register.next_id(account.id, session.id, RECOVERY_CODES)
        pending = Pending(intent=Intent.ADD, type=RECOVERY_CODES, id=new)
        register = await self._registrar.announce(account, pending)
        try:
            result = await self._recovery.complete(
                account.id, new, session_id=session.id, proof={"shown": True}
            )
        except CountersignError:
            # Given back at once: no login is to wait for codes that nobody has seen.
            await self._registrar.abandon(account, register)
            raise
        return await self._renewed(account, session, register, result.authenticator, result.display)

    async def _renewed(
        self,
        account: Account,
        session: Session,
        register: Register,
        made: Authenticator | None,
        display: Mapping[str, object],
    ) -> Outcome:
        pending = register.pending
        if made is not None and pending is not None and made.id == pending.id:
            entry = entry_of(made, RECOVERY_CODES)
            if await self._registrar.renew_codes(account, register, entry, session):
                return self._shown(account, entry, display)
        await self._registrar.abandon(account, register)
        raise overtaken()

    async def _refreshed(self, account: Account, entry: Entry, revealed: Revealed) -> Outcome:
        """Show what the factor says, and keep it, if the register says otherwise."""
        facts = revealed.authenticator.facts
        if facts != dict(entry.facts):
            register = account.register.with_facts(entry.id, facts)
            await self._store.write(self._store.refresh_register(account, register))
            entry = replace(entry, facts=facts)
        return self._shown(account, entry, revealed.display)

    def _shown(self, account: Account, entry: Entry, display: Mapping[str, object]) -> Codes:
        listed = display.get("codes")
        if not isinstance(listed, list):
            return Codes(entry)
        codes = tuple(str(code) for code in listed)
        text = sheet(codes, site=self._site, account=account.label, at=self._clock())
        return Codes(entry, codes=codes, text=text)

    @property
    def _recovery(self) -> FactorClient:
        return self._factors.of(RECOVERY_CODES)

    def _missing(self, session: Session, account: Account) -> frozenset[MethodKind]:
        return self._reauthentication.missing(Matter.MFA, session, account, self._clock())
