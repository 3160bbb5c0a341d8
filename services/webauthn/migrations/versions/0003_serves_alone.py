"""Credentials with whether they were asked for as a passkey, which alone logs in."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column. What could log in so far still can, unless its browser said otherwise."""
    op.add_column(
        "credentials",
        sa.Column("serves_alone", sa.SmallInteger, nullable=False, server_default="0"),
    )
    op.execute(
        sa.text(
            "UPDATE credentials SET serves_alone = 1"
            " WHERE user_verified = 1 AND coalesce(discoverable, 1) = 1"
        )
    )
