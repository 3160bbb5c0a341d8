"""People who are forgotten: whose events have lost what was personal in them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Mark entries that were stripped, and remember of whom all that come have to be."""
    op.add_column(
        "ledger", sa.Column("redacted", sa.SmallInteger, nullable=False, server_default="0")
    )
    op.create_index("ledger_subject", "ledger", ["subject"])
    op.create_table(
        "forgotten",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("forgotten_at", sa.BigInteger, nullable=False),
    )
    gate = op.create_table(
        "gate",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("passed", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(gate, [{"id": 1, "passed": 0}])
