"""The stage machine: what is still missing before a login is a session."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.session.domain.codes import MailedCode
from services.session.domain.methods import Method
from services.session.domain.origins import Arrival

LOGIN_LIFETIME = timedelta(minutes=15)  # security requirement O9; allauth's ACCOUNT_LOGIN_TIMEOUT


class Stage(StrEnum):
    """A step of a login, by the name that clients know it by."""

    VERIFY_EMAIL = "verify_email"
    MFA_AUTHENTICATE = "mfa_authenticate"
    MFA_TRUST = "mfa_trust"
    MFA_SIGNUP_WEBAUTHN = "mfa_signup_webauthn"


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login under way. Every step makes a new one; only the latest counts.

    The epochs are the user's as they were when the login began: a change of password or factors
    ends it. `user_id` may name nobody: then the login leads nowhere, and looks like any other.
    `arrival` is where it began, unless the account was made with it. `trusted_browser` is the id of
    the browser that stands in for the second factor; `asks_trust` says that one in which the second
    factor was given may be trusted from now on. `by_passkey` is for an account that was opened
    without a password, and is to have a passkey before anybody is logged in. One that `reclaims`
    is the sign-up for an account that nobody has got into: whoever gives the code has it, with
    `password_hash` in place of what it had, or with none.
    """

    id: str
    user_id: str
    email: str
    started_at: datetime
    factor_epoch: int = 0
    session_epoch: int = 0
    passed: tuple[Stage, ...] = ()
    methods: tuple[Method, ...] = ()
    code: MailedCode | None = None
    arrival: Arrival | None = None
    asks_trust: bool = False
    trusted_browser: str | None = None
    by_passkey: bool = False
    reclaims: bool = False
    password_hash: str | None = field(default=None, repr=False)

    @property
    def expires_at(self) -> datetime:
        """When the login ends, however far it has come."""
        return self.started_at + LOGIN_LIFETIME

    @property
    def is_passwordless(self) -> bool:
        """Whether it was begun by a passkey, which is two factors in one."""
        return any(method.passwordless for method in self.methods)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the account says about which stages a login needs."""

    email_verified: bool
    has_second_factor: bool


@dataclass(frozen=True)
class Step:
    """A stage, and the rule that says whether a login needs it."""

    stage: Stage
    needed: Callable[[Login, Facts], bool]


def _has_to_own_address(login: Login, facts: Facts) -> bool:
    return login.reclaims or not facts.email_verified


def _has_second_factor(login: Login, facts: Facts) -> bool:
    """Whoever logs in by a passkey has given two factors in one, and whoever has made one too."""
    return (
        facts.has_second_factor
        and login.trusted_browser is None
        and Stage.MFA_SIGNUP_WEBAUTHN not in login.passed
        and not login.is_passwordless
    )


def _may_be_trusted(login: Login, _facts: Facts) -> bool:
    return login.asks_trust and Stage.MFA_AUTHENTICATE in login.passed


def _wants_passkey(login: Login, _facts: Facts) -> bool:
    return login.by_passkey


STAGES = (
    Step(Stage.VERIFY_EMAIL, _has_to_own_address),
    Step(Stage.MFA_AUTHENTICATE, _has_second_factor),
    Step(Stage.MFA_TRUST, _may_be_trusted),
    Step(Stage.MFA_SIGNUP_WEBAUTHN, _wants_passkey),
)


def next_stage(login: Login, facts: Facts) -> Stage | None:
    """Return the first stage that is needed and not passed, or None: the login is complete."""
    for step in STAGES:
        if step.stage not in login.passed and step.needed(login, facts):
            return step.stage
    return None


def pass_stage(login: Login, stage: Stage, method: Method | None = None) -> Login:
    """Return the login with `stage` passed, and how if there was a proof. Spends a mailed code."""
    methods = login.methods if method is None else (*login.methods, method)
    return replace(login, passed=(*login.passed, stage), methods=methods, code=None)
