"""Names and further addresses of people, and what is under way in a session besides a login."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the columns and the table."""
    op.add_column("users", sa.Column("username", sa.Text))
    op.add_column("users", sa.Column("username_key", sa.Text))
    op.create_index("users_username_key", "users", ["username_key"], unique=True)
    op.add_column("sessions", sa.Column("processes", sa.Text))
    op.create_table(
        "claimed_addresses",
        sa.Column(
            "user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
