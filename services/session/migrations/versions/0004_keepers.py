"""Which factors have been told of a person; since when a mail is owed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ENTRIES = {
    "postgresql": "SELECT u.id, e.value ->> 'type'"
    " FROM users u, json_array_elements(CAST(u.register AS json)) e",
    "sqlite": "SELECT u.id, json_extract(e.value, '$.type') FROM users u, json_each(u.register) e",
}
PENDING = {
    "postgresql": "SELECT id, CAST(register_pending AS json) ->> 'type' FROM users"
    " WHERE register_pending IS NOT NULL",
    "sqlite": "SELECT id, json_extract(register_pending, '$.type') FROM users"
    " WHERE register_pending IS NOT NULL",
}
ENROLMENTS = {
    "postgresql": "SELECT user_id, json_object_keys(CAST(enrolments AS json)) FROM sessions",
    "sqlite": "SELECT s.user_id, e.key FROM sessions s, json_each(s.enrolments) e",
}
DEAD = "SELECT user_id, factor FROM dead_authenticators"
KNOWN = "SELECT id FROM users WHERE deleted_at IS NULL UNION SELECT user_id FROM erasures"


def upgrade() -> None:
    """Change the tables, and remember what is known of what went before."""
    op.create_table(
        "keepers",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("factor", sa.Text, primary_key=True),
    )
    dialect = op.get_bind().dialect.name
    told = " UNION ".join([ENTRIES[dialect], PENDING[dialect], ENROLMENTS[dialect], DEAD])
    op.execute(
        f"WITH told (user_id, factor) AS ({told})"  # noqa: S608 - of nothing but the above
        f" INSERT INTO keepers SELECT user_id, factor FROM told WHERE user_id IN ({KNOWN})"
    )
    op.add_column("mails", sa.Column("first_due_at", sa.BigInteger))
    tried = sa.text("attempts > 0")
    op.create_index(
        "mails_tried", "mails", ["created_at"], postgresql_where=tried, sqlite_where=tried
    )
