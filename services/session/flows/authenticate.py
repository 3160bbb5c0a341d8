"""The second factor of a login."""

from dataclasses import replace

from services.session.domain.origins import origin_of
from services.session.domain.stages import Login, Stage, pass_stage
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Outcome, Refused, StageNeeded, Visit
from services.session.flows.register import Registrar
from services.session.flows.second_factor import LOGIN, SecondFactor
from services.session.store import Store
from shared.clock import Clock


class AuthenticateFlow:
    """The MFA stage."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        registrar: Registrar,
        second_factor: SecondFactor,
        clock: Clock,
    ) -> None:
        self._store = store
        self._engine = engine
        self._registrar = registrar
        self._second_factor = second_factor
        self._clock = clock

    async def authenticate(self, visit: Visit, code: str) -> Outcome:
        """Pass the stage if one of the person's authenticators accepts `code`.

        One call to the factor and one write. The write holds only if neither the login nor the
        account has changed since, and the counter is below its limit; otherwise the code is spent
        for nothing, and the person types the next one.
        """
        session, account = visit.session, visit.account
        if (
            session is None
            or account is None
            or session.login is None
            or visit.pending is not Stage.MFA_AUTHENTICATE
        ):
            return StageNeeded(visit)
        if account.register.pending is not None:
            settled = await self._registrar.settled(account)
            if settled.factor_epoch != account.factor_epoch:  # this login ended with it
                return StageNeeded(visit.as_nobody)
            account = settled
        here = self._store.limits.here(user=account.id, ip=visit.address)
        familiar = _is_familiar(visit, session.login)
        judged = await self._second_factor.judge(
            account, code, session_id=session.id, purpose=LOGIN, here=here, familiar=familiar
        )
        if isinstance(judged, Refused):
            return judged
        now = self._clock()
        login = pass_stage(session.login, Stage.MFA_AUTHENTICATE, judged.method)
        account = replace(account, register=judged.register)
        move = self._engine.move(visit, login, account.facts, now)
        written = await self._store.write(*judged.acceptance, *move.steps, events=move.events)
        if written is not None:
            return arrived(visit, move, account)
        refused = await self._second_factor.refused(account, LOGIN, here, familiar=familiar)
        return refused or StageNeeded(visit.as_nobody)


def _is_familiar(visit: Visit, login: Login) -> bool:
    """Tell whether the login began where the owner has logged in before, and is there still."""
    arrival = login.arrival
    return arrival is not None and arrival.is_familiar(origin_of(visit.address, visit.user_agent))
