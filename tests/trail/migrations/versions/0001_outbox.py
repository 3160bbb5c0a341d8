"""The outbox."""

from alembic import op

from shared.migrations import create_outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the outbox."""
    create_outbox(op)
