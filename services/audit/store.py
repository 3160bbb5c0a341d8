"""Where the ledger is kept. Every statement of the service is here."""

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
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
    SmallInteger,
    Table,
    TableValuedAlias,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.audit.domain import Entry, Fact, Place
from shared.clock import from_micros, to_micros
from shared.database import Bell, Change, Database, Row, Statement, also, step

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
    Column("redacted", SmallInteger, nullable=False, server_default="0"),
    Index("ledger_id", "id", unique=True),
    Index("ledger_source_number", "source", "number"),
    Index("ledger_subject", "subject"),
)

forgotten = Table(
    "forgotten",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("forgotten_at", BigInteger, nullable=False),  # microseconds
)

# One row. Whoever forgets somebody passes it alone; whoever adds entries, with others.
gate = Table(
    "gate",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("passed", BigInteger, nullable=False),
)

STRIPPED_AT_ONCE = 500  # entries

HEAD = Statement(
    select(
        func.coalesce(func.max(ledger.c.entry), 0).label("head"),
        select(gate.c.passed).scalar_subquery().label("forgettings"),
    )
)

KNOWN = Statement(select(ledger.c.id).where(ledger.c.id.in_(bindparam("ids"))))

AFTER = Statement(
    select(ledger)
    .where(ledger.c.entry > bindparam("entry"))
    .order_by(ledger.c.entry)
    .limit(bindparam("limit", type_=Integer))
)


# A batch is one value, a JSON array: so a batch of any size is the same prepared statement.


def _rows(*columns: Column[Any]) -> TableValuedAlias:
    """Return the rows of a batch, on PostgreSQL."""
    return (
        func.json_to_recordset(cast(bindparam("entries", type_=Text), JSON))
        .table_valued(*(column(c.name, c.type) for c in columns))
        .render_derived("entries", with_types=True)
    )


def _append(rows: Select[*tuple[Any, ...]]) -> Insert:
    return ledger.insert().from_select([c.name for c in ledger.columns], rows)


APPEND = Statement(
    postgresql=_append(select(_rows(*ledger.columns))),
    sqlite=_append(
        select(
            *(literal_column(f"json_extract(value, '$.{c.name}')") for c in ledger.columns)
        ).select_from(func.json_each(bindparam("entries", type_=Text)))
    ),
)

# Holds the row until the entries are there: a forgetting that begins meanwhile waits for them, and
# one that has ended in between is noticed.
NOBODY_FORGOTTEN_SINCE = Statement(
    select(literal(1).label("open"))
    .select_from(gate)
    .where(gate.c.passed == bindparam("forgettings", type_=BigInteger))
    .with_for_update(read=True)
)

FORGOTTEN = Statement(
    select(forgotten.c.subject).where(forgotten.c.subject.in_(bindparam("subjects")))
)

PASS_GATE = Statement(update(gate).values(passed=gate.c.passed + 1))


def _forget(insert: Any) -> Any:
    return insert(forgotten).on_conflict_do_nothing()


FORGET = Statement(postgresql=_forget(postgresql.insert), sqlite=_forget(sqlite.insert))

TO_BE_STRIPPED = Statement(
    select(ledger)
    .where(ledger.c.subject == bindparam("subject", type_=Text), ledger.c.redacted == literal(0))
    .order_by(ledger.c.entry)
    .limit(STRIPPED_AT_ONCE)
)


def _strip_on_postgresql() -> Update:
    stripped = _rows(ledger.c.entry, ledger.c.event)
    return (
        update(ledger)
        .where(ledger.c.entry == stripped.c.entry)
        .values(event=stripped.c.event, redacted=literal(1))
    )


def _strip_on_sqlite() -> Update:
    stripped = (
        select(
            literal_column("json_extract(value, '$.entry')", Integer).label("entry"),
            literal_column("json_extract(value, '$.event')", Text).label("event"),
        )
        .select_from(func.json_each(bindparam("entries", type_=Text)))
        .subquery("stripped")
    )
    return (
        update(ledger)
        .where(ledger.c.entry == stripped.c.entry)
        .values(event=stripped.c.event, redacted=literal(1))
    )


STRIP = Statement(postgresql=_strip_on_postgresql(), sqlite=_strip_on_sqlite())


class LedgerStore:
    """The ledger's table: entries are added behind the last one, and read in order."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def head(self) -> int:
        """Return the number of the newest entry, or 0."""
        return (await self.place()).head

    async def place(self) -> Place:
        """Return behind which entry the next ones come, and how often somebody was forgotten."""
        row = await self._db.find(HEAD)
        if row is None:
            raise TypeError("the query has a row whatever the tables hold")
        return Place(head=int(row.head), forgettings=int(row.forgettings))

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that are in the ledger."""
        return {row.id for row in await self._db.all(KNOWN, ids=list(ids))}

    async def forgotten(self, subjects: Sequence[str]) -> set[str]:
        """Return those of `subjects` who are forgotten."""
        rows = await self._db.all(FORGOTTEN, subjects=list(subjects))
        return {row.subject for row in rows}

    async def append(self, entries: Sequence[Entry], *, forgettings: int) -> bool:
        """Add `entries`, all or none. Raises Conflict if a number or an id is taken.

        False, and nothing added, if somebody was forgotten since there were that many
        `forgettings`: it may be somebody whom the entries are about.
        """
        rows = json.dumps([_to_row(entry) for entry in entries])
        appended = await self._db.apply(
            Change(
                step(NOBODY_FORGOTTEN_SINCE, forgettings=forgettings),
                also(APPEND, entries=rows),
            )
        )
        return appended is not None

    async def forget(self, subject: str, now: datetime) -> None:
        """Remember that a person is forgotten. What is added from now on is added knowing it."""
        await self._db.apply(
            Change(step(PASS_GATE), also(FORGET, subject=subject, forgotten_at=to_micros(now)))
        )

    async def to_be_stripped(self, subject: str) -> list[Entry]:
        """Return entries about a person that were not stripped, not all of them at once."""
        return [_from_row(row) for row in await self._db.all(TO_BE_STRIPPED, subject=subject)]

    async def strip(self, entries: Sequence[Entry]) -> None:
        """Write the events of `entries`, which are in the ledger and were stripped."""
        rows = [{"entry": entry.number, "event": entry.fact.text} for entry in entries]
        await self._db.apply(step(STRIP, entries=json.dumps(rows)))

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
        "redacted": int(fact.redacted),
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
            redacted=bool(row.redacted),
        ),
    )
