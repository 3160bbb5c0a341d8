"""Which reports of other services have been taken in, so that nobody is told twice."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, delete, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from services.session.domain.reports import Report
from services.session.store.tables import reports, users
from shared.clock import to_micros
from shared.database import Database, Statement, Step, step

REMEMBERED = timedelta(days=90)  # for longer than a broker keeps what it has handed out


def _insert(insert: Any) -> Any:
    values = {c.name: bindparam(c.name, type_=c.type) for c in reports.c}
    return insert(reports).values(**values).on_conflict_do_nothing()


TAKE_IN = Statement(postgresql=_insert(postgresql.insert), sqlite=_insert(sqlite.insert))

# Locked, so that a deletion at the same moment comes either before or after.
LIVES = Statement(
    select(literal(1).label("lives"))
    .select_from(users)
    .where(users.c.id == bindparam("id", type_=Text()), users.c.deleted_at.is_(None))
    .with_for_update()
)

DELETE_OLD = Statement(
    delete(reports).where(reports.c.taken_at <= bindparam("before", type_=BigInteger()))
)


class ReportStore:
    """The ids of reports, for as long as they may come again."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def take_in(self, report: Report, now: datetime) -> Step:
        """Remember a report; refuse if it was taken in before."""
        return step(TAKE_IN, source=report.source, id=report.id, taken_at=to_micros(now))

    def lives(self, user_id: str) -> Step:
        """Refuse if the person has been deleted."""
        return step(LIVES, id=user_id)

    async def delete_old(self, now: datetime) -> None:
        """Forget the reports that cannot come again."""
        await self._db.apply(step(DELETE_OLD, before=to_micros(now - REMEMBERED)))
