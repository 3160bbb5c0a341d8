"""The second factor of a login."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from pydantic import JsonValue

from services.session.domain.limits import Spot
from services.session.domain.origins import origin_of
from services.session.domain.sessions import Account, Session
from services.session.domain.stages import Login, Stage, pass_stage
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Outcome, StageNeeded, Visit
from services.session.flows.register import Registrar
from services.session.flows.second_factor import (
    LOGIN,
    Accepted,
    Proof,
    SecondFactor,
    code,
    credential,
)
from services.session.store import Store
from shared.clock import Clock


@dataclass(frozen=True)
class Waiting:
    """A login that waits for a second factor, of a real person."""

    session: Session
    login: Login
    account: Account


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

    async def authenticate(self, visit: Visit, typed: str) -> Outcome:
        """Pass the stage if one of the person's authenticators accepts the code.

        One call to the factor and one write. The write holds only if neither the login nor the
        account has changed since, and the counter is below its limit; otherwise the code is spent
        for nothing, and the person types the next one. Other uses are no change: it is written
        upon them.
        """
        return await self._prove(visit, code(typed))

    async def ask_for_key(self, visit: Visit) -> Outcome:
        """Have one of the person's keys asked for, in this session alone."""
        waiting = _waiting(visit)
        if waiting is None:
            return StageNeeded(visit)
        return await self._second_factor.ask(
            waiting.account, session_id=waiting.session.id, purpose=LOGIN
        )

    async def authenticate_by_key(self, visit: Visit, answer: Mapping[str, JsonValue]) -> Outcome:
        """Pass the stage if the answer is that of one of the person's keys; as by code."""
        return await self._prove(visit, credential(answer))

    async def _prove(self, visit: Visit, proof: Proof) -> Outcome:
        waiting = _waiting(visit)
        if waiting is None:
            return StageNeeded(visit)
        account = await self._registrar.settled(waiting.account)
        if account.factor_epoch != waiting.account.factor_epoch:  # this login ended with it
            return StageNeeded(visit.as_nobody)
        spot = Spot(
            here=self._store.limits.here(user=account.id, ip=visit.address),
            familiar=_is_familiar(visit, waiting.login),
        )
        passed: Outcome | None = await self._second_factor.prove(
            account,
            proof,
            partial(self._pass, visit, waiting.login),
            session_id=waiting.session.id,
            purpose=LOGIN,
            spot=spot,
        )
        return passed or StageNeeded(visit.as_nobody)

    async def _pass(
        self, visit: Visit, login: Login, account: Account, judged: Accepted
    ) -> Outcome | None:
        """Move the login on, and write that the proof is accepted; None if that is refused."""
        login = pass_stage(login, Stage.MFA_AUTHENTICATE, judged.method)
        account = replace(account, register=judged.register)
        move = self._engine.move(visit, login, account.facts, self._clock())
        written = await self._store.write(*judged.acceptance, *move.steps, events=move.events)
        return None if written is None else arrived(visit, move, account)


def _waiting(visit: Visit) -> Waiting | None:
    session, account = visit.session, visit.account
    if session is None or account is None or session.login is None:
        return None
    if visit.pending is not Stage.MFA_AUTHENTICATE:
        return None
    return Waiting(session, session.login, account)


def _is_familiar(visit: Visit, login: Login) -> bool:
    """Tell whether the login began where the owner has logged in before, and is there still."""
    arrival = login.arrival
    return arrival is not None and arrival.is_familiar(origin_of(visit.address, visit.user_agent))
