"""Sets of recovery codes, trusted browsers, and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import create_outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "code_sets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("unused", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("viewed_at", sa.BigInteger),
        sa.Column("confirmed_at", sa.BigInteger),
        sa.Column("has_copies", sa.Boolean, nullable=False),
    )
    op.create_index("code_sets_user", "code_sets", ["user_id"])
    viewed_copies = sa.text("has_copies AND viewed_at IS NOT NULL")
    op.create_index(
        "code_sets_viewed_copies",
        "code_sets",
        ["id"],
        postgresql_where=viewed_copies,
        sqlite_where=viewed_copies,
    )
    op.create_table(
        "codes",
        sa.Column(
            "set_id",
            sa.Text,
            sa.ForeignKey("code_sets.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("sealed_code", sa.LargeBinary),
        sa.Column("used_at", sa.BigInteger),
        sa.UniqueConstraint("set_id", "hash", name="codes_set_hash"),
    )
    op.create_table(
        "browsers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("series_hash", sa.Text, nullable=False, unique=True),
        sa.Column("current_hash", sa.Text, nullable=False),
        sa.Column("next_hash", sa.Text, nullable=False),
        sa.Column("sealed_next", sa.LargeBinary, nullable=False),
        sa.Column("factor_epoch", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("browsers_user", "browsers", ["user_id"])
    op.create_index("browsers_expiry", "browsers", ["expires_at"])
    create_outbox(op)
