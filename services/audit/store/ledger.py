"""Entries and their leaves: added behind the last one, read in order, never changed."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    bindparam,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.audit.domain.coverage import Coverage
from services.audit.domain.entries import Entry, Growth, Leaf
from services.audit.domain.facts import Arrival
from services.audit.domain.merkle import Frontier, Node, complete_nodes, kept_with
from services.audit.domain.reading import EVERYTHING, Wanted
from services.audit.domain.verification import Kept
from services.audit.store import feed, people
from services.audit.store.batches import Batch, insertion, rows_on_postgresql, rows_on_sqlite
from services.audit.store.rows import (
    from_coverage,
    from_entry,
    from_leaf,
    to_arrival,
    to_coverage,
    to_entry,
    to_leaf,
)
from services.audit.store.tables import entries, leaves, sources, unsealed
from shared.clock import EPOCH, from_micros, to_micros
from shared.database import Bell, Change, Database, Statement, also, step
from shared.errors import Unavailable
from shared.event import Event

AT_ONCE = 500  # entries

HEAD = Statement(select(func.coalesce(func.max(leaves.c.entry), 0).label("head")))

# Of an event that has come before, the time is the same: only those months are looked into.
KNOWN = Statement(
    select(entries.c.id).where(
        entries.c.id.in_(bindparam("ids")),
        entries.c.occurred_at >= bindparam("first"),
        entries.c.occurred_at <= bindparam("last"),
    )
)

LEAVES = Statement(select(leaves).where(leaves.c.entry.in_(bindparam("numbers"))))

COVERAGE = Statement(select(sources).order_by(sources.c.source))

ADD_LEAVES = insertion(leaves, "leaves")
ADD_ENTRIES = insertion(entries, "entries")


def _count(insert: Any, rows: Any) -> Any:
    counted = insert.from_select([c.name for c in sources.columns], rows)
    return counted.on_conflict_do_update(
        index_elements=[sources.c.source],
        set_={name: counted.excluded[name] for name in ("last", "gaps", "repeated")},
    )


COUNT = Statement(
    postgresql=_count(postgresql.insert(sources), rows_on_postgresql(sources, "sources")),
    sqlite=_count(sqlite.insert(sources), rows_on_sqlite(sources, "sources")),
)

SINCE = Statement(
    postgresql=select(func.ledger_since(type_=BigInteger).label("since")),
    sqlite=select(literal(None, BigInteger).label("since")),
)
MAKE_ROOM = Statement(
    postgresql=select(func.ledger_make_room(bindparam("moment", type_=BigInteger))),
    sqlite=select(bindparam("moment", type_=BigInteger)),
)

_BETWEEN = (bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger))
ENTRIES_BETWEEN = Statement(
    select(entries)
    .where(entries.c.entry.between(*_BETWEEN))
    .order_by(entries.c.entry, entries.c.occurred_at)
)
LEAVES_BETWEEN = Statement(
    select(leaves).where(leaves.c.entry.between(*_BETWEEN)).order_by(leaves.c.entry)
)
LAST_ENTRY = Statement(select(func.coalesce(func.max(entries.c.entry), 0).label("last")))

UNSEALED = Statement(select(unsealed).order_by(unsealed.c.entry).limit(AT_ONCE))
DELETE_UNSEALED = Statement(delete(unsealed).where(unsealed.c.id.in_(bindparam("ids"))))

OLDEST = Statement(
    select(entries.c.type, func.min(entries.c.occurred_at).label("oldest"))
    .where(entries.c.event.is_not(None))
    .group_by(entries.c.type)
)
NEWEST_OF_TYPE = Statement(
    select(entries)
    .where(entries.c.type == bindparam("type"))
    .order_by(entries.c.entry.desc())
    .limit(bindparam("limit", type_=Integer))
)

_due = (
    select(entries.c.entry)
    .where(
        entries.c.type == bindparam("type", type_=Text),
        entries.c.occurred_at < bindparam("before", type_=BigInteger),
        entries.c.event.is_not(None),
    )
    .limit(AT_ONCE)
)
DROP_EVENTS = Statement(
    postgresql=select(
        func.ledger_drop_events(
            bindparam("type", type_=Text),
            bindparam("before", type_=BigInteger),
            literal(AT_ONCE, Integer),
            type_=BigInteger,
        ).label("dropped")
    ),
    sqlite=update(entries)
    .where(entries.c.entry.in_(_due.scalar_subquery()))
    .values(event=None, subject=None),
)


class Damaged(Unavailable):
    """Somebody has been at the tree: `countersign audit verify` says where."""

    code = "ledger_damaged"


@dataclass(frozen=True)
class Standing:
    """How far the ledger is, and what the next entries depend on."""

    growth: Growth
    coverage: Mapping[str, Coverage]

    @property
    def head(self) -> int:
        """The number of the newest entry, or 0."""
        return self.growth.frontier.size


class LedgerStore:
    """The ledger's tables."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._since: datetime | None = None
        self._room: set[tuple[int, int]] = set()

    async def head(self) -> int:
        """Return the number of the newest entry, or 0."""
        row = await self._db.find(HEAD)
        return 0 if row is None else int(row.head)

    async def standing(self, head: int) -> Standing:
        """Return what the entries behind `head` depend on.

        The counts of sources may be of later ones: whoever adds entries to these is refused.
        """
        coverage = {c.source: c for c in await self.coverage()}
        if head == 0:
            return Standing(Growth(), coverage)
        nodes = list(complete_nodes((0, head)))
        found = {leaf.number: leaf for leaf in await self.leaves({*map(kept_with, nodes), head})}
        peaks = tuple(_node(found, node) for node in nodes)
        return Standing(Growth(Frontier(head, peaks), _leaf(found, head).chain), coverage)

    async def coverage(self) -> list[Coverage]:
        """Return how far each source has come."""
        return [to_coverage(row) for row in await self._db.all(COVERAGE)]

    async def known(self, arrivals: Sequence[Arrival]) -> set[str]:
        """Return the ids of those of `arrivals` that are in the ledger."""
        times = [to_micros(arrival.fact.occurred_at) for arrival in arrivals]
        if not times:
            return set()
        ids = [arrival.fact.id for arrival in arrivals]
        rows = await self._db.all(KNOWN, ids=ids, first=min(times), last=max(times))
        return {row.id for row in rows}

    async def since(self) -> datetime:
        """Return from when on events are taken: since the oldest partition, where there are any."""
        if self._since is None:
            row = await self._db.find(SINCE)
            since = None if row is None else row.since
            self._since = EPOCH if since is None else from_micros(since)
        return self._since

    async def make_room(self, moments: Collection[datetime]) -> None:
        """See to it that there is a partition for each of these times. Repeatable."""
        months = {(moment.year, moment.month): moment for moment in moments}
        for month in sorted(months.keys() - self._room):
            await self._db.find(MAKE_ROOM, moment=to_micros(months[month]))
            self._room.add(month)

    async def append(
        self,
        added: Sequence[Entry],
        grown: Sequence[Leaf],
        *,
        keys: Sequence[people.NewKey] = (),
        counts: Sequence[Coverage] = (),
    ) -> None:
        """Add entries with their leaves, the keys of new people, and what was counted; all or none.

        Raises Conflict with the code "unique" if a number, an id or a person is there by now.
        """
        steps = [
            step(ADD_LEAVES, **Batch(leaves, [from_leaf(leaf) for leaf in grown]).named("leaves")),
            also(ADD_ENTRIES, **Batch(entries, [from_entry(e) for e in added]).named("entries")),
            also(COUNT, **Batch(sources, [from_coverage(c) for c in counts]).named("sources")),
        ]
        await self._db.apply(Change(*steps, *people.adding(keys)))

    def growth(self) -> AbstractAsyncContextManager[Bell]:
        """Yield a bell that rings when entries have been added, by any process."""
        return self._db.listen("ledger")

    async def after(
        self, number: int, limit: int, wanted: Wanted = EVERYTHING, *, last: int = 2**63 - 1
    ) -> list[Entry]:
        """Return up to `limit` entries behind `number` and up to `last`, in order."""
        asked = feed.conditions(wanted)
        statement = feed.after(frozenset(asked))
        rows = await self._db.all(statement, entry=number, last=last, limit=limit, **asked)
        return [to_entry(row) for row in rows]

    async def before(self, number: int, limit: int, wanted: Wanted) -> list[Entry]:
        """Return up to `limit` entries before `number`, the newest first."""
        asked = feed.conditions(wanted)
        statement = feed.before(frozenset(asked))
        rows = await self._db.all(statement, entry=number, limit=limit, **asked)
        return [to_entry(row) for row in rows]

    async def leaves(self, numbers: Collection[int]) -> list[Leaf]:
        """Return the leaves of these entries."""
        rows = await self._db.all(LEAVES, numbers=sorted(numbers))
        return [to_leaf(row) for row in rows]

    async def nodes(self, wanted: Collection[Node]) -> dict[Node, bytes]:
        """Return the hashes of complete subtrees."""
        found = {leaf.number: leaf for leaf in await self.leaves({kept_with(n) for n in wanted})}
        return {node: _node(found, node) for node in wanted}

    async def kept(self, number: int, limit: int) -> list[Kept]:
        """Return all that is kept under the `limit` numbers behind `number`, as far as any is."""
        span = {"first": number + 1, "last": number + limit}
        found: dict[int, list[Entry]] = {}
        for row in await self._db.all(ENTRIES_BETWEEN, **span):
            found.setdefault(row.entry, []).append(to_entry(row))
        grown = {row.entry: to_leaf(row) for row in await self._db.all(LEAVES_BETWEEN, **span)}
        return [
            Kept(n, tuple(found.get(n, ())), grown.get(n)) for n in sorted(found.keys() | grown)
        ]

    async def last(self) -> int:
        """Return the highest number under which anything is kept."""
        row = await self._db.find(LAST_ENTRY)
        return max(await self.head(), 0 if row is None else int(row.last))

    async def unsealed(self) -> list[Arrival]:
        """Return the oldest entries of before there were keys, not all of them at once."""
        return [to_arrival(row) for row in await self._db.all(UNSEALED)]

    async def delete_unsealed(self, ids: Sequence[str]) -> None:
        """Delete such entries, which have been entered anew."""
        await self._db.apply(also(DELETE_UNSEALED, ids=list(ids)))

    async def oldest(self) -> dict[str, datetime]:
        """Return, by type, when the oldest event happened that is kept."""
        return {row.type: from_micros(row.oldest) for row in await self._db.all(OLDEST)}

    async def newest_of(self, type: str, limit: int) -> list[Entry]:
        """Return the newest entries of a type."""
        rows = await self._db.all(NEWEST_OF_TYPE, type=type, limit=limit)
        return [to_entry(row) for row in rows]

    async def drop_events(self, type: str, before: datetime) -> None:
        """Drop the events of a type from before a time. Their entries stay."""
        more = True
        while more:
            row = await self._db.apply(step(DROP_EVENTS, type=type, before=to_micros(before)))
            more = row is not None and row.get("dropped") != 0

    async def record(self, *events: Event) -> None:
        """Put the ledger's own doings on record: by the bus, as anybody else's."""
        await self._db.record(*events)


def _node(found: Mapping[int, Leaf], node: Node) -> bytes:
    leaf = _leaf(found, kept_with(node))
    if len(leaf.nodes) <= node[0]:
        raise Damaged(f"The leaf of entry {leaf.number} is not whole.")
    return leaf.nodes[node[0]]


def _leaf(found: Mapping[int, Leaf], number: int) -> Leaf:
    if number not in found:
        raise Damaged(f"The leaf of entry {number} is not there.")
    return found[number]
