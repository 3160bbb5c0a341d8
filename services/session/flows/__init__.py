"""What session does: read, decide, one write."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from services.session.flows.authenticate import AuthenticateFlow
from services.session.flows.authenticators import AuthenticatorsFlow
from services.session.flows.engine import Engine
from services.session.flows.login import LoginFlow
from services.session.flows.logout import LogoutFlow
from services.session.flows.passwords import PasswordHasher
from services.session.flows.reauthenticate import ReauthenticateFlow
from services.session.flows.register import Registrar
from services.session.flows.second_factor import SecondFactor
from services.session.flows.signup import SignupFlow
from services.session.flows.sweeps import Sweeps
from services.session.flows.verify_email import VerifyEmailFlow
from services.session.flows.visits import Visits
from services.session.store import MailStore, Store
from shared.cipher import Cipher, KeyRing
from shared.clock import Clock
from shared.database import Database
from shared.factor import FactorClient
from shared.token import keyed_hash

__all__ = ["Flows", "PasswordHasher", "Policy", "Sweeps", "build_flows", "build_sweeps"]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the operator chose. Fields have the meaning and the defaults of allauth's settings."""

    session_lifetime: timedelta = timedelta(days=14)
    reauthentication_window: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Flows:
    """Everything that session can do for a visitor."""

    visits: Visits
    signup: SignupFlow
    verify_email: VerifyEmailFlow
    login: LoginFlow
    authenticate: AuthenticateFlow
    reauthenticate: ReauthenticateFlow
    authenticators: AuthenticatorsFlow
    logout: LogoutFlow


def build_flows(
    db: Database,
    *,
    ring: KeyRing,
    factors: Mapping[str, FactorClient],
    clock: Clock,
    policy: Policy,
    hasher: PasswordHasher,
) -> Flows:
    """Put the flows together. `factors` are the services that judge, by type of authenticator."""
    store = Store(db)
    engine = Engine(
        store,
        build_mails(db, ring),
        code_key=keyed_hash(ring.keys[ring.primary], "session.mailed_codes"),
        session_lifetime=policy.session_lifetime,
    )
    registrar = Registrar(store, factors, clock)
    second_factor = SecondFactor(store, factors, clock)
    return Flows(
        visits=Visits(store, clock),
        signup=SignupFlow(store, engine, hasher, clock),
        verify_email=VerifyEmailFlow(store, engine, clock),
        login=LoginFlow(store, engine, registrar, hasher, clock),
        authenticate=AuthenticateFlow(store, engine, registrar, second_factor, clock),
        reauthenticate=ReauthenticateFlow(store, registrar, second_factor, hasher, clock),
        authenticators=AuthenticatorsFlow(
            store,
            registrar,
            factors,
            clock,
            reauthentication_window=policy.reauthentication_window,
        ),
        logout=LogoutFlow(store),
    )


def build_mails(db: Database, ring: KeyRing) -> MailStore:
    """Return the mails that session owes."""
    return MailStore(db, Cipher(ring, "session.mail"))


def build_sweeps(db: Database, *, factors: Mapping[str, FactorClient], clock: Clock) -> Sweeps:
    """Return what the worker does now and then."""
    store = Store(db)
    return Sweeps(store, Registrar(store, factors, clock), factors, clock)
