"""What a store says: statements built once, and changes made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import (
    ARRAY,
    BinaryExpression,
    BindParameter,
    Insert,
    Select,
    Text,
    all_,
    any_,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, operators, visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

DialectName = Literal["postgresql", "sqlite"]

_DIALECTS: dict[DialectName, Dialect] = {
    "postgresql": PGDialect_asyncpg(),  # type: ignore[no-untyped-call]
    "sqlite": SQLiteDialect_pysqlite(),
}


class Row(dict[str, Any]):
    """One row, by column name: `row["id"]` or `row.id`. Always true, even without a column."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __bool__(self) -> bool:
        return True


class Statement:
    """A SQLAlchemy Core construct, compiled once per dialect and from then on only text.

    Every value is a `bindparam`; a list for `column.in_(bindparam("ids"))` is one value, so that
    its length does not make another statement. An insert without `values` takes every column of
    its table. Column defaults on the Python side do not apply.
    """

    def __init__(
        self,
        construct: ClauseElement | None = None,
        /,
        *,
        postgresql: ClauseElement | None = None,
        sqlite: ClauseElement | None = None,
    ) -> None:
        self._constructs: dict[DialectName, ClauseElement | None] = {
            "postgresql": construct if postgresql is None else postgresql,
            "sqlite": construct if sqlite is None else sqlite,
        }
        if None in self._constructs.values():
            raise TypeError("a statement needs a form for each dialect")
        self._compiled: dict[DialectName, Sql] = {}

    def construct(self, dialect: DialectName) -> ClauseElement:
        """Return what `dialect` is to run."""
        return cast("ClauseElement", self._constructs[dialect])

    def sql(self, dialect: DialectName) -> "Sql":
        """Return the text for `dialect`, compiled at the first call."""
        sql = self._compiled.get(dialect)
        if sql is None:
            sql = self._compiled[dialect] = compiled(self.construct(dialect), dialect)
        return sql


@dataclass(frozen=True, slots=True)
class Step:
    """A statement with its values, as a part of a change."""

    statement: Statement
    params: Mapping[str, object]
    required: bool = True


def step(statement: Statement, /, **params: object) -> Step:
    """Return a step that must change a row, or the change is refused."""
    return Step(statement, params)


def also(statement: Statement, /, **params: object) -> Step:
    """Return a step that is taken along and may find nothing to change."""
    return Step(statement, params, required=False)


@dataclass(frozen=True, slots=True, init=False)
class Change:
    """Steps that are written together or not at all."""

    steps: tuple[Step, ...]

    def __init__(self, *steps: Step) -> None:
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is part of the statement itself."""

    value: object


@dataclass(frozen=True, slots=True)
class Sql:
    """Text for a driver. `slots` has, in the order of the placeholders, what fills them."""

    text: str
    slots: tuple[str | Constant, ...]
    names: frozenset[str]

    def arguments(self, params: Mapping[str, object]) -> list[object]:
        """Return the values in the driver's order. TypeError unless `params` fit exactly."""
        # Every name has a slot: if none is missing, and they are as many, they are the same.
        try:
            values = [params[s] if isinstance(s, str) else s.value for s in self.slots]
        except KeyError:
            values = None
        if values is not None and len(params) == len(self.names):
            return values
        raise TypeError(f"the statement takes {sorted(self.names)}, not {sorted(params)}")


def compiled(construct: ClauseElement, dialect: DialectName) -> Sql:
    """Return `construct` as text for `dialect`."""
    traversed = visitors.replacement_traverse(construct, {}, _LISTS[dialect])
    prepared = cast("ClauseElement", traversed)
    if isinstance(prepared, Insert):
        prepared = prepared.inline()  # or SQLAlchemy adds a RETURNING of its own
    compiler = prepared.compile(dialect=_DIALECTS[dialect])
    if not isinstance(compiler, SQLCompiler):
        raise TypeError(f"a statement cannot be {type(construct).__name__}")
    slots = tuple(
        name if _is_open(compiler.binds[name]) else Constant(compiler.params[name])
        for name in compiler.positiontup or ()
    )
    names = frozenset(slot for slot in slots if isinstance(slot, str))
    return Sql(str(compiler), slots, names)


def _is_open(bind: BindParameter[Any]) -> bool:
    return not bind.unique and bind.value is None


def _list_of(element: object) -> tuple[ColumnElement[Any], BindParameter[Any], bool] | None:
    """Take `column IN :list` apart; the last says whether it was NOT IN."""
    if not isinstance(element, BinaryExpression) or not isinstance(element.right, BindParameter):
        return None
    if element.operator not in (operators.in_op, operators.not_in_op):
        return None
    return element.left, element.right, element.operator is operators.not_in_op


def _postgresql_list(element: Any, **_: Any) -> ColumnElement[bool] | None:
    """Write `column IN :list` as `column = ANY(:array)`."""
    match _list_of(element):
        case (left, right, negated):
            array = _retyped(right, ARRAY(left.type))
            return left != all_(array) if negated else left == any_(array)
        case None:
            return None


def _sqlite_list(element: Any, **_: Any) -> ColumnElement[bool] | None:
    """Write `column IN :list` as a look into a JSON array."""
    match _list_of(element):
        case (left, right, negated):
            array = func.json_each(_retyped(right, Text()))
            members: Select[Any] = select(column("value")).select_from(array)
            return left.not_in(members) if negated else left.in_(members)
        case None:
            return None


def _retyped(bind: BindParameter[Any], type_: TypeEngine[Any]) -> BindParameter[Any]:
    return bindparam(bind.key, bind.value, type_=type_, unique=bind.unique, required=bind.required)


_LISTS = {"postgresql": _postgresql_list, "sqlite": _sqlite_list}
