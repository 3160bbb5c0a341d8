"""Trusted browsers are looked up by their age, which may have been made shorter."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the index."""
    op.create_index("browsers_age", "browsers", ["created_at"])
