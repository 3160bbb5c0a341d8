"""How an event is written beside the change that it tells of: as a row of the outbox."""

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    bindparam,
    select,
    union_all,
)

from shared import context
from shared.clock import to_micros
from shared.database.statement import Statement, Step
from shared.event import Event


def outbox_tables(metadata: MetaData) -> tuple[Table, Table]:
    """Add `outbox`, whose rows wait to be sent, and `outbox_source`, whose one row numbers them.

    `number` is null until the relay has numbered the row; `occurred_at` is in microseconds.
    """
    number = Column("number", BigInteger)
    outbox = Table(
        "outbox",
        metadata,
        Column(
            "seq",
            BigInteger().with_variant(Integer, "sqlite"),
            primary_key=True,
        ),
        Column("id", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("occurred_at", BigInteger, nullable=False),
        Column("subject", Text),
        Column("data", Text, nullable=False),
        Column("context", Text, nullable=False),
        number,
        Index(
            "outbox_number",
            number,
            unique=True,
            postgresql_where=number.is_not(None),
            sqlite_where=number.is_not(None),
        ),
    )
    source = Table(
        "outbox_source",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False),
        Column("last_number", BigInteger, nullable=False),
    )
    return outbox, source


OUTBOX, OUTBOX_SOURCE = outbox_tables(MetaData())

# What it encodes is flat, or nearly: to look out for circles would take as long as to encode it.
_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def recording(events: Sequence[Event], now: datetime) -> Step:
    """Return the step that puts `events` into the outbox, with the context of the request."""
    here = context.current()
    occurred_at = to_micros(now)
    params: dict[str, object] = {
        "occurred_at": occurred_at,
        "context": "{}" if here is None else _compact(vars(here)),
    }
    for place, event in enumerate(events):
        params[f"id_{place}"] = _new_id(occurred_at)
        params[f"type_{place}"] = event.type
        params[f"subject_{place}"] = event.user_id
        params[f"data_{place}"] = _compact(event.data)
    return Step(_insertion(len(events)), params, required=False)


@cache
def _insertion(count: int) -> Statement:
    """Return the insertion of `count` events at once, which get their `seq` in that order.

    Steps of their own would not: PostgreSQL runs those that nothing depends on from the last to
    the first. There it is a select, which a condition can be added to; SQLite takes plain rows
    in half the time.
    """
    rows = [_row(place) for place in range(count)]
    selected = union_all(
        *(select(*(bind.label(name) for name, bind in row.items())) for row in rows)
    ).subquery("rows")
    return Statement(
        postgresql=OUTBOX.insert().from_select(selected.columns.keys(), select(selected)),
        sqlite=OUTBOX.insert().values(rows),
    )


def _row(place: int) -> dict[str, BindParameter[Any]]:
    binds = {
        "id": f"id_{place}",
        "type": f"type_{place}",
        "occurred_at": "occurred_at",
        "subject": f"subject_{place}",
        "data": f"data_{place}",
        "context": "context",
    }
    return {name: bindparam(bind, type_=OUTBOX.c[name].type) for name, bind in binds.items()}


def _new_id(micros: int) -> str:
    """Return a UUID 7 (RFC 9562 section 5.7) in hex: it grows with time, so indexes stay dense."""
    random = secrets.randbits(74)
    high, low = random >> 62, random & (1 << 62) - 1
    return f"{micros // 1000 << 80 | 7 << 76 | high << 64 | 2 << 62 | low:032x}"


def _compact(facts: dict[str, object]) -> str:
    present = {name: value for name, value in facts.items() if value is not None}
    return _JSON.encode(present)
