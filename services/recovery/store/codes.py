"""Where recovery codes are kept. Every statement about them is here.

A code is spent by locking first the code and then its set. Everything else therefore takes one of
the two tables at a time, and of that the rows in their order: no two wait for each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.recovery.domain.codes import CodeSet, Use
from services.recovery.store.tables import VIEWED_COPIES, code_sets, codes
from shared.cipher import Cipher, KeyRing
from shared.clock import from_micros, to_micros
from shared.code_form import CodeForm
from shared.database import Change, Database, Row, Statement, also, step
from shared.errors import Unavailable
from shared.event import Event
from shared.hashing import HashingKeys
from shared.resealing import Shelf, paged
from shared.token import keyed_hash

PURPOSE = "recovery.code"  # of the keys that seal codes
HASHING = "recovery.code_hash"  # of the keys that hash them
ERASED_AT_ONCE = 500  # sets; an update without bound would hold its locks for long

SETS = Statement(
    select(code_sets)
    .where(code_sets.c.user_id == bindparam("user_id"))
    .order_by(code_sets.c.created_at, code_sets.c.id)
)

SET = Statement(select(code_sets).where(code_sets.c.id == bindparam("id")))

# A row for each unused code, and one at least.
SET_WITH_CODES = Statement(
    select(code_sets, codes.c.place, codes.c.sealed_code)
    .outerjoin(codes, and_(codes.c.set_id == code_sets.c.id, codes.c.used_at.is_(None)))
    .where(code_sets.c.id == bindparam("id"), code_sets.c.user_id == bindparam("user_id"))
    .order_by(codes.c.place)
)

ADD_SET = Statement(
    postgresql=postgresql.insert(code_sets).on_conflict_do_nothing(index_elements=["id"]),
    sqlite=sqlite.insert(code_sets).on_conflict_do_nothing(index_elements=["id"]),
)

ADD_CODE = Statement(insert(codes))

SPEND = Statement(
    update(codes)
    .where(
        codes.c.set_id == bindparam("set_id"),
        codes.c.hash.in_(bindparam("hashes")),
        codes.c.used_at.is_(None),
    )
    .values(used_at=bindparam("now"), sealed_code=None)
)

COUNT_DOWN = Statement(
    update(code_sets)
    .where(code_sets.c.id == bindparam("set_id"), code_sets.c.user_id == bindparam("user_id"))
    .values(
        unused=code_sets.c.unused - literal_column("1"),
        last_used_at=bindparam("now"),
        confirmed_at=func.coalesce(
            code_sets.c.confirmed_at, bindparam("now", type_=BigInteger), type_=BigInteger
        ),
    )
    .returning(code_sets.c.unused, code_sets.c.total)
)

USED = Statement(
    select(codes.c.set_id).where(
        codes.c.set_id.in_(bindparam("set_ids")), codes.c.hash.in_(bindparam("hashes"))
    )
)

# The number of unused codes tells that none was spent since they were read.
VIEW = Statement(
    update(code_sets)
    .where(code_sets.c.id == bindparam("id"), code_sets.c.unused == bindparam("unused"))
    .values(
        viewed_at=func.coalesce(
            code_sets.c.viewed_at, bindparam("now", type_=BigInteger), type_=BigInteger
        )
    )
)

VIEW_ONCE = Statement(
    update(code_sets)
    .where(
        code_sets.c.id == bindparam("id"),
        code_sets.c.unused == bindparam("unused"),
        code_sets.c.viewed_at.is_(None),
    )
    .values(viewed_at=bindparam("now"))
)

VIEWED = Statement(
    select(code_sets.c.id).where(VIEWED_COPIES).limit(literal_column(str(ERASED_AT_ONCE)))
)

_sealed = (
    select(codes.c.set_id, codes.c.place)
    .where(codes.c.set_id.in_(bindparam("set_ids")), codes.c.sealed_code.is_not(None))
    .order_by(codes.c.set_id, codes.c.place)
    .with_for_update()
)

ERASE = Statement(
    update(codes).where(tuple_(codes.c.set_id, codes.c.place).in_(_sealed)).values(sealed_code=None)
)

_erased = (
    select(code_sets.c.id)
    .where(code_sets.c.id.in_(bindparam("set_ids")))
    .order_by(code_sets.c.id)
    .with_for_update()
)

FORGET_COPIES = Statement(
    update(code_sets)
    .where(code_sets.c.id.in_(_erased))
    .values(has_copies=bindparam("has_copies", type_=Boolean))
)

# Of codes that can still be used, whether there is a copy or not: each needs the key of its hash.
UNUSED, UNUSED_BEHIND = paged(
    select(
        codes.c.set_id,
        codes.c.place,
        codes.c.sealed_code.label("sealed"),
        codes.c.hashed_by,
        code_sets.c.user_id,
    )
    .join(code_sets, code_sets.c.id == codes.c.set_id)
    .where(codes.c.used_at.is_(None)),
    [codes.c.set_id, codes.c.place],
)

RENEW = Statement(
    update(codes)
    .where(
        codes.c.set_id == bindparam("set_id"),
        codes.c.place == bindparam("place"),
        codes.c.sealed_code == bindparam("seen"),
    )
    .values(
        sealed_code=bindparam("renewed"), hash=bindparam("hash"), hashed_by=bindparam("hashed_by")
    )
)

_dropped = (
    select(codes.c.set_id, codes.c.place)
    .join(code_sets, code_sets.c.id == codes.c.set_id)
    .where(codes.c.set_id == bindparam("id"), code_sets.c.user_id == bindparam("user_id"))
    .order_by(codes.c.set_id, codes.c.place)
    .with_for_update(of=codes)
)

DROP_CODES = Statement(delete(codes).where(tuple_(codes.c.set_id, codes.c.place).in_(_dropped)))

REMOVE = Statement(
    delete(code_sets).where(
        code_sets.c.id == bindparam("id"), code_sets.c.user_id == bindparam("user_id")
    )
)


@dataclass(frozen=True)
class KeptCodes:
    """A set, and its unused codes as they lie there: sealed, by their place, or not at all."""

    set: CodeSet
    sealed: Mapping[int, bytes] = field(repr=False)


class CodeStore:
    """The recovery codes of everybody: as keyed hashes, and sealed while they may be shown.

    Hashes are made with the primary key, and looked up under every key of the ring: a key that
    leaves the ring takes along the codes that were hashed with it.
    """

    def __init__(self, db: Database, ring: KeyRing) -> None:
        self._db = db
        self._cipher = Cipher(ring, PURPOSE)
        self._primary_id = ring.primary
        self._keys = HashingKeys.of(ring, HASHING)

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers."""
        await self._db.ping()

    async def all(self, user_id: str) -> list[CodeSet]:
        """Return the sets of a user, oldest first."""
        return [_code_set(row) for row in await self._db.all(SETS, user_id=user_id)]

    async def find(self, id: str) -> CodeSet | None:
        """Return a set, whosever it is."""
        row = await self._db.find(SET, id=id)
        return None if row is None else _code_set(row)

    async def find_codes(self, user_id: str, id: str) -> KeptCodes | None:
        """Return a set of the user with its unused codes."""
        rows = await self._db.all(SET_WITH_CODES, id=id, user_id=user_id)
        if not rows:
            return None
        sealed = {row.place: row.sealed_code for row in rows if row.sealed_code is not None}
        return KeptCodes(_code_set(rows[0]), sealed)

    def open(self, kept: KeptCodes) -> list[str]:
        """Return the codes that are kept sealed, in their order. Raises CannotOpen."""
        return [
            self._cipher.open(sealed, bound_to=_place(kept.set, place)).decode()
            for place, sealed in sorted(kept.sealed.items())
        ]

    async def add(self, new: CodeSet, plain: Sequence[str], *events: Event) -> bool:
        """Keep a new set. False, and nothing is recorded, if there is one of that id."""
        added = step(
            ADD_SET,
            id=new.id,
            user_id=new.user_id,
            session_id=new.session_id,
            form=str(new.form),
            total=new.total,
            unused=new.unused,
            created_at=to_micros(new.created_at),
            last_used_at=None,
            viewed_at=_micros(new.viewed_at),
            confirmed_at=_micros(new.confirmed_at),
            has_copies=new.has_copies,
        )
        with_codes = [
            also(
                ADD_CODE,
                set_id=new.id,
                place=place,
                hash=_hash(self._keys.primary, new.user_id, new.id, code),
                sealed_code=self._sealed(new, place, code) if new.has_copies else None,
                used_at=None,
                hashed_by=self._primary_id,
            )
            for place, code in enumerate(plain)
        ]
        return await self._db.apply(Change(added, *with_codes), *events) is not None

    async def spend(
        self, user_id: str, set_id: str, code: str, now: datetime, *events: Event
    ) -> Use | None:
        """Mark a code of that set used and record `events`. None, and neither, unless it is unused.

        A single write, so of two racing requests only one can win.
        """
        micros = to_micros(now)
        hashes = self._hashes(user_id, [set_id], code)
        spent = step(SPEND, set_id=set_id, hashes=hashes, now=micros)
        counted = step(COUNT_DOWN, set_id=set_id, user_id=user_id, now=micros)
        row = await self._db.apply(Change(spent, counted), *events)
        return None if row is None else Use(set_id, unused=row.unused, total=row.total)

    async def find_used(self, user_id: str, set_ids: Sequence[str], code: str) -> str | None:
        """Return the set that `code` belongs to, spent or not."""
        hashes = self._hashes(user_id, set_ids, code)
        row = await self._db.find(USED, set_ids=list(set_ids), hashes=hashes)
        return None if row is None else str(row.set_id)

    async def record(self, *events: Event) -> None:
        """Record `events`, and change nothing."""
        await self._db.record(*events)

    async def view(self, kept: CodeSet, now: datetime, *events: Event) -> bool:
        """Note that the unused codes of the set are seen. False if there are others by now."""
        seen = step(VIEW, id=kept.id, unused=kept.unused, now=to_micros(now))
        return await self._db.apply(seen, *events) is not None

    async def view_once(self, kept: CodeSet, now: datetime, *events: Event) -> bool:
        """Note that the codes are seen, and let nobody see them again.

        False, and nothing is recorded, if they have been seen, or if there are others by now.
        """
        seen = step(VIEW_ONCE, id=kept.id, unused=kept.unused, now=to_micros(now))
        if await self._db.apply(seen, *events) is None:
            return False
        try:
            await self._erase([kept.id])
        except Unavailable:
            # They may be shown no more, and whoever was to see them must not lose them. The
            # sweep erases what is left.
            return True
        return True

    async def erase_viewed(self) -> bool:
        """Erase the copies in up to 500 sets that have been seen. False if there were none."""
        rows = await self._db.all(VIEWED)
        if rows:
            await self._erase([row.id for row in rows])
        return bool(rows)

    async def remove(self, user_id: str, id: str, *events: Event) -> bool:
        """Delete a set and record `events`. False, and nothing is recorded, if there is none."""
        await self._db.apply(also(DROP_CODES, id=id, user_id=user_id))
        return await self._db.apply(step(REMOVE, id=id, user_id=user_id), *events) is not None

    async def _erase(self, set_ids: list[str]) -> None:
        # The flag last: while it stands, the sweep comes back.
        await self._db.apply(also(ERASE, set_ids=set_ids))
        await self._db.apply(also(FORGET_COPIES, set_ids=set_ids, has_copies=False))

    def _hashes(self, user_id: str, set_ids: Sequence[str], code: str) -> list[str]:
        return [_hash(key, user_id, set_id, code) for set_id in set_ids for key in self._keys.every]

    def _sealed(self, new: CodeSet, place: int, code: str) -> bytes:
        return self._cipher.seal(code.encode(), bound_to=_place(new, place))


def sealed_codes(ring: KeyRing) -> Shelf:
    """Return the copies of unused codes as values that lie sealed.

    Whoever seals a copy by the primary key of `ring` hashes the code by it as well.
    """
    key = HashingKeys.of(ring, HASHING).primary
    return Shelf(
        name="codes",
        keys=("set_id", "place"),
        first=UNUSED,
        following=UNUSED_BEHIND,
        exchange=RENEW,
        place=lambda row: _place_of(row.set_id, row.place, row.user_id),
        remade=lambda row, plain: {
            "hash": _hash(key, row.user_id, row.set_id, plain.decode()),
            "hashed_by": ring.primary,
        },
    )


def _hash(key: bytes, user_id: str, set_id: str, code: str) -> str:
    """Return the keyed hash of a code: in another set, or for another user, it is another."""
    return keyed_hash(key, user_id, set_id, code).hex()


def _place(kept: CodeSet, place: int) -> tuple[str, ...]:
    """Name where a code lies: moved to another row, it does not open."""
    return _place_of(kept.id, place, kept.user_id)


def _place_of(set_id: str, place: int, user_id: str) -> tuple[str, ...]:
    return "recovery", "codes", "sealed_code", set_id, str(place), user_id


def _code_set(row: Row) -> CodeSet:
    return CodeSet(
        id=row.id,
        user_id=row.user_id,
        session_id=row.session_id,
        form=CodeForm.parse(row.form),
        total=row.total,
        unused=row.unused,
        created_at=from_micros(row.created_at),
        last_used_at=_moment(row.last_used_at),
        viewed_at=_moment(row.viewed_at),
        confirmed_at=_moment(row.confirmed_at),
        has_copies=bool(row.has_copies),
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)
