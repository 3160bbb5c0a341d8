"""Usernames that nobody gets, and at most one primary address of each person."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table and the index. No account has had more than one primary address."""
    op.create_table(
        "reserved_usernames",
        sa.Column("username_key", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "emails_primary",
        "emails",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("is_primary = 1"),
        sqlite_where=sa.text("is_primary = 1"),
    )
