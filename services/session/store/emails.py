"""The addresses of people: those that are theirs, and those that they say are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    SmallInteger,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.session.domain.sessions import Account
from services.session.store.rows import account_of, moment
from services.session.store.statements import ACCOUNT_COLUMNS, INSERT_EMAIL
from services.session.store.tables import claimed_addresses, emails, origins, users
from shared.clock import to_micros
from shared.database import Database, Row, Statement, Step, also, step
from shared.token import new_token

ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Address:
    """One address of a person. What they only say is theirs is there since `claimed_at`."""

    address: str
    verified: bool
    primary: bool = False
    claimed_at: datetime | None = None


def _user() -> ColumnElement[Any]:
    return bindparam("user_id", type_=Text())


def _address() -> ColumnElement[Any]:
    return bindparam("address", type_=Text())


def _now() -> ColumnElement[Any]:
    return bindparam("now", type_=BigInteger())


_theirs = emails.c.user_id == _user()
_this = emails.c.address == _address()
_claimed = claimed_addresses.c.user_id == _user()
_verified = emails.c.verified_at.is_not(None)
_secondary = emails.c.is_primary == literal(0, SmallInteger())
_primary = emails.c.is_primary == literal(1, SmallInteger())

_listed = union_all(
    select(emails.c.address, emails.c.verified_at, emails.c.is_primary, null().label("claimed_at"))
    .select_from(emails)
    .where(_theirs),
    select(
        claimed_addresses.c.address,
        null(),
        literal(0, SmallInteger()),
        claimed_addresses.c.created_at,
    )
    .select_from(claimed_addresses)
    .where(_claimed),
).subquery("listed")

# The primary one first, then as they came.
LIST = Statement(
    select(*_listed.c).order_by(
        _listed.c.is_primary.desc(),
        func.coalesce(_listed.c.claimed_at, _listed.c.verified_at),
        _listed.c.claimed_at.is_not(None),
        _listed.c.address,
    )
)

_held = emails.alias("held")

# The account whose address it is, in whatever state: with its primary address, as everywhere.
HOLDER = Statement(
    select(*ACCOUNT_COLUMNS)
    .select_from(
        _held.join(users, users.c.id == _held.c.user_id).outerjoin(
            emails, and_(emails.c.user_id == users.c.id, emails.c.is_primary == literal(1))
        )
    )
    .where(_held.c.address == _address())
)

_how_many = (
    select(func.count()).select_from(emails).where(_theirs).scalar_subquery()
    + select(func.count()).select_from(claimed_addresses).where(_claimed).scalar_subquery()
)
_room = _how_many < bindparam("most", type_=Integer())

ADD = Statement(
    emails.insert().from_select(
        [
            emails.c.id,
            emails.c.user_id,
            emails.c.address,
            emails.c.verified_at,
            emails.c.is_primary,
        ],
        select(
            bindparam("id", type_=Text()),
            _user(),
            _address(),
            _now(),
            bindparam("is_primary", type_=SmallInteger()),
        ).where(_room),
    )
)

CLAIM = Statement(
    claimed_addresses.insert().from_select(
        [
            claimed_addresses.c.user_id,
            claimed_addresses.c.address,
            claimed_addresses.c.created_at,
        ],
        select(_user(), _address(), _now()).where(_room),
    )
)

# In place of the primary address, of which the account is to have had the one that was read.
REPLACE_PRIMARY = Statement(
    update(emails)
    .where(_theirs, emails.c.address == bindparam("before", type_=Text()), _primary)
    .values(address=_address(), verified_at=_now())
)

DELETE_SECONDARY = Statement(delete(emails).where(_theirs, _this, _secondary))
DELETE_LAST = Statement(
    delete(emails).where(_theirs, _this, _primary, _how_many == literal(1, Integer()))
)
DELETE_SECONDARIES = Statement(delete(emails).where(_theirs, _secondary))
DELETE_CLAIM = Statement(
    delete(claimed_addresses).where(_claimed, claimed_addresses.c.address == _address())
)
DELETE_CLAIMS = Statement(delete(claimed_addresses).where(_claimed))

# As it was claimed, and no other claim to the same address.
TAKE_CLAIM = Statement(
    delete(claimed_addresses).where(
        _claimed,
        claimed_addresses.c.address == _address(),
        claimed_addresses.c.created_at == bindparam("claimed_at", type_=BigInteger()),
    )
)

# Each of them waits for whoever changes the same row, and looks at it again: of two who make
# something else primary at once, one finds that it is no more.
NO_LONGER_PRIMARY = Statement(
    update(emails).where(_theirs, _this, _primary).values(is_primary=literal(0, SmallInteger()))
)
NOW_PRIMARY = Statement(
    update(emails)
    .where(_theirs, _this, _secondary, _verified)
    .values(is_primary=literal(1, SmallInteger()))
)
UNVERIFIED_PRIMARY_BECOMES = Statement(
    update(emails)
    .where(
        _theirs,
        emails.c.address == bindparam("before", type_=Text()),
        _primary,
        emails.c.verified_at.is_(None),
    )
    .values(address=_address())
)


def _claim_anyway(insert: Any) -> Any:
    return (
        insert(claimed_addresses)
        .values(user_id=_user(), address=_address(), created_at=_now())
        .on_conflict_do_nothing()
    )


CLAIM_ANYWAY = Statement(
    postgresql=_claim_anyway(postgresql.insert), sqlite=_claim_anyway(sqlite.insert)
)

GIVE_UP = Statement(delete(emails).where(_theirs, _this, emails.c.verified_at.is_(None)))

# The address of a sign-up, as long as nobody has ever logged in.
CHANGE_AT_SIGNUP = Statement(
    update(emails)
    .where(
        _theirs,
        emails.c.address == bindparam("before", type_=Text()),
        _primary,
        emails.c.verified_at.is_(None),
        ~exists(select(origins.c.user_id).where(origins.c.user_id == _user())),
    )
    .values(address=_address())
)

HAS = Statement(select(literal(1).label("has")).select_from(emails).where(_theirs, _this))
OWNS = Statement(
    select(literal(1).label("owns")).select_from(emails).where(_theirs, _this, _verified)
)


class Emails:
    """Reads and steps about addresses. The steps are for `Store.write`.

    Whoever adds a row to `emails` gets a Conflict if the address is taken.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self, user_id: str) -> tuple[Address, ...]:
        """Return the addresses of a person, the primary one first."""
        rows = await self._db.all(LIST, user_id=user_id)
        return tuple(_read(row) for row in rows)

    async def holder(self, address: str) -> Account | None:
        """Return the account that has this canonical address, verified or not."""
        row = await self._db.find(HOLDER, address=address)
        return None if row is None else account_of(row)

    def has(self, user_id: str, address: str) -> Step:
        """Refuse unless the address is the person's, verified or not."""
        return step(HAS, user_id=user_id, address=address)

    def owns(self, user_id: str, address: str) -> Step:
        """Refuse unless the address is known to be the person's."""
        return step(OWNS, user_id=user_id, address=address)

    def add(
        self, user_id: str, id: str, address: str, now: datetime, *, primary: bool, most: int
    ) -> Step:
        """Add an address that is known to be the person's; refuse if they have so many.

        Raises Conflict as well if it is to be `primary`, and there is one by now.
        """
        return step(
            ADD,
            id=id,
            user_id=user_id,
            address=address,
            is_primary=int(primary),
            now=to_micros(now),
            most=most,
        )

    def claim(self, user_id: str, address: str, now: datetime, *, most: int) -> Step:
        """Note that somebody says that an address is theirs; refuse if they have so many."""
        return step(CLAIM, user_id=user_id, address=address, now=to_micros(now), most=most)

    def take_claim(self, user_id: str, claimed: Address) -> Step:
        """Remove a claim that has turned out true; refuse if it is no more."""
        at = claimed.claimed_at
        return step(
            TAKE_CLAIM,
            user_id=user_id,
            address=claimed.address,
            claimed_at=0 if at is None else to_micros(at),
        )

    def forget_claim(self, user_id: str, address: str, *, required: bool = False) -> Step:
        """Remove a claim, if there is one; refuse without one if that is `required`."""
        remove = step if required else also
        return remove(DELETE_CLAIM, user_id=user_id, address=address)

    def forget_claims(self, user_id: str) -> Step:
        """Remove whatever the person says of addresses."""
        return also(DELETE_CLAIMS, user_id=user_id)

    def remove(self, user_id: str, address: str) -> Step:
        """Remove an address; refuse if it is not the person's, or the primary one."""
        return step(DELETE_SECONDARY, user_id=user_id, address=address)

    def replace_all(
        self, user_id: str, before: str, address: str, now: datetime
    ) -> tuple[Step, ...]:
        """Put an address in the place of all that the person has; `before` was the primary one."""
        return (
            step(
                REPLACE_PRIMARY,
                user_id=user_id,
                before=before,
                address=address,
                now=to_micros(now),
            ),
            also(DELETE_SECONDARIES, user_id=user_id),
            also(DELETE_CLAIMS, user_id=user_id),
        )

    def make_primary(self, user_id: str, before: str | None, address: str) -> tuple[Step, ...]:
        """Make a verified address primary in place of `before`; refuse if that is not so."""
        now_primary = step(NOW_PRIMARY, user_id=user_id, address=address)
        if before is None:
            return (now_primary,)
        return (step(NO_LONGER_PRIMARY, user_id=user_id, address=before), now_primary)

    def make_claim_primary(
        self, user_id: str, before: str | None, claimed: Address, now: datetime
    ) -> tuple[Step, ...]:
        """Let what is claimed change places with a primary address that is not verified either.

        Refuse if one of them has been verified since. Where there was none, that is all.
        """
        taken = self.take_claim(user_id, claimed)
        if before is None:
            return (taken, self._make_primary_unverified(user_id, claimed.address))
        return (
            taken,
            step(
                UNVERIFIED_PRIMARY_BECOMES,
                user_id=user_id,
                before=before,
                address=claimed.address,
            ),
            also(CLAIM_ANYWAY, user_id=user_id, address=before, now=to_micros(now)),
        )

    def _make_primary_unverified(self, user_id: str, address: str) -> Step:
        return step(INSERT_EMAIL, id=new_token(ID_BYTES), user_id=user_id, address=address, fresh=1)

    def change_at_signup(self, user_id: str, before: str, address: str) -> Step:
        """Change the address of an account in which nobody has ever been; refuse else."""
        return step(CHANGE_AT_SIGNUP, user_id=user_id, before=before, address=address)

    def remove_last(self, user_id: str, address: str) -> Step:
        """Remove the one address of an account; refuse if it has more, or says so of others."""
        return step(DELETE_LAST, user_id=user_id, address=address)

    def give_up(self, user_id: str, address: str) -> Step:
        """Take an address from an account that has never verified it; refuse else."""
        return step(GIVE_UP, user_id=user_id, address=address)


def _read(row: Row) -> Address:
    return Address(
        address=row.address,
        verified=row.verified_at is not None,
        primary=bool(row.is_primary),
        claimed_at=moment(row.claimed_at),
    )
