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
from services.session.domain.stages import LOGIN_LIFETIME, Stage
from services.session.events import LoginFailed, LoginLimited
from services.session.flows.asking import Asking
from services.session.flows.engine import ID_BYTES, Engine, arrived
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
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Malformed, Unavailable
from shared.factor import Purpose, Verification
from shared.token import hash_token, new_token

PASSKEY = "passkey"
NOBODY = ""  # whose the session is in which nobody has logged in yet
ANSWERED_WITHIN = timedelta(minutes=5)  # how long a challenge is good at most
EMPTY_LIFETIME = timedelta(days=1)  # of a session in which nobody has logged in


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
    ) -> None:
        self._store = store
        self._engine = engine
        self._registrar = registrar
        self._factors = factors
        self._asking = asking
        self._clock = clock

    async def ask(self, visit: Visit) -> Outcome:
        """Have any passkey asked for. Who has no session gets one: the question is bound to it.

        One write, which counts that and has a session opened or last, and one call. An empty
        session that is a day old lasts no longer, and another takes its place.
        """
        now = self._clock()
        session, token = visit.session, None
        steps: tuple[Step, ...] = ()
        if session is None or _is_worn_out(session, now):
            session, token = _nobodys(visit, now), new_token()
            opened = self._store.open_session(
                session, hash_token(token), ip=visit.address, user_agent=visit.user_agent
            )
            steps = (opened,)
        elif _is_ending(session, now):
            kept = self._store.change_session(replace(session, expires_at=_end_of(session, now)))
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
        while True:
            standing = await self._enter(visit, owner, judged)
            if standing is not None:
                return standing
            found = await self._store.find_account(owner.account.id)
            if found is None or not found.was_used_since(owner.account):
                break
            owner = replace(owner, account=found)
        stage = None if owner.account.email_verified else Stage.VERIFY_EMAIL
        return await self._over(visit) or await lost(
            self._store, visit, owner.account, stage, self._clock()
        )

    async def _enter(self, visit: Visit, owner: Owner, judged: Verification) -> Standing | None:
        """Write that the passkey is accepted, and where that leads; None if that is refused."""
        now = self._clock()
        account, entry = owner.account, owner.entry
        register = account.register.used(entry.id, now, judged.changed)
        login = self._engine.begin(account, _method(entry, judged, now), now, owner.arrival)
        move = self._engine.move(visit, login, account.facts, now)
        written = await self._store.write(
            *self._store.count(self._counters(visit), now),
            self._store.accept_passkey(account, register),
            *move.steps,
            events=move.events,
        )
        if written is None:
            return None
        account = replace(account, register=register)
        standing = arrived(visit, move, account)
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


def _nobodys(visit: Visit, now: datetime) -> Session:
    return Session(
        id=new_token(ID_BYTES),
        client=visit.client,
        version=0,
        user_id=NOBODY,
        session_epoch=0,
        created_at=now,
        expires_at=now + LOGIN_LIFETIME,
        last_seen_at=now,
    )


def _is_ending(session: Session, now: datetime) -> bool:
    """Tell whether an empty session may be over before a challenge in it is answered."""
    is_empty = session.login is None and session.authenticated_at is None
    return is_empty and session.expires_at < now + ANSWERED_WITHIN


def _is_worn_out(session: Session, now: datetime) -> bool:
    """Tell whether that is so, and it cannot be helped."""
    return _is_ending(session, now) and _end_of(session, now) < now + ANSWERED_WITHIN


def _end_of(session: Session, now: datetime) -> datetime:
    """Return until when an empty session can last."""
    return min(now + LOGIN_LIFETIME, session.created_at + EMPTY_LIFETIME)
