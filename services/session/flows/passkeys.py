"""Logging in with a passkey, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import JsonValue

from services.session.domain.factors import WEBAUTHN
from services.session.domain.faults import incorrect_code
from services.session.domain.limits import WEBAUTHN_LOGIN, Counter
from services.session.domain.methods import Method, MethodKind
from services.session.domain.origins import Arrival
from services.session.domain.register import Entry
from services.session.domain.sessions import Account, Session
from services.session.domain.signals import of_keys, unknown_credential
from services.session.events import LoginFailed, LoginLimited
from services.session.flows.asking import Asking
from services.session.flows.empty_sessions import (
    empty_session,
    end_of,
    is_ending,
    is_worn_out,
)
from services.session.flows.engine import Engine, Move, arrived
from services.session.flows.factors import Factors
from services.session.flows.login import lost
from services.session.flows.outcomes import (
    Asked,
    Misfit,
    Outcome,
    Refused,
    Standing,
    Throttled,
    Visit,
    until,
)
from services.session.flows.register import Registrar
from services.session.flows.second_factor import CREDENTIAL
from services.session.flows.trust import Recognised, Recognition
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Malformed, Unavailable
from shared.factor import Purpose, Verification
from shared.token import hash_token, new_token

PASSKEY = "passkey"
ANSWERED_WITHIN = timedelta(minutes=5)  # how long a challenge is good at most


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose passkey it is, and from where they come."""

    account: Account
    entry: Entry
    arrival: Arrival


class PasskeyLoginFlow:
    """A login by one proof that tells who the person is, and is two factors in one.

    It is limited for each origin and counts against nobody: there is nothing to be guessed, and no
    stranger is to lock anybody out. Nor does it wait for any rest of the password or the second
    factor.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        registrar: Registrar,
        factors: Factors,
        clock: Clock,
        *,
        asking: Asking,
        recognition: Recognition,
    ) -> None:
        self._store = store
        self._engine = engine
        self._registrar = registrar
        self._factors = factors
        self._asking = asking
        self._recognition = recognition
        self._clock = clock

    async def ask(self, visit: Visit) -> Outcome:
        """Have any passkey asked for. Who has no session gets one: the question is bound to it.

        One write, which counts that and has a session opened or last, and one call. An empty
        session that is a day old lasts no longer, and another takes its place.
        """
        now = self._clock()
        session, token = visit.session, None
        steps: tuple[Step, ...] = ()
        if session is None or is_worn_out(session, now, ANSWERED_WITHIN):
            session, token = empty_session(visit, now), new_token()
            opened = self._store.open_session(
                session, hash_token(token), ip=visit.address, user_agent=visit.user_agent
            )
            steps = (opened,)
        elif is_ending(session, now, ANSWERED_WITHIN):
            ends_at = end_of(session, now, ANSWERED_WITHIN)
            kept = self._store.change_session(replace(session, expires_at=ends_at))
            steps = (replace(kept, required=False),)  # it may have moved on meanwhile
        limited = await self._asking.count(visit, *steps)
        if limited is not None:
            await self._store.record(LoginLimited(user_id=None, method=PASSKEY))
            return limited
        offer = await self._factors.of(WEBAUTHN).challenge_anybody(
            session_id=session.id, purpose=Purpose.LOGIN
        )
        return Asked(offer.display, token)

    async def log_in(self, visit: Visit, answer: Mapping[str, JsonValue]) -> Outcome:
        """Begin a login, in place of one that may be under way in the session, and its two proofs.

        Over the limit nothing is judged, and no challenge spent. One call, two reads and one write,
        which counts the attempt and holds only if nothing has changed since. What is judged and
        then not accepted is spent for nothing.
        """
        if visit.authenticated:
            return Misfit()
        if visit.session is None:  # so nothing was asked
            return await self._wrong(visit)
        if limited := await self._over(visit):
            return limited
        judged = await self._judged(visit.session, answer)
        owner = await self._owner(visit, judged)
        if owner is None:
            return await self._wrong(visit, judged)
        return await self._accepted(visit, owner, judged)

    async def _judged(self, session: Session, answer: Mapping[str, JsonValue]) -> Verification:
        try:
            return await self._factors.of(WEBAUTHN).verify_anybody(
                proof={CREDENTIAL: dict(answer)}, session_id=session.id, purpose=Purpose.LOGIN
            )
        except Malformed:
            return Verification(accepted=False)

    async def _owner(self, visit: Visit, judged: Verification) -> Owner | None:
        """Return who has logged in. Nobody, unless the register holds what the factor accepted.

        Nor if the passkey has not verified its user, or the account is disabled.
        """
        verified = judged.facts.get("user_verified") is True
        if judged.accepted is not True or not verified or judged.user_id is None:
            return None
        found = await self._store.find_arriving(
            judged.user_id, ip=visit.address, user_agent=visit.user_agent
        )
        if found is None or found[0].disabled:
            return None
        account = await self._registrar.settled(found[0])
        entry = account.register.find(judged.authenticator_id or "")
        if entry is None or entry.type != WEBAUTHN:
            return None
        return Owner(account=account, entry=entry, arrival=found[1])

    async def _accepted(self, visit: Visit, owner: Owner, judged: Verification) -> Outcome:
        """Let the owner in, or say why not. Other uses that came in between are no change."""
        method = _method(owner.entry, judged, self._clock())
        begun = self._engine.begin(owner.account, method, method.at, owner.arrival)
        login = self._engine.besides(visit, begun)
        recognised = await self._recognition.recognise(visit, login, owner.account)
        while True:
            entered = await self._enter(visit, owner, judged, recognised)
            if isinstance(entered, Standing):
                return entered
            found = await self._store.find_account(owner.account.id)
            if found is None or not found.was_used_since(owner.account):
                break
            owner = replace(owner, account=found)
        if limited := await self._over(visit):
            return limited
        told = LoginLimited(user_id=owner.account.id, method=PASSKEY)
        return await lost(self._store, entered, self._clock(), told)

    async def _enter(
        self, visit: Visit, owner: Owner, judged: Verification, recognised: Recognised
    ) -> Standing | Move:
        """Write that the passkey is accepted, and where that leads; that alone if it is refused."""
        now = self._clock()
        account, entry = owner.account, owner.entry
        register = account.register.used(entry.id, now, judged.changed)
        move = self._engine.move(visit, recognised.login, account.facts, now)
        written = await self._engine.write(
            move,
            now,
            *self._store.count(self._counters(visit), now),
            self._store.accept_passkey(account, register),
        )
        if written is None:
            return move
        account = replace(account, register=register)
        standing = arrived(visit, move, account, trust_tokens=recognised.tokens)
        return standing if move.stage else replace(standing, signal=of_keys(account, entry))

    async def _wrong(self, visit: Visit, judged: Verification | None = None) -> Outcome:
        """Count the failure, for where it comes from alone; the count decides what is said."""
        counted = await self._store.write(
            *self._store.count(self._counters(visit), self._clock()),
            events=[LoginFailed(user_id=judged.user_id if judged else None, method=PASSKEY)],
        )
        if counted is None:
            return await self._limited(visit)
        signal = None if judged is None else unknown_credential(judged.facts)
        return Refused((incorrect_code(CREDENTIAL),), signal=signal)

    async def _limited(self, visit: Visit) -> Throttled:
        over = await self._over(visit)
        if over is None:
            raise Unavailable("The session changed meanwhile.")
        return over

    async def _over(self, visit: Visit) -> Throttled | None:
        """Put on record that there have been too many from one origin, if there have been."""
        now = self._clock()
        ends_at = await self._store.spent_until(self._counters(visit), now)
        if ends_at is None:
            return None
        await self._store.record(LoginLimited(user_id=None, method=PASSKEY))
        return Throttled(until(ends_at, now))

    def _counters(self, visit: Visit) -> tuple[Counter, ...]:
        return self._store.limits.counters(WEBAUTHN_LOGIN, ip=visit.address)


def _method(entry: Entry, judged: Verification, now: datetime) -> Method:
    return Method(
        kind=MethodKind.MFA,
        at=now,
        amr=tuple(judged.amr),
        id=entry.id,
        type=entry.type,
        passwordless=True,
    )
