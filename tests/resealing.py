"""What tests of resealing have in common: rings that are turned, and others who write meanwhile."""

import json
from collections.abc import Awaitable, Callable

from sqlalchemy import select

from shared.cipher import KeyRing
from shared.database import Database, Row, Statement
from shared.database.events import OUTBOX

OLD = KeyRing(primary="k1", keys={"k1": bytes(32)})
TURNED = KeyRing(primary="k2", keys={"k2": b"2" * 32, "k1": bytes(32)})
NEW = KeyRing(primary="k2", keys={"k2": b"2" * 32})

_EVENTS = Statement(select(OUTBOX.c.type, OUTBOX.c.data).order_by(OUTBOX.c.seq))


class Interrupted(Database):
    """The same database, for somebody whom others forestall: once, between a read and a write."""

    def __init__(self, db: Database, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self.__dict__.update(db.__dict__)
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def all(self, statement: Statement, /, **params: object) -> list[Row]:
        """Read, and let something happen after the first read that finds anything."""
        rows = await super().all(statement, **params)
        if rows and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return rows


async def told(db: Database) -> list[tuple[str, dict[str, object]]]:
    """Return what is on record of resealing: what happened, and its data."""
    rows = [row for row in await db.all(_EVENTS) if ".reseal" in row.type]
    return [(row.type.rpartition(".")[2], json.loads(row.data)) for row in rows]


def on_record(resealed: int, left: int = 0) -> list[tuple[str, dict[str, object]]]:
    """Return what is on record of one run that had something to do."""
    return [
        ("resealing_started", {"key": "k2"}),
        ("resealed", {"key": "k2", "resealed": resealed, "left": left}),
    ]
