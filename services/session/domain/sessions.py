"""Sessions and the accounts that they belong to, as far as flows need to know them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from services.session.domain.addresses import display_of
from services.session.domain.methods import Method
from services.session.domain.processes import NONE_UNDER_WAY, Processes
from services.session.domain.register import Register
from services.session.domain.stages import Facts, Login, Stage, next_stage


class Client(StrEnum):
    """How a session is carried. One kind never stands in for the other."""

    APP = "app"
    BROWSER = "browser"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A person's account. `email` is the primary address, `username` what they call themselves.

    Each of them is there where the operator wants people to have one, or the person does.

    It `has_claims` if the person says of another address that it is theirs, and has yet to show it.
    No second factor is judged before `mfa_rests_until`. `register_read` is the register letter by
    letter, so that a write can tell whether it still is.
    """

    id: str
    email: str | None
    email_verified: bool
    password_hash: str | None = field(repr=False)
    factor_epoch: int
    session_epoch: int
    disabled: bool
    register: Register
    mfa_rests_until: datetime
    register_read: str = field(default="", repr=False)
    username: str | None = None
    has_claims: bool = False

    @property
    def display(self) -> str:
        """What the person is called."""
        return self.username or display_of(self.email or self.id)

    @property
    def label(self) -> str:
        """What the account is called on a person's own devices, beside other accounts of theirs."""
        return self.email or self.username or self.id

    @property
    def has_usable_password(self) -> bool:
        """Whether there is a password at all."""
        return self.password_hash is not None

    @property
    def is_unfinished(self) -> bool:
        """Whether nobody can get into it: there is no way in, or its address was never verified.

        Then it does not hold the address against whoever proves to own that. Whether it has to be
        verified is for `Verification.is_unfinished` to say.
        """
        has_way_in = self.has_usable_password and self.email_verified
        return not (has_way_in or self.register.entries or self.disabled)

    @property
    def facts(self) -> Facts:
        """What the stage machine asks about the account."""
        return Facts(
            email_verified=self.email_verified,
            has_second_factor=self.register.has_second_factor,
            email=self.email,
        )

    def was_used_since(self, before: "Account") -> bool:
        """Tell whether what is known of its authenticators has changed since, and nothing else."""
        return (
            self.register_read != before.register_read
            and self.register.number == before.register.number
            and self.register.pending is None
            and self.factor_epoch == before.factor_epoch
            and self.session_epoch == before.session_epoch
            and not self.disabled
        )


NOBODY = Facts(email_verified=False, has_second_factor=False)
"""The facts of an account that does not exist: its login waits for a code that was never sent."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session. `id` is internal and stays while its token changes.

    It is authenticated from `authenticated_at` on, and until then has at most a `login` under way,
    and `processes` besides; with none of them it is empty, which is what a login that failed
    leaves behind.
    """

    id: str
    client: Client
    version: int
    user_id: str
    session_epoch: int
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime | None = None
    authenticated_at: datetime | None = None
    login: Login | None = None
    methods: tuple[Method, ...] = ()
    processes: Processes = NONE_UNDER_WAY


def recorded_id(session_id: str) -> str:
    """Return what a session is called in logs and on record: the SHA-256 (hex) of its id."""
    return sha256(session_id.encode()).hexdigest()


def pending_stage(session: Session, account: Account | None) -> Stage | None:
    """Return the stage that the login of `session` waits at, or None if none is under way."""
    if session.login is None:
        return None
    return next_stage(session.login, account.facts if account else NOBODY)


def is_live(
    session: Session, account: Account | None, now: datetime, idle: timedelta | None = None
) -> bool:
    """Tell whether `session` still counts.

    Not after its end, nor once its account is disabled or gone, nor after a change of the epoch
    that it was made in, nor unused for as long as `idle`. A login under way ends with either
    epoch, and after fifteen minutes.
    """
    if now >= session.expires_at:
        return False
    login = session.login
    if login is not None:
        if session.authenticated_at is not None or now >= login.expires_at:
            return False
        return account is None or _fits(login, account)
    return session.authenticated_at is None or (
        account is not None
        and not account.disabled
        and account.session_epoch == session.session_epoch
        and not (idle and now >= _seen_at(session, session.authenticated_at) + idle)
    )


def _seen_at(session: Session, authenticated_at: datetime) -> datetime:
    """Return when `session` was used last, as far as that is tracked."""
    return max(authenticated_at, session.last_seen_at or authenticated_at)


def _fits(login: Login, account: Account) -> bool:
    return (
        not account.disabled
        and login.user_id == account.id
        and login.factor_epoch == account.factor_epoch
        and login.session_epoch == account.session_epoch
    )
