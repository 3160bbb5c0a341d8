"""The last stage of a sign-up without a password: a passkey is made."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.session.domain.factors import WEBAUTHN
from services.session.domain.faults import INCORRECT_CREDENTIAL, Fault
from services.session.domain.methods import Method, MethodKind
from services.session.domain.register import Entry, added
from services.session.domain.sessions import Account, Session
from services.session.domain.stages import Login, Stage, pass_stage
from services.session.flows.asking import Asking
from services.session.flows.engine import Engine, arrived
from services.session.flows.enrolment import Enrolment, Json
from services.session.flows.outcomes import Misfit, Outcome, Refused, Visit
from services.session.flows.register import Registrar, overtaken
from services.session.flows.webauthn import creation_options, cut
from shared.clock import Clock


class PasskeySignupFlow:
    """The stage of an account that was opened by address alone, once that is verified."""

    def __init__(
        self,
        engine: Engine,
        registrar: Registrar,
        enrolment: Enrolment,
        clock: Clock,
        *,
        asking: Asking,
    ) -> None:
        self._engine = engine
        self._registrar = registrar
        self._enrolment = enrolment
        self._clock = clock
        self._asking = asking

    async def options(self, visit: Visit) -> Outcome:
        """Return the options for the passkey. One write, which counts that."""
        waiting = _waiting(visit)
        if waiting is None:
            return Misfit()
        session, account, _ = waiting
        if limited := await self._asking.count_for(visit, account):
            return limited
        return await creation_options(self._enrolment, account, session, passwordless=True)

    async def complete(
        self,
        visit: Visit,
        name: str | None,
        credential: Json | None,
        *,
        faults: Sequence[Fault] = (),
    ) -> Outcome:
        """Let the passkey count and log the person in, by one write.

        No recovery codes are made along, and nobody is told by mail, as by allauth: whoever signs
        up knows. The passkey is the proof of the session that follows. `faults` are those of what
        could not be read, and is None here.
        """
        waiting = _waiting(visit)
        if waiting is None:
            return Misfit()
        session, account, login = waiting
        if faults or credential is None:
            return Refused(tuple(faults))
        settled = await self._registrar.settled(account)
        if settled.factor_epoch != account.factor_epoch:  # this login ended with it
            return Misfit()
        made = await self._enrolment.complete(
            settled,
            session,
            WEBAUTHN,
            {"credential": dict(credential)},
            name=cut(name),
            with_codes=False,
        )
        if made.entry is None:
            await self._registrar.withdraw(settled, made.register)
            return Refused((INCORRECT_CREDENTIAL,))
        now = self._clock()
        passed = pass_stage(login, Stage.MFA_SIGNUP_WEBAUTHN, _method(made.entry, now))
        owner = replace(settled, register=added(made.register, made.entry))
        move = self._engine.move(visit, passed, owner.facts, now)
        grown = await self._registrar.add(
            settled, made.register, made.entry, None, *move.steps, tells=False, along=move.events
        )
        if grown is None:
            await self._registrar.abandon(settled, made.register)
            raise overtaken()
        return arrived(visit, move, grown)


def _waiting(visit: Visit) -> tuple[Session, Account, Login] | None:
    """Return the login that waits at the stage, and whose it is; None if none does."""
    session, account = visit.session, visit.account
    if session is None or account is None or session.login is None:
        return None
    if visit.pending is not Stage.MFA_SIGNUP_WEBAUTHN:
        return None
    return session, account, session.login


def _method(made: Entry, now: datetime) -> Method:
    """Return what making a passkey proves: that it was there, and who its user is if it checked.

    As of a passkey that logs in, but that nothing says here that it lies in hardware.
    """
    verified = made.facts.get("user_verified") is True
    place = ("swk",) if made.facts.get("backup_eligible") is True else ()
    return Method(
        kind=MethodKind.MFA,
        at=now,
        amr=("pop", *place, "user", *(("mfa",) if verified else ())),
        id=made.id,
        type=made.type,
        passwordless=verified,
    )
