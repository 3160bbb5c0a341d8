"""Giving an account that nobody has got into to whoever owns its address."""

from dataclasses import dataclass, replace

from services.session.domain.origins import origin_of
from services.session.domain.sessions import Account
from services.session.domain.stages import Login
from services.session.events import AccountReclaimed
from services.session.flows.outcomes import Visit
from services.session.store.credentials import begin_anew, forget_origins
from shared.database import Step
from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class Reclaimed:
    """The account as it begins anew, and the login to it.

    `steps` refuse if the account has changed. That its address is verified is to be written with
    them, for the `first` time if it never was.
    """

    account: Account
    login: Login
    steps: tuple[Step, ...]
    first: bool
    events: tuple[Event, ...]


def reclaim(visit: Visit, login: Login, found: Account) -> Reclaimed:
    """Return what lets the account that was `found` begin anew, with the password of `login`.

    So it does with its username, if it has one. Other logins to it end with that.
    """
    account = replace(
        found,
        email_verified=True,
        password_hash=login.password_hash,
        username=login.username or found.username,
        factor_epoch=found.factor_epoch + 1,
        session_epoch=found.session_epoch + 1,
    )
    return Reclaimed(
        account=account,
        login=replace(
            login,
            factor_epoch=account.factor_epoch,
            session_epoch=account.session_epoch,
            reclaims=False,
            password_hash=None,
            username=None,
        ),
        steps=(
            begin_anew(found, login.password_hash, login.username),
            forget_origins(found.id, but=origin_of(visit.address, visit.user_agent)),
        ),
        first=not found.email_verified,
        events=(AccountReclaimed(user_id=found.id),),
    )
