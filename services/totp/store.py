"""Where authenticators are kept. Every statement of the service is here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    exists,
    insert,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.totp.domain.codes import Algorithm, Policy
from shared.cipher import Cipher
from shared.clock import from_micros, to_micros
from shared.database import Change, Database, Row, Statement, also, step
from shared.errors import Conflict
from shared.event import Event
from shared.outbox import outbox_tables
from shared.resealing import Shelf, shelf

PURPOSE = "totp.secret"  # of the key that seals secrets
SWEPT_AT_ONCE = 500  # expired enrolments; a delete without bound would hold its locks for long

metadata = MetaData()

authenticators = Table(
    "authenticators",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("name", Text),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("digits", Integer, nullable=False),
    Column("period", Integer, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    # Who enrolled it and with which code: so that its completion can be repeated.
    Column("enrolled_session", Text, nullable=False),
    Column("enrolled_step", BigInteger, nullable=False),
    Index("authenticators_user", "user_id"),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("digits", Integer, nullable=False),
    Column("period", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    UniqueConstraint("user_id", "session_id", name="enrolments_user_session"),
    Index("enrolments_expiry", "expires_at"),
)

outbox_tables(metadata)


AUTHENTICATORS = Statement(
    select(
        authenticators.c.id,
        authenticators.c.name,
        authenticators.c.algorithm,
        authenticators.c.digits,
        authenticators.c.period,
        authenticators.c.created_at,
        authenticators.c.last_used_at,
    )
    .where(authenticators.c.user_id == bindparam("user_id"))
    .order_by(authenticators.c.created_at, authenticators.c.id)
)

CANDIDATES = Statement(
    select(
        authenticators.c.id,
        authenticators.c.sealed_secret,
        authenticators.c.algorithm,
        authenticators.c.digits,
        authenticators.c.period,
    ).where(
        authenticators.c.user_id == bindparam("user_id"),
        authenticators.c.id.in_(bindparam("ids")),
    )
)

SPEND_STEP = Statement(
    update(authenticators)
    .where(authenticators.c.id == bindparam("id"), authenticators.c.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
)

REMOVE = Statement(
    delete(authenticators).where(
        authenticators.c.id == bindparam("id"), authenticators.c.user_id == bindparam("user_id")
    )
)

DROP_ENROLMENT = Statement(
    delete(enrolments).where(
        enrolments.c.id == bindparam("id"), enrolments.c.user_id == bindparam("user_id")
    )
)

DROP_ENROLMENTS = Statement(delete(enrolments).where(enrolments.c.user_id == bindparam("user_id")))

# An enrolment that was completed and one that is pending look alike here: `enrolled_step` tells.
# There may be both for a moment, if it was begun again while it was completed: what is done counts.
ENROLMENT = Statement(
    union_all(
        select(
            enrolments.c.sealed_secret,
            enrolments.c.algorithm,
            enrolments.c.digits,
            enrolments.c.period,
            enrolments.c.created_at,
            literal_column("-1").label("enrolled_step"),
            literal_column("''").label("name"),
        ).where(
            enrolments.c.id == bindparam("id"),
            enrolments.c.user_id == bindparam("user_id"),
            enrolments.c.session_id == bindparam("session_id"),
            enrolments.c.expires_at > bindparam("now"),
        ),
        select(
            authenticators.c.sealed_secret,
            authenticators.c.algorithm,
            authenticators.c.digits,
            authenticators.c.period,
            authenticators.c.created_at,
            authenticators.c.enrolled_step,
            authenticators.c.name,
        ).where(
            authenticators.c.id == bindparam("id"),
            authenticators.c.user_id == bindparam("user_id"),
            authenticators.c.enrolled_session == bindparam("session_id"),
        ),
    )
    .order_by(literal_column("enrolled_step").desc())
    .limit(literal_column("1"))
)

TAKE_ENROLMENT = Statement(
    delete(enrolments).where(
        enrolments.c.id == bindparam("id"),
        enrolments.c.user_id == bindparam("user_id"),
        enrolments.c.session_id == bindparam("session_id"),
        enrolments.c.sealed_secret == bindparam("proven"),
        enrolments.c.expires_at > bindparam("now"),
    )
)

ADD = Statement(insert(authenticators))

SWEEP = Statement(
    delete(enrolments).where(
        enrolments.c.id.in_(
            select(enrolments.c.id)
            .where(enrolments.c.expires_at <= bindparam("now"))
            .limit(literal_column(str(SWEPT_AT_ONCE)))
        )
    )
)


def _begin(insertion: postgresql.Insert | sqlite.Insert) -> ClauseElement:
    """Open an enrolment in place of the session's earlier one, unless it has become what it is for.

    No row is inserted or changed then.
    """
    done = exists().where(authenticators.c.id == bindparam("id", type_=Text()))
    values = [bindparam(column.name, type_=column.type) for column in enrolments.c]
    upsert = insertion.from_select(enrolments.c.keys(), select(*values).where(~done))
    changing = [column for column in enrolments.c if column.name not in {"user_id", "session_id"}]
    return upsert.on_conflict_do_update(
        index_elements=["user_id", "session_id"],
        set_={column.name: upsert.excluded[column.name] for column in changing},
    )


BEGIN = Statement(
    postgresql=_begin(postgresql.insert(enrolments)), sqlite=_begin(sqlite.insert(enrolments))
)


@dataclass(frozen=True)
class Authenticator:
    """What is enrolled, as its owner may see it."""

    id: str
    name: str | None
    policy: Policy
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class Candidate:
    """An authenticator against which a code can be judged."""

    id: str
    policy: Policy
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Enrolment:
    """A secret that was shown to one session and waits for its first code."""

    id: str
    user_id: str
    session_id: str
    policy: Policy
    secret: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Progress:
    """How far an enrolment has come: pending, or completed by the code of `enrolled_step`."""

    policy: Policy
    secret: bytes = field(repr=False)
    sealed_secret: bytes = field(repr=False)  # as it lies there: no two are sealed alike
    created_at: datetime
    name: str | None
    enrolled_step: int | None


class AuthenticatorStore:
    """The authenticators and enrolments of everybody, their secrets sealed."""

    def __init__(self, db: Database, cipher: Cipher) -> None:
        self._db = db
        self._cipher = cipher

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers."""
        await self._db.ping()

    async def all(self, user_id: str) -> list[Authenticator]:
        """Return what the user has enrolled, oldest first."""
        rows = await self._db.all(AUTHENTICATORS, user_id=user_id)
        return [_authenticator(row) for row in rows]

    async def find(self, user_id: str, ids: Sequence[str]) -> list[Candidate]:
        """Return those of `ids` that belong to the user. Raises CannotOpen."""
        rows = await self._db.all(CANDIDATES, user_id=user_id, ids=list(ids))
        return [
            Candidate(
                id=row.id,
                policy=_policy(row),
                secret=self._open(row.sealed_secret, "authenticators", row.id, user_id),
            )
            for row in rows
        ]

    async def spend_step(self, id: str, step_: int, now: datetime, *events: Event) -> bool:
        """Mark a time step used and record `events`. False, and neither, if it or a later one was.

        A single write, so of two racing requests only one can win.
        """
        spent = step(SPEND_STEP, id=id, step=step_, now=to_micros(now))
        return await self._db.apply(spent, *events) is not None

    async def record(self, *events: Event) -> None:
        """Record `events`, and change nothing."""
        await self._db.record(*events)

    async def begin(self, enrolment: Enrolment, *events: Event) -> None:
        """Open `enrolment` in place of the session's earlier one.

        Raises Conflict if the id is an authenticator's, or somebody else's enrolment's.
        """
        place = enrolment.id, enrolment.user_id
        change = step(
            BEGIN,
            id=enrolment.id,
            user_id=enrolment.user_id,
            session_id=enrolment.session_id,
            sealed_secret=self._seal(enrolment.secret, "enrolments", *place),
            algorithm=enrolment.policy.algorithm.value,
            digits=enrolment.policy.digits,
            period=enrolment.policy.period,
            created_at=to_micros(enrolment.created_at),
            expires_at=to_micros(enrolment.expires_at),
        )
        try:
            row = await self._db.apply(change, *events)
        except Conflict:
            # ON CONFLICT watches one index. Of two equal requests at once, the second may meet
            # the other in the index of the ids instead; by now there is a row to be replaced.
            row = await self._db.apply(change, *events)
        if row is None:
            raise Conflict("The enrolment has been completed.", code="enrolment_completed")

    async def progress(
        self, user_id: str, enrolment_id: str, session_id: str, now: datetime
    ) -> Progress | None:
        """Return how far this session's enrolment is, or None if there is none, or no more."""
        row = await self._db.find(
            ENROLMENT, id=enrolment_id, user_id=user_id, session_id=session_id, now=to_micros(now)
        )
        if row is None:
            return None
        completed = row.enrolled_step >= 0
        table = "authenticators" if completed else "enrolments"
        return Progress(
            policy=_policy(row),
            secret=self._open(row.sealed_secret, table, enrolment_id, user_id),
            sealed_secret=row.sealed_secret,
            created_at=from_micros(row.created_at),
            name=row.name or None,
            enrolled_step=row.enrolled_step if completed else None,
        )

    async def complete(
        self,
        user_id: str,
        enrolment_id: str,
        session_id: str,
        progress: Progress,
        *events: Event,
        step_: int,
        name: str | None,
        now: datetime,
    ) -> bool:
        """Turn a pending enrolment into an authenticator whose first code is spent.

        False, and nothing is recorded, if it is no longer pending, or has another secret by now.
        """
        micros = to_micros(now)
        taken = step(
            TAKE_ENROLMENT,
            id=enrolment_id,
            user_id=user_id,
            session_id=session_id,
            proven=progress.sealed_secret,
            now=micros,
        )
        added = also(
            ADD,
            id=enrolment_id,
            user_id=user_id,
            name=name,
            sealed_secret=self._seal(progress.secret, "authenticators", enrolment_id, user_id),
            algorithm=progress.policy.algorithm.value,
            digits=progress.policy.digits,
            period=progress.policy.period,
            last_step=step_,
            created_at=micros,
            last_used_at=None,
            enrolled_session=session_id,
            enrolled_step=step_,
        )
        return await self._db.apply(Change(taken, added), *events) is not None

    async def remove(self, user_id: str, id: str, *events: Event) -> bool:
        """Delete an authenticator and record `events`. False, and neither, if there is none."""
        return await self._db.apply(step(REMOVE, id=id, user_id=user_id), *events) is not None

    async def drop_enrolment(self, user_id: str, id: str) -> None:
        """Forget a pending enrolment, if there is one."""
        await self._db.apply(step(DROP_ENROLMENT, id=id, user_id=user_id))

    async def drop_enrolments(self, user_id: str) -> None:
        """Forget all pending enrolments of a user."""
        await self._db.apply(step(DROP_ENROLMENTS, user_id=user_id))

    async def sweep(self, now: datetime) -> bool:
        """Forget up to 500 enrolments that have expired. False if there were none."""
        return await self._db.apply(step(SWEEP, now=to_micros(now))) is not None

    def _seal(self, secret: bytes, table: str, id: str, user_id: str) -> bytes:
        return self._cipher.seal(secret, bound_to=_place(table, id, user_id))

    def _open(self, sealed: bytes, table: str, id: str, user_id: str) -> bytes:
        return self._cipher.open(sealed, bound_to=_place(table, id, user_id))


def sealed_values() -> tuple[Shelf, ...]:
    """Return every kind of value that lies sealed: secrets that are enrolled, and those to be."""
    return (
        shelf(
            authenticators.c.sealed_secret,
            lambda row: _place("authenticators", row.id, row.user_id),
        ),
        shelf(enrolments.c.sealed_secret, lambda row: _place("enrolments", row.id, row.user_id)),
    )


def _place(table: str, id: str, user_id: str) -> tuple[str, ...]:
    """Name where a secret lies: moved to another row, it does not open."""
    return "totp", table, "sealed_secret", id, user_id


def _policy(row: Row) -> Policy:
    return Policy(digits=row.digits, period=row.period, algorithm=Algorithm(row.algorithm))


def _authenticator(row: Row) -> Authenticator:
    used = row.last_used_at
    return Authenticator(
        id=row.id,
        name=row.name,
        policy=_policy(row),
        created_at=from_micros(row.created_at),
        last_used_at=None if used is None else from_micros(used),
    )
