"""Credentials with what their make is known by where it has no AAGUID."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column. Of what is registered it is not known: nobody has kept the certificates."""
    op.add_column("credentials", sa.Column("key_identifier", sa.Text))
