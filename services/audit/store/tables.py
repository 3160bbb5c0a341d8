"""The tables of the ledger. Nothing in `entries`, `leaves` and `checkpoints` is changed again.

But for one thing: an event that is not to be kept any more goes, and its entry stays.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from shared.database.events import outbox_tables

metadata = MetaData()
outbox_tables(metadata)

# On PostgreSQL in partitions by month, of the event's own time: whatever comes again has the same,
# so an id is unique within one.
_event = Column("event", Text)
_kept_type, _kept_time = (
    Column("type", Text, nullable=False),
    Column("occurred_at", BigInteger, primary_key=True, autoincrement=False),
)
entries = Table(
    "entries",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    _kept_time,  # microseconds
    Column("received_at", BigInteger, nullable=False),  # microseconds
    Column("id", Text, nullable=False),
    _kept_type,
    Column("outcome", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("subject", Text),
    _event,  # in its sealed form
    Column("event_hash", LargeBinary, nullable=False),
    Index("entries_id", "id", "occurred_at", unique=True),
    Index("entries_subject", "subject", "entry"),
    Index("entries_type", "type", "entry"),
    Index(
        "entries_kept",
        _kept_type,
        _kept_time,
        postgresql_where=_event.is_not(None),
        sqlite_where=_event.is_not(None),
    ),
    postgresql_partition_by="RANGE (occurred_at)",
)

# The number of an entry is unique here; so this is where writers meet.
leaves = Table(
    "leaves",
    metadata,
    Column(
        "entry",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("nodes", LargeBinary, nullable=False),  # one behind the other, the leaf hash first
    Column("chain", LargeBinary, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column(
        "size",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),  # microseconds
)

# Which checkpoints have been written to which other place.
deliveries = Table(
    "deliveries",
    metadata,
    Column("place", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
)

# How far the numbers of each source have come; `gaps` is JSON, of pairs.
sources = Table(
    "sources",
    metadata,
    Column("source", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("gaps", Text, nullable=False),
    Column("repeated", BigInteger, nullable=False),
)

# The key of each person, sealed. Who is forgotten has none, and gets none any more.
people = Table(
    "people",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("sealed_key", LargeBinary),
    Column("made_at", BigInteger, nullable=False),  # microseconds
    Column("forgotten_at", BigInteger),  # microseconds
)

# Entries of before there were keys: the worker enters them anew, in order, and deletes them here.
unsealed = Table(
    "unsealed",
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
)
