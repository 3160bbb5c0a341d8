"""Limits that are configured, browsers that are known, mails about something, people to forget."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Change the tables. Counters begin anew: none of them lasts for more than minutes."""
    op.add_column("users", sa.Column("deleted_at", sa.BigInteger))
    op.add_column("sessions", sa.Column("last_seen_at", sa.BigInteger))
    op.drop_table("attempts")
    op.create_table(
        "attempts",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("ceiling", sa.Integer, nullable=False),
        sa.Column("window_ends_at", sa.BigInteger, nullable=False),
        sa.Column("about", sa.Text),
    )
    op.create_index("attempts_about", "attempts", ["about"])
    op.create_index("attempts_window_ends_at", "attempts", ["window_ends_at"])
    op.create_table(
        "origins",
        sa.Column(
            "user_id",
            sa.Text,
            sa.ForeignKey("users.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("network", sa.Text, primary_key=True),
        sa.Column("agent", sa.Text, primary_key=True),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_index("origins_seen_at", "origins", ["seen_at"])
    op.add_column("mails", sa.Column("topic", sa.Text))
    op.create_index("mails_topic", "mails", ["topic"], unique=True)
    op.create_table(
        "erasures",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_index("erasures_due_at", "erasures", ["due_at"])
