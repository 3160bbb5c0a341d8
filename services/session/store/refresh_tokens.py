"""The refresh tokens of sessions: which of them counts, and whose they are."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Text, and_, bindparam, exists, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.session.domain.sessions import Account, Session, recorded_id
from services.session.store.rows import Found, account_of, session_of
from services.session.store.statements import ACCOUNT_COLUMNS
from services.session.store.tables import emails, refresh_tokens, sessions, users
from shared.database import Database, Statement, Step, step

FIND = Statement(
    select(*sessions.c, *ACCOUNT_COLUMNS, *refresh_tokens.c)
    .select_from(
        refresh_tokens.join(sessions, sessions.c.id == refresh_tokens.c.session_id)
        .join(users, users.c.id == sessions.c.user_id)
        .join(emails, and_(emails.c.user_id == users.c.id, emails.c.is_primary == literal(1)))
    )
    .where(refresh_tokens.c.sid == bindparam("sid", type_=Text()))
)


def _begin(insert: Any) -> Any:
    values = {c.name: bindparam(c.name, type_=c.type) for c in refresh_tokens.c}
    return (
        insert(refresh_tokens)
        .values(**values)
        .on_conflict_do_update(
            index_elements=[refresh_tokens.c.session_id],
            set_={name: values[name] for name in ("current_hash", "previous_hash")},
        )
    )


BEGIN = Statement(postgresql=_begin(postgresql.insert), sqlite=_begin(sqlite.insert))

_shown = bindparam("shown_hash", type_=refresh_tokens.c.current_hash.type)

# Of several at once each waits for the one before, and looks at what that has left.
FOLLOW = Statement(
    update(refresh_tokens)
    .where(
        refresh_tokens.c.session_id == bindparam("session_id", type_=Text()),
        or_(refresh_tokens.c.current_hash == _shown, refresh_tokens.c.previous_hash == _shown),
        exists(
            select(users.c.id).where(
                users.c.id == bindparam("user_id", type_=Text()),
                users.c.session_epoch
                == bindparam("session_epoch", type_=users.c.session_epoch.type),
                users.c.disabled_at.is_(None),
            )
        ),
    )
    .values(
        previous_hash=_shown,
        current_hash=bindparam("next_hash", type_=refresh_tokens.c.current_hash.type),
    )
)


@dataclass(frozen=True, kw_only=True)
class FoundTokens(Found):
    """A session with its account, and the hashes of those of its refresh tokens that count."""

    current_hash: bytes = field(repr=False)
    previous_hash: bytes | None = field(repr=False)


class RefreshTokens:
    """Reads and steps. Tokens go with their session."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(self, sid: str) -> FoundTokens | None:
        """Return the session that tokens call `sid`. Whether it counts is for the domain to say."""
        row = await self._db.find(FIND, sid=sid)
        if row is None:
            return None
        return FoundTokens(
            session=session_of(row),
            account=account_of(row),
            current_hash=row.current_hash,
            previous_hash=row.previous_hash,
        )

    def begin(self, session: Session, token_hash: bytes) -> Step:
        """Have a session's refresh tokens begin, or begin anew, with the one of `token_hash`."""
        return step(
            BEGIN,
            session_id=session.id,
            sid=recorded_id(session.id),
            current_hash=token_hash,
            previous_hash=None,
        )

    def follow(self, session: Session, account: Account, shown: bytes, following: bytes) -> Step:
        """Let the token `following` come after the one that was `shown`.

        If that is the one before the last, the last is dropped, which nobody has used: its answer
        was lost. Refuse if it is neither, if the session has ended, or its account been disabled.
        """
        return step(
            FOLLOW,
            session_id=session.id,
            user_id=account.id,
            session_epoch=session.session_epoch,
            shown_hash=shown,
            next_hash=following,
        )
