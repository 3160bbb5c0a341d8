"""The ledger, and the notice to those who follow it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NOTIFY = """
CREATE FUNCTION ledger_notify() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('ledger', TG_TABLE_SCHEMA); RETURN NULL; END $$
"""
TRIGGER = """
CREATE TRIGGER ledger_notify AFTER INSERT ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION ledger_notify()
"""


def upgrade() -> None:
    """Create the ledger."""
    op.create_table(
        "ledger",
        sa.Column(
            "entry",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("event", sa.Text, nullable=False),
    )
    op.create_index("ledger_id", "ledger", ["id"], unique=True)
    op.create_index("ledger_source_number", "ledger", ["source", "number"])
    if op.get_context().dialect.name == "postgresql":
        op.execute(NOTIFY)
        op.execute(TRIGGER)
