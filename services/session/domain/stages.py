"""The stage machine: what is still missing before a login is a session."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.session.domain.codes import MailedCode
from services.session.domain.methods import Method
from services.session.domain.origins import Arrival

LOGIN_LIFETIME = timedelta(minutes=15)  # at most, by security requirement O9


class Stage(StrEnum):
    """A step of a login, by the name that clients know it by."""

    LOGIN_BY_CODE = "login_by_code"
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
    the browser that is trusted; `asks_trust` says that it stands in for the second factor, and that
    one in which that was given may be trusted from now on. One that `wants_code` takes a code that
    is mailed to `email`: it has begun by asking for one, or something besides is to be proved;
    `code_trusts` says of that code what `asks_trust` says of the second factor. `by_passkey` is for
    an account that was opened without a password, and is to have a passkey before anybody is logged
    in. One that `reclaims` is of an account that nobody has got into: whoever gives the code has
    it, with `password_hash` in place of what it had, or with none, and with `username`. One that
    `verifies_email` waits until `email`, which is the address that was typed, or else the primary
    one, is known to be the person's; at a sign-up it may be changed meanwhile, and `changes` is how
    often that was done. Who has no address waits in vain for what would be mailed there.
    """

    id: str
    user_id: str
    email: str | None
    started_at: datetime
    factor_epoch: int = 0
    session_epoch: int = 0
    passed: tuple[Stage, ...] = ()
    methods: tuple[Method, ...] = ()
    code: MailedCode | None = None
    arrival: Arrival | None = None
    asks_trust: bool = False
    wants_code: bool = False
    code_trusts: bool = False
    trusted_browser: str | None = None
    by_passkey: bool = False
    reclaims: bool = False
    verifies_email: bool = True
    changes: int = 0
    lifetime: timedelta = LOGIN_LIFETIME
    password_hash: str | None = field(default=None, repr=False)
    username: str | None = None

    @property
    def mailbox(self) -> str:
        """The address to which something is mailed. Raises TypeError if there is none."""
        if self.email is None:
            raise TypeError("nothing is mailed to who has no address")
        return self.email

    @property
    def expires_at(self) -> datetime:
        """When the login ends, however far it has come."""
        return self.started_at + self.lifetime

    @property
    def has_proof(self) -> bool:
        """Whether anything was proved in it: anybody can begin one with somebody's address."""
        return bool(self.methods or self.passed)

    @property
    def is_passwordless(self) -> bool:
        """Whether it was begun by a passkey, which is two factors in one."""
        return any(method.passwordless for method in self.methods)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the account says about which stages a login needs, and where its owner is told of it.

    `email` is the primary address, if there is an account.
    """

    email_verified: bool
    has_second_factor: bool
    email: str | None = None


@dataclass(frozen=True)
class Step:
    """A stage, and the rule that says whether a login needs it."""

    stage: Stage
    needed: Callable[[Login, Facts], bool]


def _wants_code(login: Login, _facts: Facts) -> bool:
    return login.wants_code and not (login.code_trusts and login.trusted_browser is not None)


def _has_to_own_address(login: Login, facts: Facts) -> bool:
    return login.reclaims or (login.verifies_email and not facts.email_verified)


def _has_second_factor(login: Login, facts: Facts) -> bool:
    """Whoever logs in by a passkey has given two factors in one, and whoever has made one too."""
    return (
        facts.has_second_factor
        and not (login.asks_trust and login.trusted_browser is not None)
        and Stage.MFA_SIGNUP_WEBAUTHN not in login.passed
        and not login.is_passwordless
    )


def _may_be_trusted(login: Login, _facts: Facts) -> bool:
    return (login.asks_trust and Stage.MFA_AUTHENTICATE in login.passed) or (
        login.code_trusts and Stage.LOGIN_BY_CODE in login.passed
    )


def _wants_passkey(login: Login, _facts: Facts) -> bool:
    return login.by_passkey


STAGES = (
    Step(Stage.LOGIN_BY_CODE, _wants_code),
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
