"""Which refresh token of a session is the one that counts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table. Sessions that there are have no tokens of the kind."""
    op.create_table(
        "refresh_tokens",
        sa.Column(
            "session_id",
            sa.Text,
            sa.ForeignKey("sessions.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("sid", sa.Text, nullable=False, unique=True),
        sa.Column("current_hash", sa.LargeBinary, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary),
    )
