"""What a factor says of an authenticator, as the register keeps it."""

from datetime import UTC, datetime

from services.session.domain.register import Entry
from shared.factor import Authenticator


def entry_of(made: Authenticator, type: str) -> Entry:
    """Return the entry of an authenticator as its factor tells of it; its name is a fact."""
    named = {} if made.name is None else {"name": made.name}
    return Entry(
        id=made.id,
        type=type,
        created_at=datetime.fromtimestamp(made.created_at, UTC),
        facts={**made.facts, **named},
    )
