"""Wallets have a stamp, and new ones ring a bell."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NOTIFY = """
CREATE FUNCTION notify() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('wallets', TG_TABLE_SCHEMA); RETURN NULL; END $$
"""


def upgrade() -> None:
    """Add the column and the trigger."""
    op.add_column("wallets", sa.Column("stamp", sa.LargeBinary))
    if op.get_context().dialect.name == "postgresql":
        op.execute(NOTIFY)
        op.execute(
            "CREATE TRIGGER wallets_notify AFTER INSERT ON wallets EXECUTE FUNCTION notify()"
        )
