"""Accounts, sessions, counters, due work, and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import create_outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _create_accounts()
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_epoch", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("authenticated_at", sa.BigInteger),
        sa.Column("login", sa.Text),
        sa.Column("methods", sa.Text, nullable=False),
        sa.Column("enrolments", sa.Text, nullable=False),
        sa.Column("ip", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
    )
    op.create_index("sessions_user_id", "sessions", ["user_id"])
    op.create_index("sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "attempts",
        sa.Column("key_hash", sa.LargeBinary, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("window_ends_at", sa.BigInteger, nullable=False),
    )
    op.create_index("attempts_window_ends_at", "attempts", ["window_ends_at"])
    _create_due_work()
    create_outbox(op)


def _create_accounts() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("factor_epoch", sa.Integer, nullable=False),
        sa.Column("session_epoch", sa.Integer, nullable=False),
        sa.Column("disabled_at", sa.BigInteger),
        sa.Column("register", sa.Text, nullable=False),
        sa.Column("register_number", sa.Integer, nullable=False),
        sa.Column("register_pending", sa.Text),
        sa.Column("register_marked_at", sa.BigInteger),
        sa.Column("mfa_failures", sa.Integer, nullable=False),
        sa.Column("mfa_rests_until", sa.BigInteger, nullable=False),
    )
    op.create_index("users_register_marked_at", "users", ["register_marked_at"])
    op.create_table(
        "emails",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("address", sa.Text, nullable=False, unique=True),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("is_primary", sa.SmallInteger, nullable=False),
    )
    op.create_index("emails_user_id", "emails", ["user_id"])


def _create_due_work() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_index("mails_due_at", "mails", ["due_at"])
    op.create_table(
        "dead_authenticators",
        sa.Column("factor", sa.Text, primary_key=True),
        sa.Column("authenticator_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_index("dead_authenticators_due_at", "dead_authenticators", ["due_at"])
