"""The statements by which entries are read, one for each set of what a reader wants."""

from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select

from services.audit.domain.reading import Wanted
from services.audit.store.tables import entries
from shared.clock import to_micros
from shared.database import Statement

ESCAPE = "\\"

_CONDITIONS = {
    "user": entries.c.subject == bindparam("user"),
    "type": entries.c.type == bindparam("type"),
    "pattern": entries.c.type.like(bindparam("pattern"), escape=ESCAPE),
    "outcome": entries.c.outcome == bindparam("outcome"),
    "since": entries.c.occurred_at >= bindparam("since"),
    "until": entries.c.occurred_at < bindparam("until"),
}


def conditions(wanted: Wanted) -> dict[str, object]:
    """Return what is asked for, by name: those that `after` and `before` are to be made with."""
    found: dict[str, object] = {}
    if wanted.user is not None:
        found["user"] = wanted.user
    if wanted.type is not None and "*" in wanted.type:
        escaped = wanted.type.replace(ESCAPE, ESCAPE * 2).replace("%", r"\%").replace("_", r"\_")
        found["pattern"] = escaped.replace("*", "%")
    elif wanted.type is not None:
        found["type"] = wanted.type
    if wanted.outcome is not None:
        found["outcome"] = str(wanted.outcome)
    if wanted.since is not None:
        found["since"] = to_micros(wanted.since)
    if wanted.until is not None:
        found["until"] = to_micros(wanted.until)
    return found


@cache
def after(names: frozenset[str]) -> Statement:
    """Return the question for entries behind `entry` up to `last`, in order."""
    behind = entries.c.entry > bindparam("entry"), entries.c.entry <= bindparam("last")
    return Statement(_matching(names).where(*behind).order_by(entries.c.entry))


@cache
def before(names: frozenset[str]) -> Statement:
    """Return the question for entries before `entry`, the newest first."""
    earlier = _matching(names).where(entries.c.entry < bindparam("entry"))
    return Statement(earlier.order_by(entries.c.entry.desc()))


def _matching(names: frozenset[str]) -> Select[*tuple[Any, ...]]:
    wanted = (_CONDITIONS[name] for name in sorted(names))
    return select(entries).where(*wanted).limit(bindparam("limit", type_=Integer))
