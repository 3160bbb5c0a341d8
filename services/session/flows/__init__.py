"""What session does: read, decide, one write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Literal

from services.session.domain.factors import TOTP, TYPES
from services.session.domain.frontend_urls import FrontendUrls
from services.session.domain.identifiers import LoginMethod
from services.session.domain.limits import Limits
from services.session.domain.login_by_code import LoginByCode
from services.session.domain.password_reset import PasswordResets
from services.session.domain.reauthentication import Reauthentication
from services.session.domain.signup_fields import SignupFields
from services.session.domain.stages import LOGIN_LIFETIME
from services.session.domain.tokens import TokenRules
from services.session.domain.usernames import UsernameRules
from services.session.domain.verification import AddressRules, Verification
from services.session.events import SessionResealed, SessionResealingStarted
from services.session.flows.access_tokens import AccessTokens
from services.session.flows.address_mails import AddressMails
from services.session.flows.arrears import Measuring
from services.session.flows.asking import Asking
from services.session.flows.authenticate import AuthenticateFlow
from services.session.flows.authenticators import AuthenticatorsFlow
from services.session.flows.change_password import ChangePasswordFlow, PasswordPolicy
from services.session.flows.code_factor import CodeFactorFlow
from services.session.flows.delete import DeleteFlow, Deletion, Erasing
from services.session.flows.emails import EmailPolicy, EmailsFlow
from services.session.flows.engine import Engine
from services.session.flows.enrolment import Enrolment
from services.session.flows.factors import Factors
from services.session.flows.grants import Grants
from services.session.flows.history import HistoryFlow
from services.session.flows.letters import Letters
from services.session.flows.link_keys import LinkKeys
from services.session.flows.login import LoginFlow
from services.session.flows.login_by_code import LoginByCodeFlow
from services.session.flows.login_code_mails import LoginCodeMails
from services.session.flows.logout import LogoutFlow
from services.session.flows.mailed_codes import MailedCodes
from services.session.flows.new_addresses import NewAddresses
from services.session.flows.notices import Notices
from services.session.flows.operate import Operating
from services.session.flows.passkey_signup import PasskeySignupFlow
from services.session.flows.passkeys import PasskeyLoginFlow
from services.session.flows.password_reset_mails import PURPOSE, PasswordResetMails
from services.session.flows.passwords import PasswordHasher
from services.session.flows.reauthenticate import ReauthenticateFlow
from services.session.flows.recovery_codes import RecoveryCodesFlow
from services.session.flows.register import Registrar
from services.session.flows.reports import Reports
from services.session.flows.request_password import RequestPasswordFlow
from services.session.flows.reset_password import ResetPasswordFlow
from services.session.flows.second_factor import SecondFactor
from services.session.flows.sessions import SessionsFlow
from services.session.flows.signup import SignupFlow, SignupPolicy
from services.session.flows.signup_address import SignupAddressFlow
from services.session.flows.sweeps import Sweeps
from services.session.flows.tokens import TokensFlow
from services.session.flows.trust import Recognition, TrustFlow
from services.session.flows.trusted_browsers import TrustedBrowsersFlow
from services.session.flows.verify_email import VerifyEmailFlow
from services.session.flows.visits import Tracking, Visits
from services.session.flows.webauthn import WebAuthnFlow
from services.session.gateway.ledger import LedgerClient
from services.session.store import MailStore, Store, mails
from services.session.store.arrears import ArrearsStore
from services.session.store.emails import Emails
from services.session.store.people import People
from services.session.store.refresh_tokens import RefreshTokens
from services.session.store.reports import ReportStore
from services.session.store.session_list import SessionList
from shared.cipher import Cipher, KeyRing
from shared.clock import Clock
from shared.database import Database
from shared.factor import FactorClient
from shared.resealing import Resealing
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

    `authenticators` are the kinds that are offered, and `site` is the host that people know;
    `pages` are what mails lead to. Without `usernames` accounts have none; without `tokens` apps
    have session tokens alone. Trust in a browser stands in for second factors only if
    `trusts_second_factors`.
    """

    session_lifetime: timedelta = timedelta(days=14)
    reauthentication: Reauthentication = field(default_factory=Reauthentication)
    passwords: PasswordPolicy = field(default_factory=PasswordPolicy)
    tracking: Tracking = field(default_factory=Tracking)
    limits: Limits = field(default_factory=Limits)
    notifications: bool = True
    verification: Verification = field(default_factory=Verification)
    addresses: AddressRules = field(default_factory=AddressRules)
    login_by_code: LoginByCode = field(default_factory=LoginByCode)
    password_resets: PasswordResets = field(default_factory=PasswordResets)
    login_lifetime: timedelta = LOGIN_LIFETIME
    prevent_enumeration: Literal["strict"] | bool = True
    email_unknown_accounts: bool = True
    trusts_second_factors: bool = True
    signup_fields: SignupFields = field(default_factory=SignupFields)
    usernames: UsernameRules | None = None
    login_methods: frozenset[LoginMethod] = frozenset({LoginMethod.EMAIL})
    pages: FrontendUrls = field(default_factory=FrontendUrls)
    authenticators: tuple[str, ...] = TYPES
    site: str = "localhost"
    tokens: TokenRules | None = None

    @property
    def signup(self) -> SignupPolicy:
        """What people sign up with."""
        return SignupPolicy(
            fields=self.signup_fields, usernames=self.usernames, passwords=self.passwords.rules
        )

    @property
    def needs_address(self) -> bool:
        """Whether nobody logs in who has no address: by it, or by what is mailed there."""
        by_email_alone = self.login_methods == {LoginMethod.EMAIL}
        mailed = self.verification.is_mandatory or bool(self.login_by_code.required)
        return by_email_alone or mailed


@dataclass(frozen=True, kw_only=True)
class Flows:
    """Everything that session can do for a visitor; `others` are by the kinds of their factors."""

    visits: Visits
    signup: SignupFlow
    signup_address: SignupAddressFlow
    verify_email: VerifyEmailFlow
    emails: EmailsFlow
    passkey_signup: PasskeySignupFlow
    login: LoginFlow
    login_by_code: LoginByCodeFlow
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
    request_password: RequestPasswordFlow
    reset_password: ResetPasswordFlow
    sessions: SessionsFlow
    history: HistoryFlow
    tokens: TokensFlow
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
    ledger: LedgerClient | None = None,
) -> Flows:
    """Put the flows together. `factors` are the services that judge, by name.

    `keeper` knows which browsers are trusted; without one none is. `ledger` knows what happened.
    """
    store = Store(db, policy.limits)
    mails = build_mails(db, ring)
    notices = Notices(mails, enabled=policy.notifications)
    refresh_tokens = RefreshTokens(db)
    grants = Grants(refresh_tokens, policy.tokens)
    codes = MailedCodes(ring)
    letters = Letters(store, mails)
    address_mails = AddressMails(
        letters, codes, LinkKeys(ring, "verify_email"), policy.verification, policy.pages
    )
    login_codes = LoginCodeMails(
        store,
        letters,
        codes,
        policy.login_by_code.codes,
        policy.pages,
        unknown_accounts=policy.email_unknown_accounts,
    )
    reset_mails = PasswordResetMails(
        store,
        letters,
        codes,
        LinkKeys(ring, PURPOSE),
        resets=policy.password_resets,
        pages=policy.pages,
        unknown_accounts=policy.email_unknown_accounts,
    )
    engine = Engine(
        store,
        address_mails,
        notices,
        grants,
        verification=policy.verification,
        login_codes=login_codes,
        login_by_code=policy.login_by_code,
        login_lifetime=policy.login_lifetime,
        session_lifetime=policy.session_lifetime,
    )
    listed = SessionList(db, policy.tracking.idle)
    usable = Factors(factors, policy.authenticators)
    registrar = Registrar(store, usable, notices, clock)
    enrolment = Enrolment(registrar, usable)
    asking = Asking(store, clock)
    second_factor = SecondFactor(store, usable, notices, clock)
    recognition = Recognition(keeper, of_second_factors=policy.trusts_second_factors)
    code_factor = partial(
        CodeFactorFlow,
        store,
        registrar,
        enrolment,
        second_factor,
        clock,
        reauthentication=policy.reauthentication,
        verification=policy.verification,
    )
    emails, deletion = Emails(db), Deletion(store, People(db), notices)
    new_addresses = NewAddresses(
        store,
        emails,
        deletion,
        notices,
        verification=policy.verification,
        rules=policy.addresses,
    )
    verify_email = VerifyEmailFlow(
        store,
        emails,
        engine,
        clock,
        mails=address_mails,
        new_addresses=new_addresses,
        verification=policy.verification,
    )
    return Flows(
        visits=Visits(
            store,
            listed,
            clock,
            policy.tracking,
            usable.offered,
            access_tokens=AccessTokens(refresh_tokens, policy.tokens, clock),
            resets=policy.password_resets.codes,
        ),
        signup=SignupFlow(
            store,
            engine,
            hasher,
            clock,
            policy.signup,
            mails=address_mails,
            verification=policy.verification,
        ),
        signup_address=SignupAddressFlow(
            store,
            emails,
            engine,
            clock,
            mails=address_mails,
            verification=policy.verification,
            prevent_enumeration=bool(policy.prevent_enumeration),
        ),
        verify_email=verify_email,
        emails=EmailsFlow(
            store,
            emails,
            notices,
            clock,
            mails=address_mails,
            new_addresses=new_addresses,
            verify_email=verify_email,
            policy=EmailPolicy(
                verification=policy.verification,
                rules=policy.addresses,
                reauthentication=policy.reauthentication,
                prevent_enumeration=bool(policy.prevent_enumeration),
                needs_address=policy.needs_address,
            ),
        ),
        passkey_signup=PasskeySignupFlow(engine, registrar, enrolment, clock, asking=asking),
        login=LoginFlow(
            store,
            engine,
            registrar,
            hasher,
            clock,
            recognition=recognition,
        ),
        login_by_code=LoginByCodeFlow(
            store,
            engine,
            registrar,
            login_codes,
            clock,
            recognition=recognition,
            rules=policy.login_by_code.codes,
            prevent_enumeration=bool(policy.prevent_enumeration),
        ),
        passkeys=PasskeyLoginFlow(
            store,
            engine,
            registrar,
            usable,
            clock,
            asking=asking,
            recognition=recognition,
        ),
        authenticate=AuthenticateFlow(store, engine, registrar, second_factor, clock),
        trust=TrustFlow(store, engine, registrar, keeper, clock),
        trusted_browsers=TrustedBrowsersFlow(keeper),
        reauthenticate=ReauthenticateFlow(
            store,
            registrar,
            second_factor,
            hasher,
            clock,
            recognition=recognition,
            reauthentication=policy.reauthentication,
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
            verification=policy.verification,
        ),
        change_password=ChangePasswordFlow(
            store,
            notices,
            grants,
            hasher,
            clock,
            recognition=recognition,
            reauthentication=policy.reauthentication,
            policy=policy.passwords,
        ),
        request_password=RequestPasswordFlow(
            store,
            reset_mails,
            clock,
            resets=policy.password_resets,
            prevent_enumeration=bool(policy.prevent_enumeration),
        ),
        reset_password=ResetPasswordFlow(
            store,
            emails,
            engine,
            registrar,
            clock,
            notices=notices,
            hasher=hasher,
            mails=reset_mails,
            recognition=recognition,
            resets=policy.password_resets,
            rules=policy.passwords.rules,
        ),
        sessions=SessionsFlow(store, listed, clock, track_activity=policy.tracking.activity),
        history=HistoryFlow(ledger, clock),
        tokens=TokensFlow(
            store,
            refresh_tokens,
            listed,
            notices,
            clock,
            rules=policy.tokens,
            tracking=policy.tracking,
        ),
        logout=LogoutFlow(store),
        delete=DeleteFlow(
            store,
            deletion,
            clock,
            reauthentication=policy.reauthentication,
        ),
    )


def build_mails(db: Database, ring: KeyRing) -> MailStore:
    """Return the mails that session owes."""
    return MailStore(db, Cipher(ring, mails.PURPOSE))


def build_resealing(db: Database, ring: KeyRing) -> Resealing:
    """Return what seals mails by the primary key of `ring` that other keys of it have sealed."""
    return Resealing(
        db,
        [(mails.sealed_mails(), Cipher(ring, mails.PURPOSE))],
        primary=ring.primary,
        begun=SessionResealingStarted,
        ended=SessionResealed,
    )


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
        names=policy.signup,
    )
