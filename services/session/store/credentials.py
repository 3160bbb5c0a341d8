"""What people prove themselves by, as far as it lies here, and ends to everything at once."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Text, bindparam, delete, func, update

from services.session.domain.origins import Origin
from services.session.domain.sessions import Account
from services.session.domain.usernames import key_of
from services.session.store.tables import origins, users
from shared.database import Statement, Step, also, step

_ends_everything = {
    "factor_epoch": users.c.factor_epoch + 1,
    "session_epoch": users.c.session_epoch + 1,
}

_stands = (
    users.c.id == bindparam("id", type_=users.c.id.type),
    users.c.session_epoch == bindparam("session_epoch", type_=users.c.session_epoch.type),
    users.c.disabled_at.is_(None),
)

_set_password = (
    update(users)
    .where(
        *_stands, users.c.factor_epoch == bindparam("factor_epoch", type_=users.c.factor_epoch.type)
    )
    .values(password_hash=bindparam("password_hash", type_=Text()), **_ends_everything)
)

SET_PASSWORD = Statement(_set_password)


def _if_any(column: Column[Any]) -> ColumnElement[Any]:
    return func.coalesce(bindparam(column.key, type_=Text()), column)


BEGIN_ANEW = Statement(
    _set_password.values(
        username=_if_any(users.c.username), username_key=_if_any(users.c.username_key)
    )
)

FORGET_ORIGINS = Statement(
    delete(origins).where(
        origins.c.user_id == bindparam("user_id", type_=Text()),
        origins.c.network != bindparam("network", type_=Text()),
    )
)

END_EVERYTHING = Statement(update(users).where(*_stands).values(**_ends_everything))


def set_password(account: Account, password_hash: str | None) -> Step:
    """Write a new password, or that there is none, which ends every session and login.

    Refuse if either epoch is not as it was read: of two changes at once one is written.
    """
    return step(
        SET_PASSWORD,
        id=account.id,
        factor_epoch=account.factor_epoch,
        session_epoch=account.session_epoch,
        password_hash=password_hash,
    )


def begin_anew(account: Account, password_hash: str | None, username: str | None) -> Step:
    """Write a new password as `set_password` does, and call the account by `username`, if any.

    Raises Conflict if somebody else is called so.
    """
    return step(
        BEGIN_ANEW,
        id=account.id,
        factor_epoch=account.factor_epoch,
        session_epoch=account.session_epoch,
        password_hash=password_hash,
        username=username,
        username_key=None if username is None else key_of(username),
    )


def forget_origins(user_id: str, *, but: Origin | None = None) -> Step:
    """Forget where the person has logged in, `but` for one network.

    Whoever it was that they are shutting out has been there as well.
    """
    return also(FORGET_ORIGINS, user_id=user_id, network=but.network if but else "")


def end_everything(account: Account) -> Step:
    """End every session and login of the account; refuse if that was done since it was read."""
    return step(END_EVERYTHING, id=account.id, session_epoch=account.session_epoch)
