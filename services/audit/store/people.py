"""The key of each person, under which what is personal is sealed. Without it, nobody reads that."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import bindparam, null, select
from sqlalchemy.dialects import postgresql, sqlite

from services.audit.store.batches import Batch, insertion
from services.audit.store.tables import people
from shared.cipher import CannotOpen, Cipher
from shared.clock import to_micros
from shared.database import Database, Statement, Step, also, step
from shared.event import Event
from shared.resealing import Shelf, shelf

log = structlog.stdlib.get_logger(__name__)

PURPOSE = "audit.person"

KEYS = Statement(
    select(people.c.subject, people.c.sealed_key).where(people.c.subject.in_(bindparam("subjects")))
)

ADD_KEYS = insertion(people, "people")


def _forget(insert: Any) -> Any:
    forgetting = insert.values(sealed_key=null())
    return forgetting.on_conflict_do_update(
        index_elements=[people.c.subject],
        set_={"sealed_key": null(), "forgotten_at": forgetting.excluded.forgotten_at},
        where=people.c.forgotten_at.is_(None),
    )


_VALUES: dict[str, Any] = {
    "subject": bindparam("subject"),
    "made_at": bindparam("now"),
    "forgotten_at": bindparam("now"),
}
FORGET = Statement(
    postgresql=_forget(postgresql.insert(people).values(_VALUES)),
    sqlite=_forget(sqlite.insert(people).values(_VALUES)),
)


@dataclass(frozen=True)
class NewKey:
    """The key of somebody who has none so far, sealed."""

    subject: str
    sealed_key: bytes = field(repr=False)
    made_at: datetime


def adding(keys: Sequence[NewKey]) -> list[Step]:
    """Return the step that adds keys, if there are any."""
    if not keys:
        return []
    rows: list[dict[str, object]] = [
        {
            "subject": key.subject,
            "sealed_key": key.sealed_key,
            "made_at": to_micros(key.made_at),
            "forgotten_at": None,
        }
        for key in keys
    ]
    return [also(ADD_KEYS, **Batch(people, rows).named("people"))]


class PeopleStore:
    """The keys of people, opened when they are needed and kept nowhere else."""

    def __init__(self, db: Database, cipher: Cipher) -> None:
        self._db = db
        self._cipher = cipher

    async def keys(self, subjects: Sequence[str]) -> dict[str, bytes | None]:
        """Return the key of each of `subjects` who has ever had one; None of who is forgotten.

        Raises CannotOpen if one does not open: then nothing can be sealed under it.
        """
        rows = await self._db.all(KEYS, subjects=list(subjects))
        return {row.subject: self._open(row.subject, row.sealed_key) for row in rows}

    async def readable(self, subjects: Sequence[str]) -> dict[str, bytes]:
        """Return the keys that there are and that open: one that does not hides what is its own."""
        found: dict[str, bytes] = {}
        for row in await self._db.all(KEYS, subjects=list(subjects)):
            try:
                key = self._open(row.subject, row.sealed_key)
            except CannotOpen as error:
                log.error("key_not_opened", reason=error.detail)  # noqa: TRY400
                continue
            if key is not None:
                found[row.subject] = key
        return found

    def sealed(self, subject: str, key: bytes, now: datetime) -> NewKey:
        """Return a new key as it is kept."""
        return NewKey(subject, self._cipher.seal(key, bound_to=_place(subject)), now)

    async def forget(self, subject: str, now: datetime, event: Event) -> bool:
        """Destroy the key of a person, and let them never have another. False if it is done."""
        row = await self._db.apply(step(FORGET, subject=subject, now=to_micros(now)), event)
        return row is not None

    def _open(self, subject: str, sealed: bytes | None) -> bytes | None:
        return None if sealed is None else self._cipher.open(sealed, bound_to=_place(subject))


def sealed_keys() -> Shelf:
    """Return the keys of people, and of nobody, as values that lie sealed."""
    return shelf(people.c.sealed_key, lambda row: _place(row.subject))


def _place(subject: str) -> tuple[str, ...]:
    return ("audit", "people", "sealed_key", subject)
