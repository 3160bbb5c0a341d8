"""Entries whose events are sealed, and the tree, chain and checkpoints that prove them.

What the ledger has so far waits in `unsealed`, from where the worker, which has the keys, enters it
in the same order before anything else.
"""

import sqlalchemy as sa
from alembic import op

from shared.migrations import create_outbox

revision = "0003"
down_revision = "0002"

# The oldest partition says since when there are entries. Whoever adds entries may make room for
# later ones, and no more: the rest is the owner's.
SINCE = """
CREATE FUNCTION ledger_since() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT min(extract(epoch FROM to_date(right(c.relname, 7), 'YYYY_MM')::timestamp))::bigint
        * 1000000
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'entries'::regclass
$$
"""
MAKE_ROOM = """
CREATE FUNCTION ledger_make_room(moment bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    month timestamp := date_trunc('month', to_timestamp(moment / 1000000) AT TIME ZONE 'UTC');
    first bigint := extract(epoch FROM month)::bigint * 1000000;
    behind bigint := extract(epoch FROM month + interval '1 month')::bigint * 1000000;
BEGIN
    IF first < ledger_since() THEN RETURN; END IF;
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF entries FOR VALUES FROM (%s) TO (%s)',
        'entries_' || to_char(month, 'YYYY_MM'), first, behind
    );
EXCEPTION WHEN duplicate_table OR unique_violation THEN NULL; -- another was as fast
END $$
"""
DROP_EVENTS = """
CREATE FUNCTION ledger_drop_events(kind text, before bigint, at_most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT entry, occurred_at FROM entries
        WHERE type = kind AND occurred_at < before AND event IS NOT NULL LIMIT at_most
    ), dropped AS (
        UPDATE entries SET event = NULL, subject = NULL FROM due
        WHERE entries.entry = due.entry AND entries.occurred_at = due.occurred_at RETURNING 1
    )
    SELECT count(*) FROM dropped
$$
"""
FUNCTIONS = (
    "ledger_since()",
    "ledger_make_room(bigint)",
    "ledger_drop_events(text, bigint, integer)",
)
MAKE_FIRST = """
DO $$ DECLARE
    first bigint := extract(epoch FROM timestamp '2026-01-01')::bigint * 1000000; -- ours are later
BEGIN
    PERFORM ledger_make_room(least(first, (SELECT min(occurred_at) FROM unsealed)));
END $$
"""
TRIGGER = """
CREATE TRIGGER ledger_notify AFTER INSERT ON leaves
FOR EACH STATEMENT EXECUTE FUNCTION ledger_notify()
"""


def upgrade() -> None:
    """Set aside what there is, and make the new tables."""
    on_postgresql = op.get_context().dialect.name == "postgresql"
    _set_aside(on_postgresql=on_postgresql)
    _create_entries()
    _create_proofs()
    _create_people()
    create_outbox(op)
    if on_postgresql:
        for function in (SINCE, MAKE_ROOM, DROP_EVENTS, TRIGGER):
            op.execute(function)
        for function in FUNCTIONS:
            op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(MAKE_FIRST)


def _set_aside(*, on_postgresql: bool) -> None:
    if on_postgresql:
        op.execute("DROP TRIGGER ledger_notify ON ledger")
    for index in ("ledger_id", "ledger_source_number", "ledger_subject"):
        op.drop_index(index, "ledger")
    op.rename_table("ledger", "unsealed")


def _create_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("occurred_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("event", sa.Text),
        sa.Column("event_hash", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index("entries_id", "entries", ["id", "occurred_at"], unique=True)
    op.create_index("entries_subject", "entries", ["subject", "entry"])
    op.create_index("entries_type", "entries", ["type", "entry"])
    kept = sa.text("event IS NOT NULL")
    op.create_index(
        "entries_kept",
        "entries",
        ["type", "occurred_at"],
        postgresql_where=kept,
        sqlite_where=kept,
    )


def _create_proofs() -> None:
    op.create_table(
        "leaves",
        sa.Column(
            "entry",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("nodes", sa.LargeBinary, nullable=False),
        sa.Column("chain", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column(
            "size",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_table(
        "sources",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("gaps", sa.Text, nullable=False),
        sa.Column("repeated", sa.BigInteger, nullable=False),
    )


def _create_people() -> None:
    op.create_table(
        "people",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sealed_key", sa.LargeBinary),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("forgotten_at", sa.BigInteger),
    )
    op.execute(
        "INSERT INTO people (subject, made_at, forgotten_at) "
        "SELECT subject, forgotten_at, forgotten_at FROM forgotten"
    )
    op.drop_table("forgotten")
    op.drop_table("gate")
