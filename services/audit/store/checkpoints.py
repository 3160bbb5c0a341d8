"""Checkpoints, and to which other places each has been written."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, bindparam, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from services.audit.domain.checkpoint import Checkpoint
from services.audit.store.tables import checkpoints, deliveries
from shared.clock import from_micros, to_micros
from shared.database import Database, Row, Statement, also, step

NEWEST = Statement(select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1))
AFTER = Statement(
    select(checkpoints)
    .where(checkpoints.c.size > bindparam("size"))
    .order_by(checkpoints.c.size)
    .limit(bindparam("limit", type_=Integer))
)
COVERING = Statement(
    select(checkpoints)
    .where(checkpoints.c.size >= bindparam("size"))
    .order_by(checkpoints.c.size)
    .limit(1)
)
ADD = Statement(checkpoints.insert())

UNDELIVERED = Statement(
    select(checkpoints)
    .where(
        ~exists().where(
            deliveries.c.place == bindparam("place"), deliveries.c.size == checkpoints.c.size
        )
    )
    .order_by(checkpoints.c.size)
    .limit(bindparam("limit", type_=Integer))
)
DELIVERED = Statement(
    postgresql=postgresql.insert(deliveries).on_conflict_do_nothing(),
    sqlite=sqlite.insert(deliveries).on_conflict_do_nothing(),
)


@dataclass(frozen=True)
class Record:
    """A checkpoint as it is kept: what its columns say, and the note that was signed."""

    size: int
    root: bytes
    note: str
    made_at: datetime


class CheckpointStore:
    """The tables of checkpoints."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Be the one who makes checkpoints, if nobody else is."""
        return self._db.exclusive("checkpoints")

    async def newest(self) -> Record | None:
        """Return the checkpoint of most entries."""
        row = await self._db.find(NEWEST)
        return None if row is None else _record(row)

    async def after(self, size: int, limit: int) -> list[Record]:
        """Return checkpoints of more than `size` entries, in order."""
        return [_record(row) for row in await self._db.all(AFTER, size=size, limit=limit)]

    async def covering(self, size: int) -> Record | None:
        """Return the first checkpoint of `size` entries or more."""
        row = await self._db.find(COVERING, size=size)
        return None if row is None else _record(row)

    async def add(self, checkpoint: Checkpoint, note: str, now: datetime) -> None:
        """Keep a checkpoint. Raises Conflict if there is one of this size."""
        await self._db.apply(
            step(
                ADD,
                size=checkpoint.size,
                root=checkpoint.root,
                note=note,
                made_at=to_micros(now),
            )
        )

    async def undelivered(self, place: str, limit: int) -> list[Record]:
        """Return checkpoints that `place` has not got, in order."""
        return [_record(row) for row in await self._db.all(UNDELIVERED, place=place, limit=limit)]

    async def delivered(self, place: str, size: int) -> None:
        """Note that `place` has the checkpoint of `size` entries."""
        await self._db.apply(also(DELIVERED, place=place, size=size))


def _record(row: Row) -> Record:
    return Record(row.size, bytes(row.root), row.note, from_micros(row.made_at))
