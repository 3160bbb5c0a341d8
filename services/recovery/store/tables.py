"""The tables of the recovery service. Hashes are hex, so that they can be looked up by the list."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.outbox import outbox_tables

metadata = MetaData()

VIEWED_COPIES = text("has_copies AND viewed_at IS NOT NULL")

code_sets = Table(
    "code_sets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("unused", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("viewed_at", BigInteger),
    Column("confirmed_at", BigInteger),
    Column("has_copies", Boolean, nullable=False),
    Index("code_sets_user", "user_id"),
    # What the sweep looks for where codes are shown once.
    Index(
        "code_sets_viewed_copies", "id", postgresql_where=VIEWED_COPIES, sqlite_where=VIEWED_COPIES
    ),
)

codes = Table(
    "codes",
    metadata,
    Column("set_id", Text, ForeignKey("code_sets.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("sealed_code", LargeBinary),
    Column("used_at", BigInteger),
    Column("hashed_by", Text),  # the id of the key; null of what was hashed before it was noted
    UniqueConstraint("set_id", "hash", name="codes_set_hash"),
)

browsers = Table(
    "browsers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("series_hash", Text, nullable=False, unique=True),
    Column("current_hash", Text, nullable=False),
    Column("next_hash", Text, nullable=False),
    Column("sealed_next", LargeBinary, nullable=False),
    Column("factor_epoch", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("expires_at", BigInteger, nullable=False),
    Index("browsers_user", "user_id"),
    Index("browsers_expiry", "expires_at"),
    Index("browsers_age", "created_at"),
)

outbox_tables(metadata)
