"""When somebody is logged in with a session, as conditions of a statement; see `is_live`."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, bindparam, func

from services.session.store.tables import sessions
from shared.clock import to_micros

seen_at = func.coalesce(sessions.c.last_seen_at, sessions.c.authenticated_at)


def live(
    user_id: ColumnElement[str], session_epoch: ColumnElement[int]
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which a session of that user, in that epoch, is live.

    They have the parameters of `live_at`. Whether the account is disabled, they do not ask.
    """
    return (
        sessions.c.user_id == user_id,
        sessions.c.session_epoch == session_epoch,
        sessions.c.authenticated_at.is_not(None),
        sessions.c.expires_at > bindparam("now", type_=BigInteger()),
        seen_at > bindparam("idle_since", type_=BigInteger()),
    )


def live_at(now: datetime, idle: timedelta | None) -> dict[str, object]:
    """Return the parameters of `live`. `idle` is how long a session may be unused."""
    return {
        "now": to_micros(now),
        "idle_since": 0 if idle is None else to_micros(now - idle),
    }
