"""Of each code it is noted by which key of the ring it is hashed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column. Of the codes that there are, only who has the ring can tell."""
    op.add_column("codes", sa.Column("hashed_by", sa.Text))
