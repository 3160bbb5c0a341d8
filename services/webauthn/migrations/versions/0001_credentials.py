"""Users, credentials, enrolments, challenges, and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.migrations import create_outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("handle", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("handle", name="users_handle"),
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("credential_id", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("algorithm", sa.Integer, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("aaguid", sa.Text, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("transports", sa.Text, nullable=False),
        sa.Column("discoverable", sa.SmallInteger),
        sa.Column("user_verified", sa.SmallInteger, nullable=False),
        sa.Column("backup_eligible", sa.SmallInteger, nullable=False),
        sa.Column("backed_up", sa.SmallInteger, nullable=False),
        sa.Column("attestation", sa.Text, nullable=False),
        sa.Column("attested", sa.SmallInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("enrolled_session", sa.Text, nullable=False),
        sa.Column("enrolled_proof", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("credential_id", name="credentials_credential"),
    )
    op.create_index("credentials_user", "credentials", ["user_id"])
    op.create_table(
        "enrolments",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("challenge", sa.LargeBinary, nullable=False),
        sa.Column("passwordless", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_id", "session_id", name="enrolments_user_session"),
    )
    op.create_index("enrolments_expiry", "enrolments", ["expires_at"])
    op.create_table(
        "challenges",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text),
        sa.Column("challenge", sa.LargeBinary, nullable=False),
        sa.Column("verification_required", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("challenges_user", "challenges", ["user_id"])
    op.create_index("challenges_expiry", "challenges", ["expires_at"])
    create_outbox(op)
