"""What can come of a flow, for the edge to put into words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.session.domain.faults import Fault
from services.session.domain.methods import MethodKind
from services.session.domain.register import Entry
from services.session.domain.sessions import Account, Client, Session, pending_stage
from services.session.domain.stages import Stage
from services.session.store.session_list import Listed
from shared.errors import Mistake


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
    """

    client: Client
    address: str
    user_agent: str
    session: Session | None = None
    account: Account | None = None

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
    def pending(self) -> Stage | None:
        """The stage that a login under way waits at."""
        return None if self.session is None else pending_stage(self.session, self.account)

    @property
    def types(self) -> tuple[str, ...]:
        """The kinds of authenticators that the person has."""
        return () if self.account is None else self.account.register.types


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the visitor stands now. `token` is the session's token, if it is new."""

    visit: Visit
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Refused:
    """What was typed will not do, or is not judged before `retry_after` has passed."""

    faults: tuple[Fault, ...]
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class Misfit:
    """The step does not fit the state, and perhaps why."""

    faults: tuple[Fault, ...] = ()


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
    """All that the person has enrolled, in order."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Enrolled:
    """An authenticator that the person has, or has got just now."""

    entry: Entry


@dataclass(frozen=True)
class NotEnrolled:
    """There is no authenticator yet; this is what it takes to set one up, secret included."""

    display: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True)
class Sessions:
    """The live sessions of the person; when they were last seen is shown only if `tracked`."""

    listed: tuple[Listed, ...]
    tracked: bool


@dataclass(frozen=True)
class Removed:
    """What was to go is not there, or no more."""


Outcome = (
    Standing
    | Refused
    | Misfit
    | LoginNeeded
    | StageNeeded
    | ReauthenticationNeeded
    | Throttled
    | Authenticators
    | Enrolled
    | NotEnrolled
    | Sessions
    | Removed
)
