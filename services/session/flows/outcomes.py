"""What can come of a flow, for the edge to put into words."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.session.domain.factors import TYPES
from services.session.domain.faults import Fault
from services.session.domain.methods import MethodKind
from services.session.domain.register import Entry
from services.session.domain.sessions import Account, Client, Session, pending_stage
from services.session.domain.signals import Signal
from services.session.domain.stages import Stage
from services.session.domain.tokens import Tokens
from services.session.store.emails import Address
from services.session.store.session_list import Listed
from shared.errors import Mistake
from shared.trust import Browser


def until(moment: datetime, now: datetime) -> timedelta:
    """Return how long it is from `now` to `moment`, at least a second."""
    return max(moment - now, timedelta(seconds=1))


class Gone(Mistake):
    """The session that was named is not there, or no more."""

    code = "gone"


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Who is calling, from where, and in which session.

    `account` is there if the session is authenticated, or its login under way is of a real person.
    `trust_tokens` are what a browser has to show where people trust it, of all its people.
    `offered` are the kinds of authenticators that there are here.
    """

    client: Client
    address: str
    user_agent: str
    trust_tokens: tuple[str, ...] = field(default=(), repr=False)
    session: Session | None = None
    account: Account | None = None
    offered: tuple[str, ...] = TYPES

    @property
    def authenticated(self) -> bool:
        """Whether somebody is logged in."""
        session = self.session
        return session is not None and session.authenticated_at is not None

    @property
    def logged_in(self) -> tuple[Session, Account] | None:
        """The session and the account of who is logged in, or None."""
        if self.session is None or self.account is None or not self.authenticated:
            return None
        return self.session, self.account

    @property
    def as_nobody(self) -> "Visit":
        """The same visitor, without session and account."""
        return replace(self, session=None, account=None)

    @property
    def pending(self) -> Stage | None:
        """The stage that a login under way waits at."""
        return None if self.session is None else pending_stage(self.session, self.account)

    @property
    def resets(self) -> bool:
        """Whether the session waits for the code by which a password is reset."""
        return self.session is not None and self.session.processes.reset is not None

    @property
    def types(self) -> tuple[str, ...]:
        """The kinds of authenticators by which the person can prove themselves."""
        return () if self.account is None else self.account.register.types_among(self.offered)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the visitor stands now. `token` is the session's token, if it is new.

    `trust_tokens` are what the browser is to keep in place of those that it has shown; None if it
    keeps them. `signal` is what its page may tell it of passkeys. `tokens` are what an app is given
    where somebody has been logged in.
    """

    visit: Visit
    token: str | None = field(default=None, repr=False)
    trust_tokens: tuple[str, ...] | None = field(default=None, repr=False)
    signal: Signal | None = None
    tokens: Tokens | None = None


@dataclass(frozen=True)
class Asked:
    """What a browser is to ask a key for. `token` is that of a session that was opened for it."""

    display: Mapping[str, object] = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Refused:
    """What was typed will not do, or is not judged before `retry_after` has passed.

    `signal` is as in `Standing`.
    """

    faults: tuple[Fault, ...]
    retry_after: timedelta | None = None
    signal: Signal | None = None


@dataclass(frozen=True)
class Misfit:
    """The step does not fit the state, and perhaps why."""

    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Addresses:
    """The addresses of a person, the primary one first."""

    listed: tuple[Address, ...]


@dataclass(frozen=True)
class AddressShown:
    """An address that is to be verified, and whose it is.

    `is_authenticating` says that a login waits for that.
    """

    address: str
    account: Account
    is_authenticating: bool


@dataclass(frozen=True)
class ResetShown:
    """The person whose password may be reset."""

    account: Account


@dataclass(frozen=True)
class Unsent:
    """No mail is sent: there have been enough, or none is needed."""


@dataclass(frozen=True)
class Done:
    """It is done, and there is no more to say."""


@dataclass(frozen=True)
class LoginNeeded:
    """Only for those who are logged in."""

    visit: Visit


@dataclass(frozen=True)
class StageNeeded:
    """Only for a login that waits at that stage."""

    visit: Visit


@dataclass(frozen=True)
class ReauthenticationNeeded:
    """Only for those who have proved themselves again a short while ago, by one of `methods`."""

    visit: Visit
    methods: frozenset[MethodKind] = frozenset(MethodKind)


@dataclass(frozen=True)
class Throttled:
    """Too often."""

    retry_after: timedelta


@dataclass(frozen=True)
class Authenticators:
    """All that the person has enrolled, in order. `signal` is as in `Standing`."""

    entries: tuple[Entry, ...]
    signal: Signal | None = None


@dataclass(frozen=True)
class Enrolled:
    """An authenticator that the person has, or has got just now.

    Then `codes_generated` says whether recovery codes were made along. `signal` is as in
    `Standing`.
    """

    entry: Entry
    codes_generated: bool | None = None
    signal: Signal | None = None


@dataclass(frozen=True)
class NotEnrolled:
    """There is no authenticator yet; this is what it takes to set one up, secret included."""

    display: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True)
class Codes:
    """A set of recovery codes; `codes` are the unused ones if they may be seen, and on a sheet."""

    entry: Entry
    codes: tuple[str, ...] | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Absent:
    """The person has nothing of the kind."""


@dataclass(frozen=True)
class Sessions:
    """The live sessions of the person; when they were last seen is shown only if `tracked`."""

    listed: tuple[Listed, ...]
    tracked: bool


@dataclass(frozen=True, kw_only=True)
class TrustedBrowsers:
    """The browsers that the person trusts, and, as in `Standing`, what this one is to keep."""

    browsers: tuple[Browser, ...]
    trust_tokens: tuple[str, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Refreshed:
    """New tokens in place of those that an app had."""

    tokens: Tokens


@dataclass(frozen=True)
class Removed:
    """What was to go is not there, or no more. `signal` is as in `Standing`."""

    signal: Signal | None = None


Outcome = (
    Standing
    | Asked
    | Refused
    | Misfit
    | Addresses
    | AddressShown
    | ResetShown
    | Unsent
    | Done
    | LoginNeeded
    | StageNeeded
    | ReauthenticationNeeded
    | Throttled
    | Authenticators
    | Enrolled
    | NotEnrolled
    | Codes
    | Absent
    | Sessions
    | TrustedBrowsers
    | Removed
    | Refreshed
)
