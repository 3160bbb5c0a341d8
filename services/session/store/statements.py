"""Every statement that session makes, built once."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Select,
    SmallInteger,
    and_,
    bindparam,
    case,
    delete,
    exists,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from services.session.domain.limits import FOR_EVER, FREE_FAILURES, LAST_FAILURE, rest_after
from services.session.store.tables import (
    attempts,
    dead_authenticators,
    emails,
    mails,
    sessions,
    users,
)
from shared.clock import MICROSECOND, to_micros
from shared.database import Statement

SWEPT_AT_ONCE = 500  # rows


def _param(column: ColumnElement[Any], name: str | None = None) -> ColumnElement[Any]:
    """Return the parameter for a column, called as the column is or `name`."""
    return bindparam(name or column.key, type_=column.type)


def _same(column: ColumnElement[Any], name: str | None = None) -> ColumnElement[bool]:
    """Compare a column with its parameter."""
    return column == _param(column, name)


def _now() -> ColumnElement[int]:
    return bindparam("now", type_=BigInteger())


# Reading. A session or an address comes with its account in one row, and the account is null
# where there is none.

ACCOUNT_COLUMNS = (
    users.c.id.label("account_id"),
    users.c.password_hash,
    users.c.factor_epoch,
    users.c.session_epoch.label("account_epoch"),
    users.c.disabled_at,
    users.c.register,
    users.c.register_number,
    users.c.register_pending,
    users.c.mfa_rests_until,
    emails.c.address,
    emails.c.verified_at,
)

_primary_email = and_(emails.c.user_id == users.c.id, emails.c.is_primary == literal(1))

FIND_SESSION = Statement(
    select(*sessions.c, *ACCOUNT_COLUMNS)
    .select_from(
        sessions.outerjoin(users, users.c.id == sessions.c.user_id).outerjoin(
            emails, _primary_email
        )
    )
    .where(_same(sessions.c.token_hash), _same(sessions.c.kind))
)

FIND_ACCOUNT = Statement(
    select(*ACCOUNT_COLUMNS)
    .select_from(users.join(emails, _primary_email))
    .where(_same(users.c.id))
)


def _count(key: str) -> ColumnElement[int]:
    """Count what is in the present window of the counter that parameter `key` names."""
    return (
        select(attempts.c.count)
        .where(_same(attempts.c.key_hash, key), attempts.c.window_ends_at > _now())
        .scalar_subquery()
    )


_one = select(literal(1).label("one")).subquery("one")

# Always one row, for known and unknown addresses alike.
FIND_BY_ADDRESS = Statement(
    select(
        *ACCOUNT_COLUMNS,
        _count("account_key").label("account_count"),
        _count("origin_key").label("origin_count"),
        _count("signup_key").label("signup_count"),
    ).select_from(
        _one.outerjoin(emails, _same(emails.c.address)).outerjoin(
            users, users.c.id == emails.c.user_id
        )
    )
)

# Conditions of a write, as steps that change nothing.

ACCOUNT_STANDS = Statement(
    select(literal(1).label("stands"))
    .select_from(users)
    .where(
        _same(users.c.id),
        _same(users.c.factor_epoch),
        _same(users.c.session_epoch),
        _same(users.c.register_number),
        users.c.disabled_at.is_(None),
    )
)


def _spent(key: str, limit: str) -> ColumnElement[bool]:
    return exists(
        select(attempts.c.key_hash).where(
            _same(attempts.c.key_hash, key),
            attempts.c.window_ends_at > _now(),
            attempts.c.count >= _param(attempts.c.count, limit),
        )
    )


WITHIN_LIMITS = Statement(
    select(literal(1).label("within")).where(
        not_(or_(_spent("account_key", "account_limit"), _spent("origin_key", "origin_limit")))
    )
)

# Counters. One statement counts and tells whether the attempt was within the limit.


def _count_attempt(insert: Any) -> Any:
    over = attempts.c.window_ends_at <= _now()
    return (
        insert(attempts)
        .values(
            key_hash=_param(attempts.c.key_hash),
            count=literal(1, attempts.c.count.type),
            window_ends_at=_param(attempts.c.window_ends_at, "ends_at"),
        )
        .on_conflict_do_update(
            index_elements=[attempts.c.key_hash],
            set_={
                "count": case((over, literal(1)), else_=attempts.c.count + 1),
                "window_ends_at": case(
                    (over, _param(attempts.c.window_ends_at, "ends_at")),
                    else_=attempts.c.window_ends_at,
                ),
            },
            where=or_(over, attempts.c.count < _param(attempts.c.count, "limit")),
        )
    )


COUNT_ATTEMPT = Statement(
    postgresql=_count_attempt(postgresql.insert), sqlite=_count_attempt(sqlite.insert)
)

# Accounts. Signing up with a known address makes the same statements, and inserts nothing.


def _if_fresh(*values: ColumnElement[Any]) -> Select[Any]:
    fresh = bindparam("fresh", type_=SmallInteger())
    return select(*values).where(fresh == literal(1, SmallInteger()))


INSERT_USER = Statement(
    users.insert().from_select(
        [
            users.c.id,
            users.c.created_at,
            users.c.password_hash,
            users.c.factor_epoch,
            users.c.session_epoch,
            users.c.register,
            users.c.register_number,
            users.c.mfa_failures,
            users.c.mfa_rests_until,
        ],
        _if_fresh(
            _param(users.c.id),
            _param(users.c.created_at, "now"),
            _param(users.c.password_hash),
            literal(0, users.c.factor_epoch.type).label("factor_epoch"),
            literal(0, users.c.session_epoch.type).label("session_epoch"),
            literal("[]", users.c.register.type).label("register"),
            literal(0, users.c.register_number.type).label("register_number"),
            literal(0, users.c.mfa_failures.type).label("mfa_failures"),
            literal(0, users.c.mfa_rests_until.type).label("mfa_rests_until"),
        ),
    )
)

INSERT_EMAIL = Statement(
    emails.insert().from_select(
        [emails.c.id, emails.c.user_id, emails.c.address, emails.c.is_primary],
        _if_fresh(
            _param(emails.c.id),
            _param(emails.c.user_id),
            _param(emails.c.address),
            literal(1, emails.c.is_primary.type).label("is_primary"),
        ),
    )
)

VERIFY_EMAIL = Statement(
    update(emails)
    .where(_same(emails.c.user_id), _same(emails.c.address))
    .values(verified_at=_now())
)

# The second factor. Failures are counted in a row, and every one from the fifth on is followed by
# a rest in which nothing is judged.


def _rest() -> ColumnElement[int]:
    """Return when the rest ends that follows the failure being counted."""
    failures, now = users.c.mfa_failures + 1, _now()
    rests = {count: rest_after(count) for count in range(1, LAST_FAILURE)}
    longest = max(rests.values())
    return case(
        (failures >= LAST_FAILURE, literal(to_micros(FOR_EVER), BigInteger())),
        *(
            (failures == count, now + literal(rest // MICROSECOND, BigInteger()))
            for count, rest in rests.items()
            if rest and rest < longest
        ),
        (failures < FREE_FAILURES, literal(0, BigInteger())),
        else_=now + literal(longest // MICROSECOND, BigInteger()),
    )


def _rested() -> ColumnElement[bool]:
    return users.c.mfa_rests_until <= _now()


COUNT_MFA_FAILURE = Statement(
    update(users)
    .where(_same(users.c.id), _rested())
    .values(mfa_failures=users.c.mfa_failures + 1, mfa_rests_until=_rest())
)

ACCEPT_MFA = Statement(
    update(users)
    .where(
        _same(users.c.id),
        _same(users.c.factor_epoch),
        _same(users.c.session_epoch),
        _same(users.c.register_number),
        users.c.register_pending.is_(None),
        users.c.disabled_at.is_(None),
        _rested(),
    )
    .values(
        mfa_failures=literal(0),
        mfa_rests_until=literal(0, BigInteger()),
        register=_param(users.c.register, "entries"),
    )
)

# The register. Who marks it takes a new number; who writes it clean must still hold that number.
# Who takes it over leaves alone what was marked after `before`.

MARK_REGISTER = Statement(
    update(users)
    .where(
        _same(users.c.id),
        _same(users.c.register_number),
        _same(users.c.session_epoch),
        users.c.register_pending.is_(None),
        users.c.disabled_at.is_(None),
    )
    .values(
        register_number=users.c.register_number + 1,
        register_pending=_param(users.c.register_pending, "pending"),
        register_marked_at=_now(),
    )
)

TAKE_OVER_REGISTER = Statement(
    update(users)
    .where(
        _same(users.c.id),
        _same(users.c.register_number),
        users.c.register_pending.is_not(None),
        users.c.register_marked_at <= _param(users.c.register_marked_at, "before"),
    )
    .values(
        register_number=users.c.register_number + 1,
        register_marked_at=_now(),
    )
)

_CLEAN = {"register_pending": None, "register_marked_at": None}

REGISTER_ADDED = Statement(
    update(users)
    .where(
        _same(users.c.id),
        _same(users.c.register_number),
        _same(users.c.session_epoch),
        users.c.disabled_at.is_(None),
        _rested(),
    )
    .values(
        register=_param(users.c.register, "entries"),
        factor_epoch=users.c.factor_epoch + 1,
        mfa_failures=literal(0),
        mfa_rests_until=literal(0, BigInteger()),
        **_CLEAN,
    )
)

REGISTER_WRITTEN = Statement(
    update(users)
    .where(_same(users.c.id), _same(users.c.register_number))
    .values(
        register=_param(users.c.register, "entries"),
        factor_epoch=users.c.factor_epoch + _param(users.c.factor_epoch, "epochs"),
        **_CLEAN,
    )
)

# With the last authenticator goes the count of its failures: the next one is bound anew.
REGISTER_EMPTIED = Statement(
    update(users)
    .where(_same(users.c.id), _same(users.c.register_number))
    .values(
        register=literal("[]", users.c.register.type),
        factor_epoch=users.c.factor_epoch + 1,
        mfa_failures=literal(0),
        mfa_rests_until=literal(0, BigInteger()),
        **_CLEAN,
    )
)

FAIL_ACTIVATION = Statement(
    update(users)
    .where(_same(users.c.id), _same(users.c.register_number), _rested())
    .values(mfa_failures=users.c.mfa_failures + 1, mfa_rests_until=_rest(), **_CLEAN)
)

FIND_DIRTY = Statement(
    select(users.c.id)
    .where(users.c.register_marked_at <= _param(users.c.register_marked_at, "before"))
    .order_by(users.c.register_marked_at)
    .limit(SWEPT_AT_ONCE)
)

# Sessions. A step holds only if the version that it read is still the latest.

_CHANGING = ("user_id", "session_epoch", "expires_at", "authenticated_at", "login", "methods",
             "enrolments")  # fmt: skip

INSERT_SESSION = Statement(sessions.insert())

UPDATE_SESSION = Statement(
    update(sessions)
    .where(_same(sessions.c.id), _same(sessions.c.version))
    .values(
        {
            "version": sessions.c.version + 1,
            "token_hash": _param(sessions.c.token_hash),
            "ip": _param(sessions.c.ip),
            "user_agent": _param(sessions.c.user_agent),
            **{name: _param(sessions.c[name]) for name in _CHANGING},
        }
    )
)

KEEP_TOKEN_UPDATE_SESSION = Statement(
    update(sessions)
    .where(_same(sessions.c.id), _same(sessions.c.version))
    .values(
        {
            "version": sessions.c.version + 1,
            **{name: _param(sessions.c[name]) for name in _CHANGING},
        }
    )
)

SET_ENROLMENTS = Statement(
    update(sessions)
    .where(_same(sessions.c.id), sessions.c.authenticated_at.is_not(None))
    .values(enrolments=_param(sessions.c.enrolments))
)

DELETE_SESSION = Statement(delete(sessions).where(_same(sessions.c.id)))

# Work that is due.

INSERT_MAIL = Statement(mails.insert())

TAKE_MAIL = Statement(
    update(mails)
    .where(
        mails.c.id
        == select(mails.c.id)
        .where(mails.c.due_at <= _param(mails.c.due_at, "now"))
        .order_by(mails.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(due_at=_param(mails.c.due_at, "next_at"), attempts=mails.c.attempts + 1)
    .returning(*mails.c)
)

PUT_BACK_MAIL = Statement(
    update(mails).where(_same(mails.c.id)).values(due_at=_param(mails.c.due_at, "next_at"))
)

DELETE_MAIL = Statement(delete(mails).where(_same(mails.c.id)))


def _bury(insert: Any) -> Any:
    return (
        insert(dead_authenticators)
        .values(
            factor=_param(dead_authenticators.c.factor),
            authenticator_id=_param(dead_authenticators.c.authenticator_id),
            user_id=_param(dead_authenticators.c.user_id),
            due_at=_param(dead_authenticators.c.due_at),
            attempts=literal(0, dead_authenticators.c.attempts.type),
        )
        .on_conflict_do_nothing()
    )


BURY = Statement(postgresql=_bury(postgresql.insert), sqlite=_bury(sqlite.insert))

_due = (
    select(dead_authenticators.c.authenticator_id)
    .where(dead_authenticators.c.due_at <= _param(dead_authenticators.c.due_at, "now"))
    .order_by(dead_authenticators.c.due_at)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)

TAKE_DEAD = Statement(
    update(dead_authenticators)
    .where(dead_authenticators.c.authenticator_id == _due)
    .values(
        due_at=_param(dead_authenticators.c.due_at, "next_at"),
        attempts=dead_authenticators.c.attempts + 1,
    )
    .returning(*dead_authenticators.c)
)

PUT_BACK_DEAD = Statement(
    update(dead_authenticators)
    .where(_same(dead_authenticators.c.factor), _same(dead_authenticators.c.authenticator_id))
    .values(due_at=_param(dead_authenticators.c.due_at, "next_at"))
)

DELETE_DEAD = Statement(
    delete(dead_authenticators).where(
        _same(dead_authenticators.c.factor), _same(dead_authenticators.c.authenticator_id)
    )
)


def _in_batches(key: Column[Any], until: Column[Any]) -> Statement:
    over = select(key).where(until <= _param(until, "now")).limit(SWEPT_AT_ONCE)
    return Statement(delete(key.table).where(key.in_(over.scalar_subquery())))


DELETE_EXPIRED_SESSIONS = _in_batches(sessions.c.id, sessions.c.expires_at)
DELETE_EXPIRED_ATTEMPTS = _in_batches(attempts.c.key_hash, attempts.c.window_ends_at)
