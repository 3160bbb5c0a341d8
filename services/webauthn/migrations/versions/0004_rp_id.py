"""Credentials with whom they were made for, which a setting may change."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column. Of what is registered it is not known: the settings then are not kept."""
    op.add_column("credentials", sa.Column("rp_id", sa.Text))
