"""What session does: read, decide, one write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from services.session.domain.factors import TOTP, TYPES
from services.session.domain.limits import Limits
from services.session.domain.reauthentication import Reauthentication
from services.session.flows.arrears import Measuring
from services.session.flows.asking import Asking
from services.session.flows.authenticate import AuthenticateFlow
from services.session.flows.authenticators import AuthenticatorsFlow
from services.session.flows.change_password import ChangePasswordFlow, PasswordPolicy
from services.session.flows.code_factor import CodeFactorFlow
from services.session.flows.delete import DeleteFlow, Deletion, Erasing
from services.session.flows.engine import Engine
from services.session.flows.enrolment import Enrolment
from services.session.flows.factors import Factors
from services.session.flows.login import LoginFlow
from services.session.flows.logout import LogoutFlow
from services.session.flows.notices import Notices
from services.session.flows.operate import Operating
from services.session.flows.passkey_signup import PasskeySignupFlow
from services.session.flows.passkeys import PasskeyLoginFlow
from services.session.flows.passwords import PasswordHasher
from services.session.flows.reauthenticate import ReauthenticateFlow
from services.session.flows.recovery_codes import RecoveryCodesFlow
from services.session.flows.register import Registrar
from services.session.flows.reports import Reports
from services.session.flows.second_factor import SecondFactor
from services.session.flows.sessions import SessionsFlow
from services.session.flows.signup import SignupFlow
from services.session.flows.sweeps import Sweeps
from services.session.flows.trust import Recognition, TrustFlow
from services.session.flows.trusted_browsers import TrustedBrowsersFlow
from services.session.flows.verify_email import VerifyEmailFlow
from services.session.flows.visits import Tracking, Visits
from services.session.flows.webauthn import WebAuthnFlow
from services.session.gateway.ledger import LedgerClient
from services.session.store import MailStore, Store
from services.session.store.arrears import ArrearsStore
from services.session.store.people import People
from services.session.store.reports import ReportStore
from services.session.store.session_list import SessionList
from shared.cipher import Cipher, KeyRing
from shared.clock import Clock
from shared.database import Database
from shared.factor import FactorClient
from shared.token import keyed_hash
from shared.trust import TrustClient

__all__ = [
    "Flows",
    "PasswordHasher",
    "PasswordPolicy",
    "Policy",
    "Reauthentication",
    "Sweeps",
    "Tracking",
    "build_flows",
    "build_sweeps",
]


TOTP_SHOWN = ("secret", "totp_url", "totp_svg")  # and nothing else that its factor may show


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the operator chose. Fields have the meaning and the defaults of allauth's settings.

    `authenticators` are the kinds that are offered, and `site` is the host that people know.
    """

    session_lifetime: timedelta = timedelta(days=14)
    reauthentication: Reauthentication = field(default_factory=Reauthentication)
    passwords: PasswordPolicy = field(default_factory=PasswordPolicy)
    tracking: Tracking = field(default_factory=Tracking)
    limits: Limits = field(default_factory=Limits)
    notifications: bool = True
    authenticators: tuple[str, ...] = TYPES
    site: str = "localhost"


@dataclass(frozen=True, kw_only=True)
class Flows:
    """Everything that session can do for a visitor; `others` are by the kinds of their factors."""

    visits: Visits
    signup: SignupFlow
    verify_email: VerifyEmailFlow
    passkey_signup: PasskeySignupFlow
    login: LoginFlow
    passkeys: PasskeyLoginFlow
    authenticate: AuthenticateFlow
    trust: TrustFlow
    trusted_browsers: TrustedBrowsersFlow
    reauthenticate: ReauthenticateFlow
    authenticators: AuthenticatorsFlow
    totp: CodeFactorFlow
    others: Mapping[str, CodeFactorFlow]
    recovery_codes: RecoveryCodesFlow
    webauthn: WebAuthnFlow
    change_password: ChangePasswordFlow
    sessions: SessionsFlow
    logout: LogoutFlow
    delete: DeleteFlow


def build_flows(
    db: Database,
    *,
    ring: KeyRing,
    factors: Mapping[str, FactorClient],
    clock: Clock,
    policy: Policy,
    hasher: PasswordHasher,
    keeper: TrustClient | None = None,
) -> Flows:
    """Put the flows together. `factors` are the services that judge, by name.

    `keeper` knows which browsers are trusted; without one none is.
    """
    store = Store(db, policy.limits)
    mails = build_mails(db, ring)
    notices = Notices(mails, enabled=policy.notifications)
    engine = Engine(
        store,
        mails,
        notices,
        code_key=keyed_hash(ring.keys[ring.primary], "session.mailed_codes"),
        session_lifetime=policy.session_lifetime,
    )
    listed = SessionList(db, policy.tracking.idle)
    usable = Factors(factors, policy.authenticators)
    registrar = Registrar(store, usable, notices, clock)
    enrolment = Enrolment(registrar, usable)
    asking = Asking(store, clock)
    second_factor = SecondFactor(store, usable, notices, clock)
    recognition = Recognition(keeper)
    code_factor = partial(
        CodeFactorFlow,
        store,
        registrar,
        enrolment,
        second_factor,
        clock,
        reauthentication=policy.reauthentication,
    )
    return Flows(
        visits=Visits(store, listed, clock, policy.tracking, usable.offered),
        signup=SignupFlow(store, engine, hasher, clock, policy.passwords.rules),
        verify_email=VerifyEmailFlow(store, engine, clock),
        passkey_signup=PasskeySignupFlow(engine, registrar, enrolment, clock, asking=asking),
        login=LoginFlow(
            store,
            engine,
            registrar,
            hasher,
            clock,
            recognition=recognition,
        ),
        passkeys=PasskeyLoginFlow(store, engine, registrar, usable, clock, asking=asking),
        authenticate=AuthenticateFlow(store, engine, registrar, second_factor, clock),
        trust=TrustFlow(store, engine, registrar, keeper, clock),
        trusted_browsers=TrustedBrowsersFlow(keeper),
        reauthenticate=ReauthenticateFlow(
            store, registrar, second_factor, hasher, clock, recognition=recognition
        ),
        authenticators=AuthenticatorsFlow(usable),
        totp=code_factor(kind=TOTP, shown=TOTP_SHOWN),
        others={kind: code_factor(kind=kind) for kind in usable.offered if kind not in TYPES},
        recovery_codes=RecoveryCodesFlow(
            store,
            registrar,
            usable,
            clock,
            reauthentication=policy.reauthentication,
            site=policy.site,
        ),
        webauthn=WebAuthnFlow(
            store,
            registrar,
            enrolment,
            usable,
            clock,
            asking=asking,
            reauthentication=policy.reauthentication,
        ),
        change_password=ChangePasswordFlow(
            store,
            notices,
            hasher,
            clock,
            recognition=recognition,
            reauthentication=policy.reauthentication,
            policy=policy.passwords,
        ),
        sessions=SessionsFlow(store, listed, clock, track_activity=policy.tracking.activity),
        logout=LogoutFlow(store),
        delete=DeleteFlow(
            store,
            Deletion(store, People(db), notices),
            clock,
            reauthentication=policy.reauthentication,
        ),
    )


def build_mails(db: Database, ring: KeyRing) -> MailStore:
    """Return the mails that session owes."""
    return MailStore(db, Cipher(ring, "session.mail"))


def build_sweeps(
    db: Database,
    *,
    ring: KeyRing,
    factors: Mapping[str, FactorClient],
    clock: Clock,
    policy: Policy,
) -> Sweeps:
    """Return what the worker does now and then."""
    store = Store(db, policy.limits)
    notices = Notices(build_mails(db, ring), enabled=policy.notifications)
    usable = Factors(factors, policy.authenticators)
    return Sweeps(store, Registrar(store, usable, notices, clock), factors, clock)


def build_erasing(
    db: Database,
    *,
    factors: Mapping[str, FactorClient],
    ledger: LedgerClient,
    clock: Clock,
    policy: Policy,
) -> Erasing:
    """Return what has the deleted forgotten, by `factors` and `ledger`."""
    return Erasing(Store(db, policy.limits), People(db), factors, ledger, clock)


def build_measuring(db: Database, clock: Clock) -> Measuring:
    """Return what shows how much is late."""
    return Measuring(ArrearsStore(db), clock)


def build_reports(db: Database, *, ring: KeyRing, clock: Clock, policy: Policy) -> Reports:
    """Return what tells people of what other services report."""
    notices = Notices(build_mails(db, ring), enabled=policy.notifications)
    return Reports(Store(db, policy.limits), ReportStore(db), notices, clock)


def build_operating(
    db: Database, *, ring: KeyRing, clock: Clock, policy: Policy, hasher: PasswordHasher
) -> Operating:
    """Return what operators can do."""
    store, people = Store(db, policy.limits), People(db, policy.tracking.idle)
    notices = Notices(build_mails(db, ring), enabled=policy.notifications)
    deletion = Deletion(store, people, notices)
    return Operating(
        store,
        people,
        deletion,
        notices,
        hasher=hasher,
        clock=clock,
        rules=policy.passwords.rules,
    )
