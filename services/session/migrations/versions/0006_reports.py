"""Which reports of other services have been taken in."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reports",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("taken_at", sa.BigInteger, nullable=False),
    )
    op.create_index("reports_taken_at", "reports", ["taken_at"])
