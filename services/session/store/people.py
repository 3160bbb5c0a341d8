"""People, as operators and as those who leave have to do with them: every state of an account."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from services.session.domain.addresses import parse_address
from services.session.domain.factors import service_of
from services.session.domain.limits import about_of, guesses_at
from services.session.domain.register import Register, emptied
from services.session.domain.sessions import Account
from services.session.domain.usernames import key_of
from services.session.store import statements
from services.session.store.emails import DELETE_CLAIMS, Address, Emails
from services.session.store.live import live, live_at
from services.session.store.rows import EMPTY_REGISTER, moment, register_json, register_of
from services.session.store.tables import (
    attempts,
    dead_authenticators,
    emails,
    erasures,
    keepers,
    origins,
    sessions,
    users,
)
from shared.clock import from_micros, to_micros
from shared.database import Database, Row, Statement, Step, also, step


def _now() -> ColumnElement[int]:
    return bindparam("now", type_=BigInteger())


def _id() -> ColumnElement[bool]:
    return users.c.id == bindparam("id", type_=Text())


_live = (*live(users.c.id, users.c.session_epoch), users.c.disabled_at.is_(None))

_called = emails.alias("called")
_so_called = users.c.username_key == bindparam("username_key", type_=Text())

# Who has that id comes first: nobody else is to be taken for them by what they call themselves.
FIND_PERSON = Statement(
    select(
        *users.c,
        emails.c.address,
        emails.c.verified_at,
        select(func.count()).select_from(sessions).where(*_live).scalar_subquery().label("live"),
    )
    .select_from(
        users.outerjoin(
            emails, and_(emails.c.user_id == users.c.id, emails.c.is_primary == literal(1))
        )
    )
    .where(
        or_(
            _id(),
            users.c.id
            == select(_called.c.user_id)
            .where(_called.c.address == bindparam("address", type_=Text()))
            .scalar_subquery(),
            _so_called,
        )
    )
    .order_by(case((_id(), 0), (_so_called, 2), else_=1))
    .limit(1)
)

LIVE_SESSIONS = Statement(
    select(
        sessions.c.id,
        sessions.c.kind,
        sessions.c.created_at,
        sessions.c.last_seen_at,
        sessions.c.expires_at,
        sessions.c.ip,
        sessions.c.user_agent,
    )
    .select_from(sessions)
    .join(users, _live[0])
    .where(_id(), *_live[1:])
    .order_by(sessions.c.created_at)
)

_FRESH = {
    "factor_epoch": 0,
    "session_epoch": 0,
    "register": EMPTY_REGISTER,
    "register_number": 0,
    "mfa_failures": 0,
    "mfa_rests_until": 0,
}

CREATE_USER = Statement(
    users.insert().values(
        id=bindparam("id", type_=Text()),
        created_at=_now(),
        password_hash=bindparam("password_hash", type_=Text()),
        username=bindparam("username", type_=Text()),
        username_key=bindparam("username_key", type_=Text()),
        **{name: literal(value, users.c[name].type) for name, value in _FRESH.items()},
    )
)

CREATE_EMAIL = Statement(
    emails.insert().values(
        id=bindparam("email_id", type_=Text()),
        user_id=bindparam("id", type_=Text()),
        address=bindparam("address", type_=Text()),
        verified_at=bindparam("verified_at", type_=BigInteger()),
        is_primary=literal(1, emails.c.is_primary.type),
    )
)

_ends_everything: dict[str, Any] = {
    "factor_epoch": users.c.factor_epoch + 1,
    "session_epoch": users.c.session_epoch + 1,
}

_counts_nothing: dict[str, Any] = {
    "mfa_failures": literal(0),
    "mfa_rests_until": literal(0, BigInteger()),
}

# Under a new number, so that whoever is changing it has been overtaken.
_holds_nothing: dict[str, Any] = {
    "register_number": users.c.register_number + 1,
    "register_pending": None,
    "register_marked_at": None,
    **_counts_nothing,
}


def _living() -> Update:
    return update(users).where(_id(), users.c.deleted_at.is_(None))


DISABLE = Statement(
    _living().where(users.c.disabled_at.is_(None)).values(disabled_at=_now(), **_ends_everything)
)
ENABLE = Statement(_living().where(users.c.disabled_at.is_not(None)).values(disabled_at=None))
END_SESSIONS = Statement(_living().values(**_ends_everything))
UNLOCK = Statement(_living().values(**_counts_nothing))

# What is buried are the authenticators of the register as it was read: hence its number.
RESET_FACTORS = Statement(
    _living()
    .where(users.c.register_number == bindparam("register_number", type_=Integer()))
    .values(
        register=bindparam("register", type_=Text()),
        factor_epoch=users.c.factor_epoch + 1,
        **_holds_nothing,
    )
)

_dead: dict[str, Any] = {
    "deleted_at": _now(),
    "disabled_at": _now(),
    "password_hash": None,
    "username": None,
    "username_key": None,
    "register": literal(EMPTY_REGISTER, Text()),
    **_ends_everything,
    **_holds_nothing,
}

# Whatever was being added has to be known, for it is buried: hence the number.
_as_read = users.c.register_number == bindparam("register_number", type_=Integer())

BURY_PERSON = Statement(_living().where(_as_read).values(**_dead))
BURY_PERSON_IN_PERSON = Statement(
    _living()
    .where(
        _as_read,
        users.c.disabled_at.is_(None),
        users.c.session_epoch == bindparam("session_epoch", type_=Integer()),
    )
    .values(**_dead)
)

DELETE_ADDRESSES = Statement(delete(emails).where(emails.c.user_id == bindparam("id")))
DELETE_ORIGINS = Statement(delete(origins).where(origins.c.user_id == bindparam("id")))
DELETE_SESSIONS = Statement(delete(sessions).where(sessions.c.user_id == bindparam("id")))
DELETE_OWN_SESSION = Statement(
    delete(sessions).where(
        sessions.c.id == bindparam("session_id", type_=Text()),
        sessions.c.user_id == bindparam("id", type_=Text()),
    )
)

LIMITED_UNTIL = Statement(
    select(func.max(attempts.c.window_ends_at).label("until")).where(
        attempts.c.about.in_(bindparam("about", type_=Text())),
        attempts.c.window_ends_at > _now(),
        attempts.c.count >= attempts.c.ceiling,
    )
)

ERASE = Statement(
    erasures.insert().values(
        user_id=bindparam("id", type_=Text()),
        created_at=_now(),
        due_at=_now(),
        attempts=literal(0, erasures.c.attempts.type),
    )
)

TAKE_ERASURE = Statement(
    update(erasures)
    .where(
        erasures.c.user_id
        == select(erasures.c.user_id)
        .where(erasures.c.due_at <= _now())
        .order_by(erasures.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        due_at=bindparam("next_at", type_=BigInteger()),
        attempts=erasures.c.attempts + 1,
    )
    .returning(*erasures.c)
)

PUT_BACK_ERASURE = Statement(
    update(erasures)
    .where(erasures.c.user_id == bindparam("id", type_=Text()))
    .values(due_at=bindparam("next_at", type_=BigInteger()))
)

_erasure = erasures.c.user_id == bindparam("id", type_=Text())
_kept = keepers.c.user_id == bindparam("id", type_=Text())
_factor = bindparam("factor", type_=Text())

FIND_ERASURE = Statement(select(*erasures.c).where(_erasure))
KEEPERS = Statement(select(keepers.c.factor).where(_kept).order_by(keepers.c.factor))

# Unless another factor has been told of the person since they were read.
ERASED = Statement(
    delete(erasures).where(
        _erasure,
        select(func.count()).select_from(keepers).where(_kept).scalar_subquery()
        == bindparam("keepers", type_=Integer()),
    )
)
DELETE_KEEPERS = Statement(delete(keepers).where(_kept))

DELETE_KEEPER = Statement(delete(keepers).where(_kept, keepers.c.factor == _factor))
HASTEN_ERASURE = Statement(update(erasures).where(_erasure).values(due_at=_now()))
DELETE_DEAD_OF = Statement(
    delete(dead_authenticators).where(
        dead_authenticators.c.user_id == bindparam("id", type_=Text()),
        dead_authenticators.c.factor == _factor,
    )
)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Everything that there is to know about an account, secrets left out.

    `email` and `username` are None once the person is deleted: the id is all that is left of them.
    """

    id: str
    email: str | None
    username: str | None
    verified_at: datetime | None
    created_at: datetime
    disabled_at: datetime | None
    deleted_at: datetime | None
    has_password: bool
    factor_epoch: int
    register: Register
    mfa_failures: int
    mfa_rests_until: datetime
    live_sessions: int
    addresses: tuple[Address, ...] = ()

    @property
    def name(self) -> str:
        """What operators are told that the person is called."""
        return self.email or self.username or self.id


@dataclass(frozen=True, kw_only=True)
class LiveSession:
    """A session in which somebody is logged in now."""

    id: str
    client: str
    created_at: datetime
    last_seen_at: datetime | None
    expires_at: datetime
    address: str
    user_agent: str


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """A person who is to be forgotten everywhere. `attempts` counts the one under way.

    `factors` are those that have ever been told of them.
    """

    user_id: str
    created_at: datetime
    due_at: datetime
    attempts: int
    factors: tuple[str, ...]


class People:
    """Reads and steps about accounts as a whole. The steps are for `Store.write`.

    `idle` is how long a session may be unused and be live.
    """

    def __init__(self, db: Database, idle: timedelta | None = None) -> None:
        self._db = db
        self._idle = idle

    async def find(self, person: str, now: datetime) -> Person | None:
        """Return who has that id, or that address or username, however it is written."""
        row = await self._db.find(
            FIND_PERSON,
            id=person,
            address=parse_address(person),
            username_key=key_of(person),
            **live_at(now, self._idle),
        )
        return None if row is None else _person(row, await self.addresses(row.id))

    async def addresses(self, id: str) -> tuple[Address, ...]:
        """Return the addresses of a person, those that they only claim among them."""
        return await Emails(self._db).list(id)

    async def live_sessions(self, id: str, now: datetime) -> list[LiveSession]:
        """Return the sessions in which the person is logged in, oldest first."""
        rows = await self._db.all(LIVE_SESSIONS, id=id, **live_at(now, self._idle))
        return [_live_session(row) for row in rows]

    def create(
        self,
        *,
        id: str,
        email_id: str,
        address: str | None,
        username: str | None,
        password_hash: str | None,
        verified: bool,
        now: datetime,
    ) -> tuple[Step, ...]:
        """Make an account. Raises Conflict if the address or the username is taken."""
        made = step(
            CREATE_USER,
            id=id,
            username=username,
            username_key=None if username is None else key_of(username),
            password_hash=password_hash,
            now=to_micros(now),
        )
        if address is None:
            return (made,)
        return (
            made,
            step(
                CREATE_EMAIL,
                id=id,
                email_id=email_id,
                address=address,
                verified_at=to_micros(now) if verified else None,
            ),
        )

    def disable(self, id: str, now: datetime) -> Step:
        """Disable the account, which ends everything; refuse if it is, or is deleted."""
        return step(DISABLE, id=id, now=to_micros(now))

    def enable(self, id: str) -> Step:
        """Enable the account; refuse if it is not disabled, or is deleted."""
        return step(ENABLE, id=id)

    def unlock(self, id: str, *addresses: str) -> tuple[Step, ...]:
        """Begin all counts anew, wherever it was tried."""
        return step(UNLOCK, id=id), self.forget_counters(id, *addresses)

    def forget_counters(self, id: str, *addresses: str) -> Step:
        """Forget what was counted of the person and of their addresses."""
        return also(statements.FORGET_COUNTERS, about=_about(id, *addresses))

    async def limited_until(self, id: str, *addresses: str, now: datetime) -> datetime | None:
        """Return until when the last of these counters that are used up is; None if none is."""
        row = await self._db.find(LIMITED_UNTIL, about=_about(id, *addresses), now=to_micros(now))
        return None if row is None else moment(row.until)

    def end_session(self, id: str, session_id: str) -> Step:
        """End one session; refuse if it is not the person's, or has ended."""
        return step(DELETE_OWN_SESSION, id=id, session_id=session_id)

    def end_sessions(self, id: str) -> Step:
        """End every session and every login under way, however many there are, by one row."""
        return step(END_SESSIONS, id=id)

    def reset_factors(self, person: Person) -> Step:
        """Empty the register, and end the logins under way; refuse if it has changed since."""
        return step(
            RESET_FACTORS,
            id=person.id,
            register_number=person.register.number,
            register=register_json(emptied(person.register)),
        )

    def delete(
        self, id: str, register: Register, now: datetime, *, account: Account | None = None
    ) -> Iterator[Step]:
        """Leave nothing of the account but its id, and have it forgotten everywhere else.

        Refuse if it is deleted, or its register has changed since it was read. With `account`, who
        asks is the person: refuse as well if they have been disabled or their sessions ended since.
        """
        if account is None:
            yield step(BURY_PERSON, id=id, register_number=register.number, now=to_micros(now))
        else:
            yield step(
                BURY_PERSON_IN_PERSON,
                id=id,
                register_number=register.number,
                session_epoch=account.session_epoch,
                now=to_micros(now),
            )
        yield also(DELETE_ADDRESSES, id=id)
        yield also(DELETE_CLAIMS, user_id=id)
        yield also(DELETE_ORIGINS, id=id)
        yield also(ERASE, id=id, now=to_micros(now))
        pending = () if register.pending is None else register.pending.involved
        kinds = {*register.types, *(named.type for named in pending)}
        for factor in sorted({service_of(kind) for kind in kinds}):
            yield also(statements.KEEP, user_id=id, factor=factor)

    async def take_erasure(self, now: datetime, lease: timedelta) -> Erasure | None:
        """Take the erasure that has been due longest, for as long as `lease`."""
        row = await self._db.apply(
            step(TAKE_ERASURE, now=to_micros(now), next_at=to_micros(now + lease))
        )
        return None if row is None else await self._erasure(row)

    async def find_erasure(self, user_id: str) -> Erasure | None:
        """Return the erasure of a person; None if they are not deleted, or all have confirmed."""
        row = await self._db.find(FIND_ERASURE, id=user_id)
        return None if row is None else await self._erasure(row)

    async def put_back_erasure(self, erasure: Erasure, due_at: datetime) -> None:
        """Let an erasure be due again at `due_at`."""
        await self._db.apply(step(PUT_BACK_ERASURE, id=erasure.user_id, next_at=to_micros(due_at)))

    def erased(self, erasure: Erasure) -> tuple[Step, ...]:
        """Finish an erasure: what logins in progress may have left goes with it.

        Refuse if somebody else has finished it, or if it is to be asked of more factors by now.
        """
        user_id = erasure.user_id
        return (
            step(ERASED, id=user_id, keepers=len(erasure.factors)),
            also(DELETE_KEEPERS, id=user_id),
            also(DELETE_SESSIONS, id=user_id),
            also(DELETE_ORIGINS, id=user_id),
        )

    def waive(self, user_id: str, factor: str, now: datetime) -> tuple[Step, ...]:
        """Wait no more for `factor` to forget the person; refuse if that is not waited for."""
        return (
            step(HASTEN_ERASURE, id=user_id, now=to_micros(now)),
            step(DELETE_KEEPER, id=user_id, factor=factor),
            also(DELETE_DEAD_OF, id=user_id, factor=factor),
        )

    async def _erasure(self, row: Row) -> Erasure:
        kept = await self._db.all(KEEPERS, id=row.user_id)
        return Erasure(
            user_id=row.user_id,
            created_at=from_micros(row.created_at),
            due_at=from_micros(row.due_at),
            attempts=row.attempts,
            factors=tuple(keeper.factor for keeper in kept),
        )


def _about(id: str, *addresses: str) -> list[str]:
    return [about_of(value) for value in (id, guesses_at(id), *addresses)]


def _person(row: Row, addresses: tuple[Address, ...]) -> Person:
    return Person(
        id=row.id,
        email=row.address,
        username=row.username,
        verified_at=moment(row.verified_at),
        created_at=from_micros(row.created_at),
        disabled_at=moment(row.disabled_at),
        deleted_at=moment(row.deleted_at),
        has_password=row.password_hash is not None,
        factor_epoch=row.factor_epoch,
        register=register_of(row.register_number, row.register, row.register_pending),
        mfa_failures=row.mfa_failures,
        mfa_rests_until=from_micros(row.mfa_rests_until),
        live_sessions=row.live,
        addresses=addresses,
    )


def _live_session(row: Row) -> LiveSession:
    return LiveSession(
        id=row.id,
        client=row.kind,
        created_at=from_micros(row.created_at),
        last_seen_at=moment(row.last_seen_at),
        expires_at=from_micros(row.expires_at),
        address=row.ip,
        user_agent=row.user_agent,
    )
