"""Every statement that session makes, built once."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Select,
    SmallInteger,
    Text,
    and_,
    bindparam,
    case,
    column,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.selectable import TableValuedAlias

from services.session.domain.limits import FOR_EVER, LAST_FAILURE
from services.session.store.rows import EMPTY_REGISTER
from services.session.store.tables import (
    attempts,
    claimed_addresses,
    dead_authenticators,
    emails,
    keepers,
    mails,
    origins,
    reserved_usernames,
    sessions,
    users,
)
from shared.clock import to_micros
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

_has_claims = exists(
    select(claimed_addresses.c.user_id).where(claimed_addresses.c.user_id == users.c.id)
)

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
    users.c.username,
    emails.c.address,
    emails.c.verified_at,
    _has_claims.label("has_claims"),
)

_primary_email = and_(emails.c.user_id == users.c.id, emails.c.is_primary == literal(1))
_alive = users.c.deleted_at.is_(None)

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
    .select_from(users.outerjoin(emails, _primary_email))
    .where(_same(users.c.id), _alive)
)


Listed = Callable[[str], TableValuedAlias]
"""Makes rows of a list: of the parameter that is called so, in a column `value`."""


def _listed_postgresql(name: str) -> TableValuedAlias:
    array = bindparam(name, type_=ARRAY(Text()))
    return func.unnest(array).table_valued(column("value", Text())).render_derived(name=name)


def _listed_sqlite(name: str) -> TableValuedAlias:
    array = bindparam(name, type_=Text())
    return func.json_each(array).table_valued(column("value", Text()), name=name)


def _spent_until(
    keys: TableValuedAlias, end: ColumnElement[str] | None = None
) -> ColumnElement[int]:
    """Return until when some of the counters that are called so are used up, or null.

    `keys` are whole, or begin what `end` ends. Each is looked up in a subquery of its own: to a
    join a planner that knows little of the table brings everybody's counters.
    """
    key = keys.c.value if end is None else keys.c.value + end
    spent_until = (
        select(attempts.c.window_ends_at)
        .where(
            attempts.c.key == key,
            attempts.c.window_ends_at > _now(),
            attempts.c.count >= attempts.c.ceiling,
        )
        .correlate_except(attempts)
        .scalar_subquery()
    )
    return select(func.max(spent_until)).select_from(keys).scalar_subquery()


def _any_spent(listed: Listed) -> Select[Any]:
    return select(_spent_until(listed("keys")).label("until"))


SPENT_UNTIL = Statement(
    postgresql=_any_spent(_listed_postgresql), sqlite=_any_spent(_listed_sqlite)
)


def _seen(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(select(origins.c.user_id).where(origins.c.user_id == users.c.id, *conditions))


HAS_BEEN = Statement(
    select(literal(1).label("has_been"))
    .select_from(origins)
    .where(_same(origins.c.user_id), _same(origins.c.network))
    .limit(1)
)

FIND_ARRIVING = Statement(
    select(
        *ACCOUNT_COLUMNS,
        _seen(_same(origins.c.network)).label("network_known"),
        _seen(_same(origins.c.agent)).label("agent_known"),
    )
    .select_from(users.outerjoin(emails, _primary_email))
    .where(_same(users.c.id), _alive)
)

_one = select(literal(1).label("one")).subquery("one")
_typed, _others = emails.alias("typed"), emails.alias("others")
_named = users.alias("named")
_any_verified = exists(
    select(_others.c.id).where(_others.c.user_id == users.c.id, _others.c.verified_at.is_not(None))
)


def _of_typed(column: Column[Any]) -> ColumnElement[Any]:
    """Return what `column` has of the address that was typed, or null."""
    return select(column).where(_same(_typed.c.address)).scalar_subquery()


_key_taken = (
    select(_named.c.id).where(_same(_named.c.username_key, "username_key")).scalar_subquery()
)


def _known(listed: Listed) -> Select[Any]:
    """Return the one row about a name, there for known and unknown ones alike.

    The account is the one that has it as an address, as its username or as its id, whichever is not
    null; `typed_verified_at` says when that address was verified. Guesses are counted by whose
    password it is: by the account, or by the name that is nobody's.
    """
    account = func.coalesce(
        _of_typed(_typed.c.user_id), _key_taken, bindparam("user_id", type_=Text())
    )
    whose = func.coalesce(users.c.id, bindparam("nobody", type_=Text()))
    return select(
        *ACCOUNT_COLUMNS,
        _spent_until(listed("action_keys")).label("action_until"),
        _spent_until(listed("origin_keys")).label("origin_until"),
        _spent_until(listed("stranger_series"), whose).label("stranger_until"),
        _spent_until(listed("own_series"), whose).label("own_until"),
        _seen(_same(origins.c.network)).label("network_known"),
        _seen(_same(origins.c.agent)).label("agent_known"),
        _of_typed(_typed.c.verified_at).label("typed_verified_at"),
        _any_verified.label("any_verified"),
    ).select_from(
        _one.outerjoin(users, and_(users.c.id == account, _alive)).outerjoin(emails, _primary_email)
    )


FIND_KNOWN = Statement(postgresql=_known(_listed_postgresql), sqlite=_known(_listed_sqlite))


def _for_signup(listed: Listed) -> Select[Any]:
    """Return whose an address is, and whether a username is taken, or held for nobody."""
    reserved = exists(
        select(reserved_usernames.c.username_key).where(_same(reserved_usernames.c.username_key))
    )
    return select(
        *ACCOUNT_COLUMNS,
        _spent_until(listed("action_keys")).label("action_until"),
        or_(_key_taken.is_not(None), reserved).label("username_taken"),
    ).select_from(
        _one.outerjoin(users, users.c.id == _of_typed(_typed.c.user_id)).outerjoin(
            emails, _primary_email
        )
    )


FIND_FOR_SIGNUP = Statement(
    postgresql=_for_signup(_listed_postgresql), sqlite=_for_signup(_listed_sqlite)
)

# Conditions of a write, as steps that change nothing.

_account_stands = (
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

ACCOUNT_STANDS = Statement(_account_stands)

# Locked, so that of two who prove to own the address of an account one comes first.
HELD_ACCOUNT_STANDS = Statement(_account_stands.with_for_update())

# Counters. One statement counts and tells whether the attempt was within the limit. What has to be
# within the limit without being counted adds nothing, but waits its turn at the row all the same:
# to read it would miss the failures that are being counted at the same time.


def _count_attempt(insert: Any, by: int, before: ColumnElement[int]) -> Any:
    over = attempts.c.window_ends_at <= _now()
    return (
        insert(attempts)
        .values(
            key=_param(attempts.c.key),
            count=literal(by, attempts.c.count.type),
            ceiling=_param(attempts.c.ceiling),
            window_ends_at=_param(attempts.c.window_ends_at, "ends_at"),
            about=_param(attempts.c.about),
        )
        .on_conflict_do_update(
            index_elements=[attempts.c.key],
            set_={
                "count": case((over, literal(by)), else_=before + by),
                "window_ends_at": case(
                    (over, _param(attempts.c.window_ends_at, "ends_at")),
                    else_=attempts.c.window_ends_at,
                ),
            },
            where=or_(over, attempts.c.count < attempts.c.ceiling),
        )
    )


COUNT_ATTEMPT, WITHIN_LIMIT, FORGET_ATTEMPTS = (
    Statement(
        postgresql=_count_attempt(postgresql.insert, by, before),
        sqlite=_count_attempt(sqlite.insert, by, before),
    )
    for by, before in (
        (1, attempts.c.count),
        (0, attempts.c.count),
        (0, literal(0, attempts.c.count.type)),
    )
)

FORGET_COUNTERS = Statement(
    delete(attempts).where(attempts.c.about.in_(bindparam("about", type_=Text())))
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
            users.c.username,
            users.c.username_key,
        ],
        _if_fresh(
            _param(users.c.id),
            _param(users.c.created_at, "now"),
            _param(users.c.password_hash),
            literal(0, users.c.factor_epoch.type).label("factor_epoch"),
            literal(0, users.c.session_epoch.type).label("session_epoch"),
            literal(EMPTY_REGISTER, users.c.register.type).label("register"),
            literal(0, users.c.register_number.type).label("register_number"),
            literal(0, users.c.mfa_failures.type).label("mfa_failures"),
            literal(0, users.c.mfa_rests_until.type).label("mfa_rests_until"),
            _param(users.c.username),
            _param(users.c.username_key),
        ),
    )
)


def _reserve(insert: Any) -> Any:
    """Hold a username for nobody: whoever signs up with a known address is to see it taken."""
    wanted = bindparam("wanted", type_=SmallInteger()) == literal(1, SmallInteger())
    return (
        insert(reserved_usernames)
        .from_select(
            [reserved_usernames.c.username_key, reserved_usernames.c.created_at],
            select(_param(reserved_usernames.c.username_key), _now()).where(wanted),
        )
        .on_conflict_do_nothing()
    )


RESERVE_USERNAME = Statement(postgresql=_reserve(postgresql.insert), sqlite=_reserve(sqlite.insert))
GIVE_UP_USERNAME = Statement(
    update(users)
    .where(_same(users.c.id), _same(users.c.username_key, "was"))
    .values(username=None, username_key=None)
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

_verify_email = (
    update(emails)
    .where(_same(emails.c.user_id), _same(emails.c.address))
    .values(verified_at=func.coalesce(emails.c.verified_at, _now()))
)

VERIFY_EMAIL = Statement(_verify_email)
VERIFY_EMAIL_FIRST = Statement(_verify_email.where(emails.c.verified_at.is_(None)))

# The second factor. Failures are counted in a row, and every one from the fifth on is followed by
# a rest in which nothing is judged.


def _rest() -> ColumnElement[int]:
    """Return when the rest ends that follows the failure being counted; see `rest_after`."""
    failures, now = users.c.mfa_failures + 1, _now()
    beyond = failures - bindparam("free", type_=Integer())
    first = bindparam("first_rest", type_=BigInteger())
    return case(
        (failures >= LAST_FAILURE, literal(to_micros(FOR_EVER), BigInteger())),
        (beyond < 0, literal(0, BigInteger())),
        (
            beyond >= bindparam("doublings", type_=Integer()),
            now + bindparam("longest_rest", type_=BigInteger()),
        ),
        else_=now + first.bitwise_lshift(beyond),
    )


def _rested() -> ColumnElement[bool]:
    return users.c.mfa_rests_until <= _now()


def _reset_is_not_needed() -> ColumnElement[bool]:
    return users.c.mfa_rests_until < literal(to_micros(FOR_EVER), BigInteger())


_failed = {"mfa_failures": users.c.mfa_failures + 1, "mfa_rests_until": _rest()}

COUNT_MFA_FAILURE = Statement(update(users).where(_same(users.c.id), _rested()).values(_failed))

# Where the owner has logged in before, a rest that others caused does not count: only the last.
COUNT_FAMILIAR_MFA_FAILURE = Statement(
    update(users).where(_same(users.c.id), _reset_is_not_needed()).values(_failed)
)


def _as_it_was() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on which a proof of a person counts: nothing has changed since.

    Nor has another use been written: it would be lost, for a use is written with the register.
    """
    return (
        _same(users.c.id),
        _same(users.c.factor_epoch),
        _same(users.c.session_epoch),
        _same(users.c.register_number),
        _same(users.c.register, "was"),
        users.c.register_pending.is_(None),
        users.c.disabled_at.is_(None),
    )


def _accept(may: ColumnElement[bool]) -> Statement:
    return Statement(
        update(users)
        .where(*_as_it_was(), may)
        .values(
            mfa_failures=literal(0),
            mfa_rests_until=literal(0, BigInteger()),
            register=_param(users.c.register),
        )
    )


ACCEPT_MFA = _accept(_rested())
ACCEPT_FAMILIAR_MFA = _accept(_reset_is_not_needed())

# A passkey that logs in alone is counted by itself: no rest stops it, and it ends none.
ACCEPT_PASSKEY = Statement(
    update(users).where(*_as_it_was()).values(register=_param(users.c.register))
)

# The register. Who marks it takes a new number, if it is still what was read: what is written clean
# comes from that. Who writes it clean must still hold the number.
# Who takes it over leaves alone what was marked after `before`.

MARK_REGISTER = Statement(
    update(users)
    .where(
        _same(users.c.id),
        _same(users.c.register_number),
        _same(users.c.register, "was"),
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


def _add(may: ColumnElement[bool]) -> Statement:
    return Statement(
        update(users)
        .where(
            _same(users.c.id),
            _same(users.c.register_number),
            _same(users.c.session_epoch),
            users.c.disabled_at.is_(None),
            may,
        )
        .values(
            register=_param(users.c.register),
            factor_epoch=users.c.factor_epoch + 1,
            mfa_failures=literal(0),
            mfa_rests_until=literal(0, BigInteger()),
            **_CLEAN,
        )
    )


REGISTER_ADDED = _add(_rested())
FAMILIAR_REGISTER_ADDED = _add(_reset_is_not_needed())
FIRST_REGISTER_ADDED = _add(true())

# While whoever asked is still there, and may.
REGISTER_REPLACED = Statement(
    update(users)
    .where(
        _same(users.c.id),
        _same(users.c.register_number),
        _same(users.c.session_epoch),
        users.c.disabled_at.is_(None),
    )
    .values(
        register=_param(users.c.register),
        factor_epoch=users.c.factor_epoch + 1,
        **_CLEAN,
    )
)

# What is shown alone: whoever uses or changes an authenticator meanwhile knows better.
REFRESH_REGISTER = Statement(
    update(users)
    .where(
        _same(users.c.id),
        _same(users.c.register_number),
        _same(users.c.register, "was"),
        users.c.register_pending.is_(None),
    )
    .values(register=_param(users.c.register))
)

REGISTER_WRITTEN = Statement(
    update(users)
    .where(_same(users.c.id), _same(users.c.register_number))
    .values(
        register=_param(users.c.register),
        factor_epoch=users.c.factor_epoch + _param(users.c.factor_epoch, "epochs"),
        **_CLEAN,
    )
)

# With the last authenticator goes the count of its failures: the next one is bound anew.
REGISTER_EMPTIED = Statement(
    update(users)
    .where(_same(users.c.id), _same(users.c.register_number))
    .values(
        register=_param(users.c.register),
        factor_epoch=users.c.factor_epoch + 1,
        mfa_failures=literal(0),
        mfa_rests_until=literal(0, BigInteger()),
        **_CLEAN,
    )
)


def _fail_activation(may: ColumnElement[bool]) -> Statement:
    return Statement(
        update(users)
        .where(_same(users.c.id), _same(users.c.register_number), may)
        .values({**_failed, **_CLEAN})
    )


FAIL_ACTIVATION = _fail_activation(_rested())
FAIL_FAMILIAR_ACTIVATION = _fail_activation(_reset_is_not_needed())

FIND_DIRTY = Statement(
    select(users.c.id)
    .where(users.c.register_marked_at <= _param(users.c.register_marked_at, "before"))
    .order_by(users.c.register_marked_at)
    .limit(SWEPT_AT_ONCE)
)

# Where a person has logged in.


def _remember(insert: Any) -> Any:
    return (
        insert(origins)
        .values(
            user_id=_param(origins.c.user_id),
            network=_param(origins.c.network),
            agent=_param(origins.c.agent),
            seen_at=_now(),
        )
        .on_conflict_do_update(
            index_elements=[origins.c.user_id, origins.c.network, origins.c.agent],
            set_={"seen_at": _now()},
        )
    )


REMEMBER_ORIGIN = Statement(
    postgresql=_remember(postgresql.insert), sqlite=_remember(sqlite.insert)
)

REPLACE_HASH = Statement(
    update(users)
    .where(_same(users.c.id), _same(users.c.password_hash, "old_hash"))
    .values(password_hash=_param(users.c.password_hash, "new_hash"))
)

# Sessions. A step holds only if the version that it read is still the latest.

_CHANGING = ("user_id", "session_epoch", "expires_at", "last_seen_at", "authenticated_at", "login",
             "methods", "processes")  # fmt: skip

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

# Locked, so that a logout at the same moment comes either before or after.
SESSION_STANDS = Statement(
    select(literal(1).label("stands"))
    .select_from(sessions)
    .where(_same(sessions.c.id), sessions.c.authenticated_at.is_not(None))
    .with_for_update()
)

DELETE_SESSION = Statement(delete(sessions).where(_same(sessions.c.id)))

# Work that is due.


def _insert_mail(insert: Any) -> Any:
    columns = [c for c in mails.c if c is not mails.c.attempts]
    values = [_param(c) for c in columns]
    wanted = bindparam("wanted", type_=SmallInteger()) == literal(1, SmallInteger())
    return (
        insert(mails)
        .from_select(
            [*columns, mails.c.attempts],
            select(*values, literal(0, mails.c.attempts.type).label("attempts")).where(wanted),
        )
        .on_conflict_do_nothing(index_elements=[mails.c.topic])
    )


INSERT_MAIL = Statement(
    postgresql=_insert_mail(postgresql.insert), sqlite=_insert_mail(sqlite.insert)
)

WITHDRAW_MAIL = Statement(delete(mails).where(_same(mails.c.topic)))

_prefix = bindparam("prefix", type_=Text())
WITHDRAW_MAILS = Statement(
    delete(mails).where(func.substr(mails.c.topic, 1, func.length(_prefix)) == _prefix)
)

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


def _keep(insert: Any) -> Any:
    return (
        insert(keepers)
        .values(user_id=_param(keepers.c.user_id), factor=_param(keepers.c.factor))
        .on_conflict_do_nothing()
    )


KEEP = Statement(postgresql=_keep(postgresql.insert), sqlite=_keep(sqlite.insert))

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
DELETE_EXPIRED_ATTEMPTS = _in_batches(attempts.c.key, attempts.c.window_ends_at)

_stale = (
    select(origins.c.user_id, origins.c.network, origins.c.agent)
    .where(origins.c.seen_at <= _param(origins.c.seen_at, "before"))
    .limit(SWEPT_AT_ONCE)
)
DELETE_STALE_ORIGINS = Statement(
    delete(origins).where(tuple_(origins.c.user_id, origins.c.network, origins.c.agent).in_(_stale))
)
