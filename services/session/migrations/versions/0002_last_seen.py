"""Sessions without the time at which they were last seen: nobody reads it."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Drop the column."""
    op.drop_column("sessions", "last_seen_at")
