"""Accounts, sessions, counters and the register: what flows read, and the steps of their writes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.session.domain.factors import service_of
from services.session.domain.identifiers import Identifier
from services.session.domain.limits import (
    CONFIRM_EMAIL,
    LONGEST_REST,
    Counter,
    Limits,
    Rate,
    about_of,
    doublings_of,
    guessed_at,
    guesses_at,
    name_of,
    network_of,
)
from services.session.domain.origins import Arrival, Origin, origin_of
from services.session.domain.register import Named, Pending, Register
from services.session.domain.sessions import Account, Client, Session
from services.session.domain.usernames import key_of
from services.session.store import statements
from services.session.store.rows import (
    EMPTY_REGISTER,
    Found,
    account_of,
    account_or_decoy,
    moment,
    pending_json,
    register_json,
    session_columns,
    session_of,
)
from shared.clock import MICROSECOND, from_micros, to_micros
from shared.database import Change, Database, Row, Statement, Step, also, step
from shared.event import Event

REMEMBERED = timedelta(days=90)  # where a person has logged in


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a name, to somebody who comes from an origin.

    `limited_until` is set while too many proofs have failed; `counters` are those that count for
    this visitor. `action_until` is set while what they do has been done too often; `is_counted`
    says that this time is among those counted by now. `in_a_row` is that of the counters which a
    right password begins anew, in a browser that is trusted.
    `address_verified` says whether the name is an address that is known to be the account's; it
    need not be the primary one. `any_verified` says whether any is.
    """

    account: Account | None
    arrival: Arrival
    counters: tuple[Counter, ...]
    limited_until: datetime | None
    action_until: datetime | None
    is_counted: bool = False
    in_a_row: Counter | None = None
    address_verified: bool = False
    any_verified: bool = False


@dataclass(frozen=True, kw_only=True)
class Vacancy:
    """What somebody who signs up finds: who has the address, and whether the username is free.

    `action_until` is set while there have been too many sign-ups.
    """

    owner: Account | None
    username_taken: bool
    action_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class DeadAuthenticator:
    """An authenticator that a factor may still hold, and that counts no more."""

    user_id: str
    factor: str
    authenticator_id: str
    attempts: int


class Store:
    """Reads, steps, and `write`, which takes steps and events together or not at all."""

    def __init__(self, db: Database, limits: Limits) -> None:
        self._db = db
        self.limits = limits

    async def write(self, *steps: Step, events: Sequence[Event] = ()) -> Row | None:
        """Write steps and events at once. None, and nothing written, if a step is refused."""
        return await self._db.apply(Change(*steps), *events)

    async def record(self, *events: Event) -> None:
        """Write events alone."""
        await self._db.record(*events)

    # Reads

    async def find_session(self, token_hash: bytes, client: Client) -> Found | None:
        """Return the session of a token, if it is of that kind of client, with its account.

        Whether it still counts is for the domain to say.
        """
        row = await self._db.find(statements.FIND_SESSION, token_hash=token_hash, kind=client.value)
        return None if row is None else Found(session=session_of(row), account=account_of(row))

    async def find_account(self, id: str) -> Account | None:
        """Return an account."""
        row = await self._db.find(statements.FIND_ACCOUNT, id=id)
        return None if row is None else account_of(row)

    async def find_known(
        self,
        name: Identifier,
        *,
        ip: str,
        user_agent: str,
        now: datetime,
        action: tuple[Counter, ...] = (),
    ) -> Known:
        """Return what is known of whoever is called so. The same work if nothing is.

        `action` are the counters of what the visitor does. Guesses at an account are counted as
        one, by whichever of its names.
        """
        origin = origin_of(ip, user_agent)
        limits, nobody = self.limits, name_of(name.canonical)
        row = await self._db.find(
            statements.FIND_KNOWN,
            address=name.address,
            username_key=name.username_key,
            user_id=name.user_id,
            nobody=nobody.key,
            action_keys=_keys(action),
            origin_keys=_keys(c for c in limits.strangers(nobody, ip=ip) if c.about is None),
            stranger_series=list(limits.series()),
            own_series=list(limits.series(within=network_of(ip))),
            network=origin.network,
            agent=origin.agent,
            now=to_micros(now),
        )
        if row is None:
            raise TypeError("the query has a row for every name")
        at_home, account = bool(row.network_known), account_or_decoy(row)
        subject = nobody if account is None else guessed_at(account.id)
        used_up = (row.origin_until, row.own_until if at_home else row.stranger_until)
        return Known(
            account=account,
            arrival=_arrival(row, origin),
            counters=(limits.own if at_home else limits.strangers)(subject, ip=ip),
            limited_until=moment(max((at for at in used_up if at is not None), default=None)),
            action_until=moment(row.action_until),
            address_verified=row.typed_verified_at is not None,
            any_verified=bool(row.any_verified),
        )

    async def find_vacancy(
        self,
        address: str | None,
        username: str | None,
        now: datetime,
        *,
        action: tuple[Counter, ...],
    ) -> Vacancy:
        """Return what somebody finds who signs up, with a canonical address and a username."""
        row = await self._db.find(
            statements.FIND_FOR_SIGNUP,
            address=address,
            username_key=None if username is None else key_of(username),
            action_keys=_keys(action),
            now=to_micros(now),
        )
        if row is None:
            raise TypeError("the query has a row for every name")
        return Vacancy(
            owner=account_of(row),
            username_taken=bool(row.username_taken),
            action_until=moment(row.action_until),
        )

    async def in_trusted_browser(
        self, known: Known, account: Account, browser_id: str, now: datetime
    ) -> Known:
        """Return what is `known` with the counters of a browser that the owner trusts."""
        in_a_row = self.limits.trusted_in_a_row(account.id, account.password_hash)
        counters = (*self.limits.trusted(user=account.id, browser=browser_id), in_a_row)
        return replace(
            known,
            counters=counters,
            limited_until=await self.spent_until(counters, now),
            in_a_row=in_a_row,
        )

    async def find_arriving(
        self, id: str, *, ip: str, user_agent: str
    ) -> tuple[Account, Arrival] | None:
        """Return an account, and what of where its owner is now it has been seen with before."""
        origin = origin_of(ip, user_agent)
        row = await self._db.find(
            statements.FIND_ARRIVING, id=id, network=origin.network, agent=origin.agent
        )
        account = None if row is None else account_of(row)
        return None if row is None or account is None else (account, _arrival(row, origin))

    async def spent_until(self, counters: Sequence[Counter], now: datetime) -> datetime | None:
        """Return until when some of `counters` are used up, or None."""
        row = await self._db.find(statements.SPENT_UNTIL, keys=_keys(counters), now=to_micros(now))
        return None if row is None else moment(row.until)

    async def has_been_at(self, user_id: str, origin: Origin) -> bool:
        """Tell whether the person has logged in from the network of `origin`."""
        row = await self._db.find(statements.HAS_BEEN, user_id=user_id, network=origin.network)
        return row is not None

    # Conditions

    def account_stands(self, account: Account, *, held: bool = False) -> Step:
        """Refuse unless epochs and register of the account are as they were read.

        While it is `held`, whoever changes it waits.
        """
        return step(
            statements.HELD_ACCOUNT_STANDS if held else statements.ACCOUNT_STANDS,
            id=account.id,
            factor_epoch=account.factor_epoch,
            session_epoch=account.session_epoch,
            register_number=account.register.number,
        )

    def within(self, counters: Sequence[Counter], now: datetime) -> tuple[Step, ...]:
        """Refuse if one of `counters` is used up. Counts nothing, in the order of `count`."""
        return tuple(_upon(statements.WITHIN_LIMIT, counter, now) for counter in counters)

    def accept_password(self, known: Known, now: datetime) -> tuple[Step, ...]:
        """Refuse if a counter of `known` is used up, and forget the failures in a row."""
        return tuple(
            _upon(
                statements.FORGET_ATTEMPTS
                if counter == known.in_a_row
                else statements.WITHIN_LIMIT,
                counter,
                now,
            )
            for counter in known.counters
        )

    # Counters

    def count(self, counters: Sequence[Counter], now: datetime) -> tuple[Step, ...]:
        """Count one attempt by each; refuse, and count nothing, if one of them is used up.

        Always in the same order, so that two of them cannot wait for each other.
        """
        return tuple(_upon(statements.COUNT_ATTEMPT, counter, now) for counter in counters)

    def count_mail(
        self, address: str, now: datetime, *, ip: str, action: str = CONFIRM_EMAIL
    ) -> tuple[Step, ...]:
        """Count a mail to an address that somebody at `ip` asks for by `action`.

        Refuse beyond the limit.
        """
        return self.count(self.limits.mails(address=address, ip=ip, action=action), now)

    def count_mfa_failure(
        self, user_id: str, now: datetime, *, here: Counter | None = None, familiar: bool = False
    ) -> tuple[Step, ...]:
        """Count a wrong second factor; refuse while it rests, or `here` is used up.

        With `familiar` the owner has logged in from here before: then it does not rest here,
        unless it is for ever.
        """
        count = statements.COUNT_FAMILIAR_MFA_FAILURE if familiar else statements.COUNT_MFA_FAILURE
        rest = _rest(self.limits.second_factor)
        return (
            *(self.count((here,), now) if here else ()),
            step(count, id=user_id, now=to_micros(now), **rest),
        )

    def accept_mfa(
        self,
        account: Account,
        register: Register,
        now: datetime,
        *,
        here: Counter,
        familiar: bool = False,
    ) -> tuple[Step, ...]:
        """Forget the failures and note the use; refuse as `count_mfa_failure`, or after a change.

        Another use is one as well. Nobody but the person can make the counter of `here`, which is
        theirs alone, begin anew.
        """
        params = _used(account, register)
        forgotten = _upon(statements.FORGET_ATTEMPTS, here, now)
        if familiar:
            return (forgotten, step(statements.ACCEPT_FAMILIAR_MFA, **params))
        return (forgotten, step(statements.ACCEPT_MFA, **params, now=to_micros(now)))

    def accept_passkey(self, account: Account, register: Register) -> Step:
        """Note the use of a passkey that logs in alone; refuse after a change, or another use."""
        return step(statements.ACCEPT_PASSKEY, **_used(account, register))

    def forget_guesses(self, user_id: str) -> Step:
        """Forget the wrong passwords that were counted of the account, wherever it was."""
        return also(statements.FORGET_COUNTERS, about=[about_of(guesses_at(user_id))])

    # Where people log in

    def remember_origin(self, user_id: str, origin: Origin, now: datetime) -> Step:
        """Remember that the person has logged in from there."""
        return also(
            statements.REMEMBER_ORIGIN,
            user_id=user_id,
            network=origin.network,
            agent=origin.agent,
            now=to_micros(now),
        )

    def replace_hash(self, account: Account, new_hash: str) -> Step:
        """Write a new hash of the same password, unless the password was changed meanwhile."""
        return also(
            statements.REPLACE_HASH,
            id=account.id,
            old_hash=account.password_hash,
            new_hash=new_hash,
        )

    # Accounts

    def sign_up(
        self,
        *,
        user_id: str,
        email_id: str,
        address: str | None,
        username: str | None,
        password_hash: str | None,
        fresh: bool,
        now: datetime,
    ) -> tuple[Step, ...]:
        """Make an account, if the address is `fresh`; otherwise the same steps change nothing.

        Raises Conflict if the address or the username is taken after all.
        """
        key = None if username is None else key_of(username)
        steps = [
            also(
                statements.INSERT_USER,
                id=user_id,
                username=username,
                username_key=key,
                password_hash=password_hash,
                fresh=int(fresh),
                now=to_micros(now),
            )
        ]
        if address is not None:
            steps.append(
                also(
                    statements.INSERT_EMAIL,
                    id=email_id,
                    user_id=user_id,
                    address=address,
                    fresh=int(fresh),
                )
            )
        return tuple(steps)

    def reserve_username(self, username: str, now: datetime, *, wanted: bool) -> Step:
        """Hold a username for nobody, if that is `wanted`."""
        return also(
            statements.RESERVE_USERNAME,
            username_key=key_of(username),
            wanted=int(wanted),
            now=to_micros(now),
        )

    def give_up_username(self, user_id: str, username: str) -> Step:
        """Take a username from an account, if it has it."""
        return also(statements.GIVE_UP_USERNAME, id=user_id, was=key_of(username))

    def newcomer(
        self, user_id: str, address: str | None, username: str | None, password_hash: str | None
    ) -> Account:
        """Return the account that `sign_up` makes, as it is read."""
        return Account(
            id=user_id,
            email=address,
            username=username,
            email_verified=False,
            password_hash=password_hash,
            factor_epoch=0,
            session_epoch=0,
            disabled=False,
            register=Register(),
            mfa_rests_until=from_micros(0),
            register_read=EMPTY_REGISTER,
        )

    def verify_email(
        self, user_id: str, address: str, now: datetime, *, first: bool = False
    ) -> Step:
        """Mark an address of the account as verified; refuse if it is not theirs.

        Refuse as well if it has been verified and this is to be the `first` time.
        """
        verify = statements.VERIFY_EMAIL_FIRST if first else statements.VERIFY_EMAIL
        return step(verify, user_id=user_id, address=address, now=to_micros(now))

    # The register

    def mark_register(self, account: Account, pending: Pending, now: datetime) -> Step:
        """Announce a change under the next number; refuse if another is under way.

        If anything has been written since, a use or a name, that would be lost: refuse as well.
        """
        return step(
            statements.MARK_REGISTER,
            id=account.id,
            register_number=account.register.number,
            was=account.register_read,
            session_epoch=account.session_epoch,
            pending=pending_json(pending),
            now=to_micros(now),
        )

    def having(self, account: Account, register: Register) -> Account:
        """Return the account as it is read once `register` is written."""
        return replace(account, register=register, register_read=register_json(register))

    def take_over_register(self, account: Account, *, before: datetime, now: datetime) -> Step:
        """Take the next number of a register that is dirty since `before`.

        Refuse if it was marked later, or if somebody else has taken it over.
        """
        return step(
            statements.TAKE_OVER_REGISTER,
            id=account.id,
            register_number=account.register.number,
            before=to_micros(before),
            now=to_micros(now),
        )

    def register_added(
        self,
        account: Account,
        register: Register,
        now: datetime,
        *,
        here: Counter,
        familiar: bool = False,
    ) -> tuple[Step, ...]:
        """Write the register clean with what was added, and forget the failures.

        Refuse if its number is no more, if the sessions of the account were ended, or as
        `count_mfa_failure`.
        """
        params: dict[str, object] = {
            "id": account.id,
            "register_number": register.number,
            "session_epoch": account.session_epoch,
            "register": register_json(register),
        }
        forgotten = _upon(statements.FORGET_ATTEMPTS, here, now)
        if familiar:
            return (forgotten, step(statements.FAMILIAR_REGISTER_ADDED, **params))
        return (forgotten, step(statements.REGISTER_ADDED, **params, now=to_micros(now)))

    def register_grown(self, account: Account, register: Register) -> Step:
        """Write the register clean with what was added by no code that could be guessed.

        Refuse if its number is no more, or if the sessions of the account were ended. The failures
        of what there was before stay counted; the first second factor is bound anew.
        """
        is_first = not account.register.has_second_factor
        return step(
            statements.FIRST_REGISTER_ADDED if is_first else statements.REGISTER_REPLACED,
            id=account.id,
            register_number=register.number,
            session_epoch=account.session_epoch,
            register=register_json(register),
        )

    def register_written(self, user_id: str, register: Register, *, changed: bool) -> Step:
        """Write the register clean; refuse if its number is no more.

        `changed` says that an authenticator is gone. If it was the last, the second factor has no
        failures any more, and does not rest.
        """
        written = {
            "id": user_id,
            "register_number": register.number,
            "register": register_json(register),
        }
        if changed and not register.entries:
            return step(statements.REGISTER_EMPTIED, **written)
        return step(statements.REGISTER_WRITTEN, **written, epochs=int(changed))

    def register_replaced(self, account: Account, register: Register) -> Step:
        """Write the register clean with what has taken the place of something else.

        Refuse if its number is no more, or if the sessions of the account were ended.
        """
        return step(
            statements.REGISTER_REPLACED,
            id=account.id,
            register_number=register.number,
            session_epoch=account.session_epoch,
            register=register_json(register),
        )

    def refresh_register(self, account: Account, register: Register) -> Step:
        """Write what is shown of the authenticators, if nothing else has been written since."""
        return also(statements.REFRESH_REGISTER, **_refreshed(account, register))

    def rename_entry(self, account: Account, register: Register) -> Step:
        """Write what an authenticator is called; refuse if anything has been written since."""
        return step(statements.REFRESH_REGISTER, **_refreshed(account, register))

    def fail_activation(
        self, user_id: str, number: int, now: datetime, *, here: Counter, familiar: bool = False
    ) -> tuple[Step, ...]:
        """Count a wrong code and withdraw the change; refuse as `count_mfa_failure`."""
        fail = statements.FAIL_FAMILIAR_ACTIVATION if familiar else statements.FAIL_ACTIVATION
        rest = _rest(self.limits.second_factor)
        return (
            *self.count((here,), now),
            step(fail, id=user_id, register_number=number, now=to_micros(now), **rest),
        )

    def bury(self, user_id: str, dead: Named, due_at: datetime) -> Step:
        """Leave an authenticator to the sweep: its factor is to remove it, from `due_at` on."""
        return also(
            statements.BURY,
            user_id=user_id,
            factor=service_of(dead.type),
            authenticator_id=dead.id,
            due_at=to_micros(due_at),
        )

    def keep(self, user_id: str, factor: str) -> Step:
        """Remember that a factor has been told of a person, and is to forget them in the end.

        A factor is a service here, and so it is in what is left to the sweep.
        """
        return also(statements.KEEP, user_id=user_id, factor=factor)

    async def find_dirty(self, before: datetime) -> list[str]:
        """Return the users whose register has been dirty since `before`, longest first."""
        rows = await self._db.all(statements.FIND_DIRTY, before=to_micros(before))
        return [row.id for row in rows]

    async def take_dead(self, now: datetime, lease: timedelta) -> DeadAuthenticator | None:
        """Take the dead authenticator that has been due longest, for as long as `lease`."""
        row = await self._db.apply(
            step(statements.TAKE_DEAD, now=to_micros(now), next_at=to_micros(now + lease))
        )
        if row is None:
            return None
        return DeadAuthenticator(
            user_id=row.user_id,
            factor=row.factor,
            authenticator_id=row.authenticator_id,
            attempts=row.attempts,
        )

    async def put_back_dead(self, dead: DeadAuthenticator, due_at: datetime) -> None:
        """Let a dead authenticator be due again at `due_at`."""
        await self._db.apply(
            step(
                statements.PUT_BACK_DEAD,
                factor=dead.factor,
                authenticator_id=dead.authenticator_id,
                next_at=to_micros(due_at),
            )
        )

    async def forget_dead(self, dead: DeadAuthenticator) -> None:
        """Forget a dead authenticator that its factor has removed."""
        await self._db.apply(
            step(
                statements.DELETE_DEAD,
                factor=dead.factor,
                authenticator_id=dead.authenticator_id,
            )
        )

    # Sessions

    def open_session(
        self, session: Session, token_hash: bytes, *, ip: str, user_agent: str
    ) -> Step:
        """Insert a session."""
        return step(
            statements.INSERT_SESSION,
            id=session.id,
            kind=session.client.value,
            token_hash=token_hash,
            created_at=to_micros(session.created_at),
            ip=ip,
            user_agent=user_agent,
            **session_columns(session),
        )

    def move_session(
        self, session: Session, token_hash: bytes, *, ip: str, user_agent: str
    ) -> Step:
        """Write the next state of a session under a new token; the old one is dead.

        `session` has the version that was read; refuse if it has moved on or ended since.
        """
        return step(
            statements.UPDATE_SESSION,
            id=session.id,
            token_hash=token_hash,
            ip=ip,
            user_agent=user_agent,
            **session_columns(session),
        )

    def change_session(self, session: Session) -> Step:
        """Write the next state of a session that keeps its token; refuse if it has moved on."""
        return step(statements.KEEP_TOKEN_UPDATE_SESSION, id=session.id, **session_columns(session))

    def session_stands(self, id: str) -> Step:
        """Refuse if nobody is logged in with the session any more."""
        return step(statements.SESSION_STANDS, id=id)

    def end_session(self, id: str) -> Step:
        """End a session for good; refuse if it has ended."""
        return step(statements.DELETE_SESSION, id=id)

    async def delete_expired(self, now: datetime) -> bool:
        """Delete one batch of what is over. True if there was any, and may be more."""
        sessions = await self._db.apply(
            step(statements.DELETE_EXPIRED_SESSIONS, now=to_micros(now))
        )
        attempts = await self._db.apply(
            step(statements.DELETE_EXPIRED_ATTEMPTS, now=to_micros(now))
        )
        origins = await self._db.apply(
            step(statements.DELETE_STALE_ORIGINS, before=to_micros(now - REMEMBERED))
        )
        return any(deleted is not None for deleted in (sessions, attempts, origins))


def _arrival(row: Row, origin: Origin) -> Arrival:
    return Arrival(
        origin=origin,
        network_known=bool(row.network_known),
        agent_known=bool(row.agent_known),
    )


def _refreshed(account: Account, register: Register) -> dict[str, object]:
    return {
        "id": account.id,
        "register_number": account.register.number,
        "was": account.register_read,
        "register": register_json(register),
    }


def _used(account: Account, register: Register) -> dict[str, object]:
    return {
        **_refreshed(account, register),
        "factor_epoch": account.factor_epoch,
        "session_epoch": account.session_epoch,
    }


def _upon(statement: Statement, counter: Counter, now: datetime) -> Step:
    return step(
        statement,
        key=counter.key,
        ceiling=counter.ceiling,
        now=to_micros(now),
        ends_at=to_micros(now + counter.window),
        about=counter.about,
    )


def _keys(counters: Iterable[Counter]) -> list[str]:
    return [counter.key for counter in counters]


def _rest(rate: Rate) -> dict[str, object]:
    """Return the values of a statement that counts failures in a row; see `rest_after`."""
    return {
        "free": rate.amount,
        "first_rest": rate.window // MICROSECOND,
        "longest_rest": max(LONGEST_REST, rate.window) // MICROSECOND,
        "doublings": doublings_of(rate),
    }
