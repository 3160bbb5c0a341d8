"""Sessions in which nobody is, nor is about to be: something else is bound to them."""

from datetime import datetime, timedelta

from services.session.domain.sessions import Session
from services.session.domain.stages import LOGIN_LIFETIME
from services.session.flows.outcomes import Visit
from shared.token import new_token

ID_BYTES = 16
NOBODY = ""  # whose the session is in which nobody has logged in yet
EMPTY_LIFETIME = timedelta(days=1)  # at most, however often it is used


def empty_session(visit: Visit, now: datetime) -> Session:
    """Return a session to be opened for who has none."""
    return Session(
        id=new_token(ID_BYTES),
        client=visit.client,
        version=0,
        user_id=NOBODY,
        session_epoch=0,
        created_at=now,
        expires_at=now + LOGIN_LIFETIME,
        last_seen_at=now,
    )


def is_ending(session: Session, now: datetime, needed: timedelta) -> bool:
    """Tell whether an empty session may be over before the time that is `needed` is."""
    is_empty = session.login is None and session.authenticated_at is None
    return is_empty and session.expires_at < now + needed


def is_worn_out(session: Session, now: datetime, needed: timedelta) -> bool:
    """Tell whether that is so, and it cannot be helped."""
    return is_ending(session, now, needed) and end_of(session, now, needed) < now + needed


def end_of(session: Session, now: datetime, needed: timedelta) -> datetime:
    """Return until when an empty session can last that is to last for what is `needed`."""
    return min(now + max(LOGIN_LIFETIME, needed), session.created_at + EMPTY_LIFETIME)
