"""Values sealed anew: what other keys of a ring have sealed, its primary key seals from then on.

Each value is exchanged by a write of its own, and only for what was read: whoever has changed it
meanwhile has been faster, and it is looked at again. So nobody waits for more than one such write,
several may run at once, and one that was broken off is begun anew and finds less to do.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    LargeBinary,
    Select,
    bindparam,
    literal_column,
    select,
    tuple_,
    update,
)

from shared.cipher import CannotOpen, Cipher, key_of
from shared.database import Database, Row, Statement, Step, step
from shared.event import Event

PAGE = 128  # rows that are read at once
AT_ONCE = 16  # writes under way: SQLite has them in one commit, and others wait for no more
EXAMPLES = 5  # rows named of those that are left for one reason

HASHED = "only_hashed"
ONLY_HASHED = "Only a hash is kept, which nobody can make anew."
"""Why a value is left although its key is on the ring; see CannotOpen for the other reason."""


def _unchanged(row: Row, plain: bytes) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Sealed values of one kind: the statements that find and exchange them, and their place.

    `first` and `following` return a page in the order of `keys`, the latter behind the row of
    these keys, each row with `sealed`: None if only a hash is kept, under the key `hashed_by`.
    `exchange` puts `renewed` in place of what is still `seen`. `place` is what a value is bound
    to. `remade` is what else is written with it, such as a hash under the primary key.
    """

    name: str
    keys: tuple[str, ...]
    first: Statement
    following: Statement
    exchange: Statement
    place: Callable[[Row], Sequence[str]]
    remade: Callable[[Row, bytes], Mapping[str, object]] = _unchanged


def shelf(column: Column[bytes], place: Callable[[Row], Sequence[str]]) -> Shelf:
    """Return the shelf of a column; `place` may read the whole row."""
    table = column.table
    pages = select(table, column.label("sealed")).where(column.is_not(None))
    keys = [table.c[key.name] for key in table.primary_key]
    first, following = paged(pages, keys)
    return Shelf(
        name=table.name,
        keys=tuple(key.name for key in keys),
        first=first,
        following=following,
        exchange=Statement(
            update(table)
            .where(*(key == bindparam(key.name) for key in keys), column == bindparam("seen"))
            .values({column: bindparam("renewed", type_=LargeBinary)})
        ),
        place=place,
    )


def paged(rows: Select[Any], keys: Sequence[Column[Any]]) -> tuple[Statement, Statement]:
    """Return what selects the first page of `rows`, and the one behind a row with these keys."""
    page = rows.order_by(*keys).limit(literal_column(str(PAGE)))
    behind = tuple_(*keys) > tuple_(*(bindparam(key.name, type_=key.type) for key in keys))
    return Statement(page), Statement(page.where(behind))


@dataclass(frozen=True)
class Reason:
    """Why values of one kind are left as they are; `key` is what they need, if that is known."""

    table: str
    code: str
    why: str
    key: str | None


@dataclass
class Tally:
    """What has come of it: how many values each key had sealed before, and what is left."""

    resealed: Counter[str] = field(default_factory=Counter)
    left: Counter[Reason] = field(default_factory=Counter)
    examples: dict[Reason, list[str]] = field(default_factory=dict)
    begun: bool = False

    def leave(self, reason: Reason, row: str) -> None:
        """Count a value that is left, and remember some of their rows."""
        self.left[reason] += 1
        named = self.examples.setdefault(reason, [])
        if len(named) < EXAMPLES:
            named.append(row)


@dataclass(frozen=True)
class _Renewal:
    """A value that another key has sealed, and the write that exchanges it."""

    key: str
    exchange: Step = field(repr=False)


class Resealing:
    """Seals by the primary key what other keys of the ring have sealed.

    An event `begun` is put on record before the first value is exchanged, with the `key` that
    seals, and one `ended` after the last, with how many were `resealed` and are `left` as well.
    Neither is if there is nothing to exchange.
    """

    def __init__(
        self,
        db: Database,
        shelves: Sequence[tuple[Shelf, Cipher]],
        *,
        primary: str,
        begun: Callable[..., Event],
        ended: Callable[..., Event],
    ) -> None:
        self._db = db
        self._shelves = shelves
        self._primary = primary
        self._begun = begun
        self._ended = ended

    async def reseal(self, *, pretend: bool = False) -> Tally:
        """Seal anew what needs it; with `pretend`, only count it. Repeatable, also at once.

        What is written meanwhile by who has another primary key may be left to the next time.
        """
        tally = Tally()
        for shelf, cipher in self._shelves:
            behind: Row | None = None
            while rows := await self._page(shelf, behind):
                found = [(row, self._judged(shelf, cipher, row)) for row in rows]
                renewals = [each for _, each in found if isinstance(each, _Renewal)]
                if pretend:
                    tally.resealed.update(renewal.key for renewal in renewals)
                elif not await self._exchanged(renewals, tally):
                    continue  # somebody was faster with one of them: look again
                for row, reason in found:
                    if isinstance(reason, Reason):
                        tally.leave(reason, " ".join(str(row[key]) for key in shelf.keys))
                behind = rows[-1]
        if tally.begun:
            resealed, left = tally.resealed.total(), tally.left.total()
            ended = self._ended(user_id=None, key=self._primary, resealed=resealed, left=left)
            await self._db.record(ended)
        return tally

    async def _page(self, shelf: Shelf, behind: Row | None) -> list[Row]:
        if behind is None:
            return await self._db.all(shelf.first)
        return await self._db.all(shelf.following, **{key: behind[key] for key in shelf.keys})

    def _judged(self, shelf: Shelf, cipher: Cipher, row: Row) -> _Renewal | Reason | None:
        """Return how a value is exchanged, or why not; None if it is as it should be."""
        if row.sealed is None:
            of_primary = row.hashed_by == self._primary
            return None if of_primary else Reason(shelf.name, HASHED, ONLY_HASHED, row.hashed_by)
        key = None
        try:
            key = key_of(row.sealed)
            if key == self._primary:
                return None
            place = shelf.place(row)
            plain = cipher.open(row.sealed, bound_to=place)
        except CannotOpen as error:
            return Reason(shelf.name, error.code, error.detail, key)
        exchange = step(
            shelf.exchange,
            **{name: row[name] for name in shelf.keys},
            seen=row.sealed,
            renewed=cipher.seal(plain, bound_to=place),
            **shelf.remade(row, plain),
        )
        return _Renewal(key, exchange)

    async def _exchanged(self, renewals: Sequence[_Renewal], tally: Tally) -> bool:
        """Write `renewals`; False if one of them is not as it was read any more."""
        if renewals and not tally.begun:
            await self._db.record(self._begun(user_id=None, key=self._primary))
            tally.begun = True
        all_were = True
        for start in range(0, len(renewals), AT_ONCE):
            some = renewals[start : start + AT_ONCE]
            writes = (self._db.apply(renewal.exchange) for renewal in some)
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            for renewal, outcome in zip(some, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    all_were = False
                else:
                    tally.resealed[renewal.key] += 1
        return all_were
