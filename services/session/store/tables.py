"""The tables of session. Times are integer microseconds since 1970, flags 0 or 1, JSON is text."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from shared.outbox import outbox_tables

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("password_hash", Text),
    Column("factor_epoch", Integer, nullable=False),
    Column("session_epoch", Integer, nullable=False),
    Column("disabled_at", BigInteger),
    Column("deleted_at", BigInteger),
    Column("register", Text, nullable=False),
    Column("register_number", Integer, nullable=False),
    Column("register_pending", Text),
    Column("register_marked_at", BigInteger),
    Column("mfa_failures", Integer, nullable=False),
    Column("mfa_rests_until", BigInteger, nullable=False),
    Column("username", Text),
    Column("username_key", Text),
)
Index("users_username_key", users.c.username_key, unique=True)
Index("users_register_marked_at", users.c.register_marked_at)

# Usernames that nobody has and nobody gets: see `flows/signup.py`.
reserved_usernames = Table(
    "reserved_usernames",
    metadata,
    Column("username_key", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

emails = Table(
    "emails",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("address", Text, nullable=False, unique=True),
    Column("verified_at", BigInteger),
    Column("is_primary", SmallInteger, nullable=False),
)
Index("emails_user_id", emails.c.user_id)
_is_primary = emails.c.is_primary == 1
Index(
    "emails_primary",
    emails.c.user_id,
    unique=True,
    postgresql_where=_is_primary,
    sqlite_where=_is_primary,
)

# Addresses that people say are theirs. They hold nothing until they are verified: whoever owns one
# may sign up with it, or verify it as theirs.
claimed_addresses = Table(
    "claimed_addresses",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

# `user_id` refers to nobody in the login of a person who signed up with a known address: it must
# not be told from any other, so there is no foreign key.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("session_epoch", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("authenticated_at", BigInteger),
    Column("login", Text),
    Column("methods", Text, nullable=False),
    Column("ip", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("last_seen_at", BigInteger),
    Column("processes", Text),
)
Index("sessions_user_id", sessions.c.user_id)
Index("sessions_expires_at", sessions.c.expires_at)

# The refresh tokens of an app's session, by the hashes of their ids: the one that counts, and the
# one that it followed upon. `sid` is what tokens call the session.
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("sid", Text, nullable=False, unique=True),
    Column("current_hash", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("ceiling", Integer, nullable=False),
    Column("window_ends_at", BigInteger, nullable=False),
    Column("about", Text),
)
Index("attempts_about", attempts.c.about)
Index("attempts_window_ends_at", attempts.c.window_ends_at)

# From where, and with what, a person has logged in: hashes.
origins = Table(
    "origins",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("network", Text, primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
)
Index("origins_seen_at", origins.c.seen_at)

mails = Table(
    "mails",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("topic", Text),
    Column("first_due_at", BigInteger),
)
Index("mails_due_at", mails.c.due_at)
_tried = mails.c.attempts > 0
Index("mails_tried", mails.c.created_at, postgresql_where=_tried, sqlite_where=_tried)
Index("mails_topic", mails.c.topic, unique=True)

dead_authenticators = Table(
    "dead_authenticators",
    metadata,
    Column("factor", Text, primary_key=True),
    Column("authenticator_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
)
Index("dead_authenticators_due_at", dead_authenticators.c.due_at)

# Which factors have ever been told of a person: each of them is to forget them in the end.
keepers = Table(
    "keepers",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("factor", Text, primary_key=True),
)

# People who are to be forgotten everywhere, until all have confirmed.
erasures = Table(
    "erasures",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
)
Index("erasures_due_at", erasures.c.due_at)

# Which events of other services people have been told of.
reports = Table(
    "reports",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("taken_at", BigInteger, nullable=False),
)
Index("reports_taken_at", reports.c.taken_at)

outbox, outbox_source = outbox_tables(metadata)
