"""Many rows as one value, so that a batch of any size is the same prepared statement.

What is text or a number is in a JSON array of rows. What is bytes is in one value beside it, and a
row says where: `<column>_at`, from 1, and `<column>_size`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from shared.database import Statement


class Batch:
    """Rows for one table, as the values that its statement takes."""

    def __init__(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        raw = bytearray()
        columns = [column_.name for column_ in table.columns if _is_bytes(column_)]
        self._rows = [_packed(row, columns, raw) for row in rows]
        self._raw = bytes(raw) if columns else None

    def named(self, name: str) -> dict[str, object]:
        """Return the values for a statement that knows the batch as `name`."""
        values: dict[str, object] = {f"{name}_rows": orjson.dumps(self._rows).decode()}
        return values if self._raw is None else {**values, f"{name}_raw": self._raw}


def insertion(table: Table, name: str) -> Statement:
    """Return the insertion of a batch, known as `name`, into `table`."""
    names = [column_.name for column_ in table.columns]
    return Statement(
        postgresql=table.insert().from_select(names, rows_on_postgresql(table, name)),
        sqlite=table.insert().from_select(names, rows_on_sqlite(table, name)),
    )


def rows_on_postgresql(table: Table, name: str) -> Select[*tuple[Any, ...]]:
    """Return the rows of a batch."""
    rows = (
        func.json_to_recordset(cast(bindparam(f"{name}_rows", type_=Text), JSON))
        .table_valued(*(column(*member) for c in table.columns for member in _members(c)))
        .render_derived(f"{name}_batch", with_types=True)
    )
    return select(*(_value(c, name, lambda member, _: rows.c[member]) for c in table.columns))


def rows_on_sqlite(table: Table, name: str) -> Select[*tuple[Any, ...]]:
    """Return the rows of a batch. The condition keeps an ON CONFLICT behind from being a join's."""
    rows = func.json_each(bindparam(f"{name}_rows", type_=Text))
    values = (_value(c, name, _extracted) for c in table.columns)
    return select(*values).select_from(rows).where(true())


def _packed(row: Mapping[str, object], columns: Sequence[str], raw: bytearray) -> dict[str, object]:
    """Return a row for JSON; what it has in `columns`, which are of bytes, is added to `raw`."""
    packed = dict(row)
    for name in columns:
        value = packed[name]
        if isinstance(value, bytes):
            del packed[name]
            packed[f"{name}_at"], packed[f"{name}_size"] = len(raw) + 1, len(value)
            raw += value
    return packed


def _members(column_: Column[Any]) -> list[tuple[str, TypeEngine[Any]]]:
    """Return what a row has of a column."""
    if _is_bytes(column_):
        return [(f"{column_.name}_at", Integer()), (f"{column_.name}_size", Integer())]
    return [(column_.name, column_.type)]


def _value(
    column_: Column[Any], name: str, member: Callable[[str, TypeEngine[Any]], ColumnElement[Any]]
) -> ColumnElement[Any]:
    parts = [member(*part) for part in _members(column_)]
    if not _is_bytes(column_):
        return parts[0]
    return func.substr(bindparam(f"{name}_raw", type_=LargeBinary), *parts)


def _extracted(member: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    return literal_column(f"json_extract(value, '$.{member}')", type_)


def _is_bytes(column_: Column[Any]) -> bool:
    return isinstance(column_.type, LargeBinary)
