"""Where the ledger is kept. Every statement of the service is here."""

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Insert,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
)

from services.audit.domain import Entry, Fact
from shared.clock import from_micros, to_micros
from shared.database import Bell, Database, Row, Statement, step

metadata = MetaData()

ledger = Table(
    "ledger",
    metadata,
    Column(
        "entry",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),  # microseconds
    Column("received_at", BigInteger, nullable=False),  # microseconds
    Column("subject", Text),
    Column("event", Text, nullable=False),
    Index("ledger_id", "id", unique=True),
    Index("ledger_source_number", "source", "number"),
)

HEAD = Statement(select(func.coalesce(func.max(ledger.c.entry), 0).label("head")))

KNOWN = Statement(select(ledger.c.id).where(ledger.c.id.in_(bindparam("ids"))))

AFTER = Statement(
    select(ledger)
    .where(ledger.c.entry > bindparam("entry"))
    .order_by(ledger.c.entry)
    .limit(bindparam("limit", type_=Integer))
)


def _append(rows: Select[*tuple[Any, ...]]) -> Insert:
    return ledger.insert().from_select([c.name for c in ledger.columns], rows)


# A batch is one value, a JSON array: so a batch of any size is the same prepared statement.
APPEND = Statement(
    postgresql=_append(
        select(
            func.json_to_recordset(cast(bindparam("entries", type_=Text), JSON))
            .table_valued(*(column(c.name, c.type) for c in ledger.columns))
            .render_derived("entries", with_types=True)
        )
    ),
    sqlite=_append(
        select(
            *(literal_column(f"json_extract(value, '$.{c.name}')") for c in ledger.columns)
        ).select_from(func.json_each(bindparam("entries", type_=Text)))
    ),
)


class LedgerStore:
    """The ledger's table: entries are added behind the last one, and read in order."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def head(self) -> int:
        """Return the number of the newest entry, or 0."""
        row = await self._db.find(HEAD)
        return int(row.head) if row is not None else 0

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that are in the ledger."""
        return {row.id for row in await self._db.all(KNOWN, ids=list(ids))}

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add `entries`, all or none. Raises Conflict if a number or an id is taken."""
        await self._db.apply(step(APPEND, entries=json.dumps([_to_row(e) for e in entries])))

    def growth(self) -> AbstractAsyncContextManager[Bell]:
        """Yield a bell that rings when entries have been added, by any process."""
        return self._db.listen("ledger")

    async def after(self, number: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries behind entry `number`, in order."""
        return [_from_row(row) for row in await self._db.all(AFTER, entry=number, limit=limit)]


def _to_row(entry: Entry) -> dict[str, object]:
    fact = entry.fact
    return {
        "entry": entry.number,
        "id": fact.id,
        "type": fact.type,
        "source": fact.source,
        "number": fact.number,
        "occurred_at": to_micros(fact.occurred_at),
        "received_at": to_micros(entry.received_at),
        "subject": fact.subject,
        "event": fact.text,
    }


def _from_row(row: Row) -> Entry:
    return Entry(
        number=row.entry,
        received_at=from_micros(row.received_at),
        fact=Fact(
            id=row.id,
            type=row.type,
            source=row.source,
            number=row.number,
            occurred_at=from_micros(row.occurred_at),
            subject=row.subject,
            text=row.event,
        ),
    )
