"""What is owed and late: mails, registers and erasures, counted all at once."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Subquery, bindparam, func, literal_column, or_, select, true

from services.session.store.rows import moment
from services.session.store.tables import erasures, mails, users
from shared.clock import to_micros
from shared.database import Database, Statement


def _late_mails() -> Subquery:
    first_due_at = func.coalesce(mails.c.first_due_at, mails.c.created_at)
    return (
        select(func.count().label("mails"), func.min(first_due_at).label("oldest_mail"))
        .select_from(mails)
        .where(
            or_(
                mails.c.attempts > literal_column("0"),  # no parameter: so says the index
                mails.c.due_at <= bindparam("now", type_=BigInteger()),
            )
        )
        .subquery()
    )


def _dirty_registers() -> Subquery:
    marked_before = bindparam("marked_before", type_=BigInteger())
    return (
        select(func.count().label("registers"))
        .select_from(users)
        .where(users.c.register_marked_at <= marked_before)
        .subquery()
    )


def _erasures() -> Subquery:
    oldest = func.min(erasures.c.created_at)
    return (
        select(func.count().label("erasures"), oldest.label("oldest_erasure"))
        .select_from(erasures)
        .subquery()
    )


# One row each.
_mails, _registers, _people = _late_mails(), _dirty_registers(), _erasures()

ARREARS = Statement(
    select(*_mails.c, *_registers.c, *_people.c).select_from(
        _mails.join(_registers, true()).join(_people, true())
    )
)


@dataclass(frozen=True, kw_only=True)
class Arrears:
    """How much is late, and since when the oldest of it; None where nothing is."""

    mails: int
    oldest_mail: datetime | None
    registers: int
    erasures: int
    oldest_erasure: datetime | None


class ArrearsStore:
    """Counts what is late, by one statement."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, now: datetime, *, marked_before: datetime) -> Arrears:
        """Return what is late `now`.

        That is every mail that should have been sent by now or has failed before, every register
        that has been dirty since `marked_before`, and everybody who is yet to be forgotten.
        """
        (row,) = await self._db.all(
            ARREARS, now=to_micros(now), marked_before=to_micros(marked_before)
        )
        return Arrears(
            mails=row.mails,
            oldest_mail=moment(row.oldest_mail),
            registers=row.registers,
            erasures=row.erasures,
            oldest_erasure=moment(row.oldest_erasure),
        )
