"""How the steps of a change become one PostgreSQL statement.

Each step is a data-modifying CTE; a step does nothing unless the required step before it hit:

    WITH s0 AS (UPDATE authenticators … RETURNING 1 AS hit),
         s1 AS (INSERT INTO outbox … SELECT … WHERE EXISTS (SELECT 1 FROM s0))
    SELECT * FROM s0

Where a later step can be refused after an earlier one has written, the final SELECT fails on
purpose, and PostgreSQL takes everything back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Delete,
    Insert,
    Select,
    Update,
    bindparam,
    exists,
    literal_column,
    select,
    table,
    type_coerce,
)
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import ColumnElement, Label

from shared.database.statement import Sql, Statement, Step, compiled

HIT = "hit"
REFUSED = "refused: a later condition of the change did not hold"
MAX_REMEMBERED = 1024
"""Shapes. Most are of the code; but some have as many steps as a person has things to be ended."""

Shape = tuple[tuple[Statement, bool], ...]
"""The statements of a chain, and whether each is required."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A composed change. Each step fills its own part of the placeholders."""

    text: str
    parts: tuple[Sql, ...]

    def arguments(self, steps: tuple[Step, ...]) -> list[object]:
        """Return the values of all steps in the order of the placeholders."""
        values: list[object] = []
        for part, step in zip(self.parts, steps, strict=True):
            values += part.arguments(step.params)
        return values


@lru_cache(MAX_REMEMBERED)  # whoever asks: a shape is the same text in every database
def compose(shape: Shape) -> Chain:
    """Return one statement that takes the steps of `shape` together or not at all.

    It returns the rows of the last required step, each with a column `hit`; none means refused.
    """
    parts: list[Sql] = []
    required: list[int] = []
    for index, (statement, is_required) in enumerate(shape):
        construct = statement.construct("postgresql")
        if required:
            construct = _guarded(construct, required[-1])
        if is_required:
            construct = _marked(construct)
            required.append(index)
        parts.append(compiled(construct, "postgresql"))
    return Chain(_with(parts) + _result(required), tuple(parts))


def _marked(construct: ClauseElement) -> ClauseElement:
    """Let `construct` return a column that shows that it changed something."""
    hit: Label[int] = literal_column("1").label(HIT)
    match construct:
        case Insert() | Update() | Delete():
            return construct.returning(hit)
        case Select():
            return construct.add_columns(hit)
    raise TypeError(f"a step cannot be {type(construct).__name__}")


def _guarded(construct: ClauseElement, earlier: int) -> ClauseElement:
    """Let `construct` do nothing unless step number `earlier` hit."""
    one: Select[Any] = select(literal_column("1"))
    hit = exists(one.select_from(table(f"s{earlier}")))
    match construct:
        case Insert(select=None):
            return _from_select(construct, hit)
        case Insert(select=Select() as source):
            guarded = construct._clone()  # noqa: SLF001
            guarded.select = source.where(hit)
            return guarded
        case Update() | Delete() | Select():
            return construct.where(hit)
    raise TypeError(f"a step cannot be {type(construct).__name__}")


def _from_select(insert: Insert, condition: ColumnElement[bool]) -> Insert:
    """Write `INSERT … VALUES (…)` as `INSERT … SELECT … WHERE condition`, the rest unchanged.

    SQLAlchemy has no public way to read an insert's values or to exchange them.
    """
    if insert._multi_values:  # noqa: SLF001
        raise TypeError("a step inserts one row; insert many from a select")
    values: Mapping[Any, Any] = insert._values or {  # noqa: SLF001
        name: bindparam(name)
        for name in insert.table.columns.keys()  # noqa: SIM118
    }
    columns = [insert.table.columns[c] if isinstance(c, str) else c for c in values]
    typed = [type_coerce(v, c.type) for v, c in zip(values.values(), columns, strict=True)]
    bare = insert._clone()  # noqa: SLF001
    bare._values = None  # noqa: SLF001
    return bare.from_select([c.key for c in columns], select(*typed).where(condition))


def _with(parts: list[Sql]) -> str:
    """Join the parts as CTEs, their placeholders numbered through."""
    tables, before = [], 0
    for index, part in enumerate(parts):
        tables.append(f"s{index} AS ({_renumbered(part.text, before)})")
        before += len(part.slots)
    return f"WITH {', '.join(tables)} "


def _renumbered(text: str, before: int) -> str:
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + before}", text)


def _result(required: list[int]) -> str:
    """Select what the last required step returned; fail if an earlier step must be undone."""
    if not required:
        return f"SELECT 1 AS {HIT}"
    last = f"s{required[-1]}"
    if required == [0]:
        return f"SELECT * FROM {last}"  # noqa: S608
    # Nothing has been written if the very first step was refused: no row then, and no error.
    # The cast is on the outcome of the CASE, so that it is not computed ahead of time.
    start = "s0" if required[0] == 0 else "(SELECT 1) AS start"
    verdict = f"CAST(CASE WHEN {last}.{HIT} IS NULL THEN '{REFUSED}' ELSE '1' END AS integer)"
    return f"SELECT {last}.* FROM {start} LEFT JOIN {last} ON true WHERE {verdict} = 1"  # noqa: S608
