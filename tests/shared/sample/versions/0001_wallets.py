"""Wallets, without stamps yet."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import create_outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "wallets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, unique=True),
        sa.Column("coins", sa.BigInteger, nullable=False),
    )
    create_outbox(op)
