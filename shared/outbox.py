"""Events on their way out: numbered, handed to the relay, and forgotten once they are sent."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Text,
    bindparam,
    delete,
    func,
    select,
    true,
    update,
)

from shared.clock import from_micros
from shared.database import Change, Database, Row, Statement, step
from shared.database.events import OUTBOX, OUTBOX_SOURCE, outbox_tables

__all__ = ["Backlog", "Outbox", "outbox_tables"]

BATCH = 500
FIRST_PAUSE = 0.01  # seconds between two looks into an empty outbox; doubles
LONGEST_PAUSE = 0.1  # seconds

UNNUMBERED = Statement(
    select(OUTBOX.c.seq, OUTBOX_SOURCE.c.last_number)
    .join_from(OUTBOX, OUTBOX_SOURCE, true())
    .where(OUTBOX.c.number.is_(None))
    .order_by(OUTBOX.c.seq)
    .limit(bindparam("limit"))
)

# The counter moves only if it is where the rows were read: a second relay is refused.
MOVE_COUNTER = Statement(
    update(OUTBOX_SOURCE)
    .where(OUTBOX_SOURCE.c.last_number == bindparam("seen"))
    .values(last_number=OUTBOX_SOURCE.c.last_number + bindparam("count"))
)

_array = (
    func.unnest(bindparam("seqs", type_=ARRAY(BigInteger)))
    .table_valued("seq", with_ordinality="place", name="batch")
    .render_derived()
)
_json = func.json_each(bindparam("seqs", type_=Text)).table_valued("key", "value", name="batch")

NUMBER_ROWS = Statement(
    postgresql=update(OUTBOX)
    .where(OUTBOX.c.seq == _array.c.seq)
    .values(number=bindparam("seen", type_=BigInteger) + _array.c.place),
    sqlite=update(OUTBOX)
    .where(OUTBOX.c.seq == _json.c.value)
    .values(number=bindparam("seen", type_=BigInteger) + _json.c.key + 1),
)

FIRST = Statement(select(OUTBOX.c.seq).limit(1))

PENDING = Statement(
    select(OUTBOX)
    .where(OUTBOX.c.number > bindparam("behind"))
    .order_by(OUTBOX.c.number)
    .limit(bindparam("limit"))
)

DELETE = Statement(delete(OUTBOX).where(OUTBOX.c.seq.in_(bindparam("seqs"))))

BACKLOG = Statement(
    select(
        func.count().label("count"), func.min(OUTBOX.c.occurred_at).label("oldest_at")
    ).select_from(OUTBOX)
)


@dataclass(frozen=True)
class Backlog:
    """How many events wait, and since when."""

    count: int
    oldest_at: datetime | None


class Outbox:
    """The events of one service that have not been sent yet.

    Numbers are stored before the events are sent, and grow by one from event to event: a gap that
    a consumer sees is a loss.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def wait(self) -> None:
        """Return when there is something to send.

        It looks rather than being told: PostgreSQL lets transactions that NOTIFY commit only one
        after the other, in all its databases, which would make every login wait for every other.
        """
        pause = FIRST_PAUSE
        while await self._db.find(FIRST) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def number_batch(self, limit: int = BATCH) -> int:
        """Number the next `limit` events at most, in the order they were written; say how many.

        0 also if another relay numbered some in between.
        """
        rows = await self._db.all(UNNUMBERED, limit=limit)
        if not rows:
            return 0
        seen, seqs = rows[0].last_number, [row.seq for row in rows]
        moved = await self._db.apply(
            Change(
                step(MOVE_COUNTER, seen=seen, count=len(seqs)),
                step(NUMBER_ROWS, seen=seen, seqs=seqs),
            )
        )
        return 0 if moved is None else len(seqs)

    async def pending(self, limit: int = BATCH, *, behind: int = 0) -> list[Row]:
        """Return the next events numbered behind `behind`: whole rows of `outbox`, by number."""
        return await self._db.all(PENDING, limit=limit, behind=behind)

    async def delete(self, seqs: Sequence[int]) -> None:
        """Forget the events with these `seq`, which have been sent. Repeatable."""
        if seqs:
            await self._db.apply(step(DELETE, seqs=list(seqs)))

    async def backlog(self) -> Backlog:
        """Return what waits, numbered or not."""
        (row,) = await self._db.all(BACKLOG)
        oldest = row.oldest_at
        return Backlog(row["count"], None if oldest is None else from_micros(oldest))
