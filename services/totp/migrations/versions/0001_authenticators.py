"""Authenticators, enrolments, and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import create_outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "authenticators",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("digits", sa.Integer, nullable=False),
        sa.Column("period", sa.Integer, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("enrolled_session", sa.Text, nullable=False),
        sa.Column("enrolled_step", sa.BigInteger, nullable=False),
    )
    op.create_index("authenticators_user", "authenticators", ["user_id"])
    op.create_table(
        "enrolments",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("digits", sa.Integer, nullable=False),
        sa.Column("period", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_id", "session_id", name="enrolments_user_session"),
    )
    op.create_index("enrolments_expiry", "enrolments", ["expires_at"])
    create_outbox(op)
