"""The public answers, as the API's description states them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """What all answers have in common. Members that do not apply are left out, never null."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Error(Answer):
    """One thing that is wrong. `param` names the member of the request, if it is a single one."""

    message: str
    code: str
    param: str = Field(default="", description="Left out if the error is not about one member.")


class Errors(Answer):
    """The request cannot be read, or says something that is refused."""

    status: Literal[400]
    errors: list[Error] = Field(min_length=1)


class Conflicts(Answer):
    """The request does not fit the state of the session; `errors` say why, if there is more."""

    status: Literal[409]
    errors: list[Error] = Field(default=[], description="Left out if there is nothing to say.")


class Forbidden(Answer):
    """The CSRF token is missing or wrong, or the request comes from a foreign page."""

    status: Literal[403]


class TooMany(Answer):
    """Too many requests of this kind; `Retry-After` says when to come back."""

    status: Literal[429]


class Away(Answer):
    """A part that is needed is away or full; `Retry-After` says when to come back."""

    status: Literal[503]


class Done(Answer):
    """It is done, or there was nothing to do."""

    status: Literal[200]


class Flow(Answer):
    """A way to log in or to prove oneself again; pending if a login waits for it."""

    id: Literal[
        "login",
        "signup",
        "verify_email",
        "mfa_authenticate",
        "mfa_trust",
        "reauthenticate",
        "mfa_reauthenticate",
    ]
    is_pending: Literal[True] = Field(default=True, description="Only there if it is pending.")
    types: list[str] = Field(default=[], description="Kinds of authenticators, for MFA.")


class User(Answer):
    """A person's account."""

    id: str
    display: str
    email: str
    has_usable_password: bool


class Method(Answer):
    """How a step of the login, or a reauthentication, was passed. `at`: seconds since 1970."""

    method: Literal["password", "mfa"]
    at: float
    email: str = Field(default="", description="With `password`, at login.")
    id: str = Field(default="", description="With `mfa`: the authenticator.")
    type: str = Field(default="", description="With `mfa`: its kind.")
    reauthenticated: Literal[True] = Field(default=True, description="Only at reauthentication.")


class Anonymous(Answer):
    """What a client may do that is not logged in."""

    flows: list[Flow]


class Person(Answer):
    """Who is logged in, and how."""

    user: User
    methods: list[Method]


class Doubted(Person):
    """Who is logged in, and how they may prove it again."""

    flows: list[Flow]


class Meta(Answer):
    """About the session. The token is there when it is new, for `app` only."""

    is_authenticated: bool | None
    session_token: str = Field(default="", description="Left out unless it is new.")


class LoggedIn(Answer):
    """The session is authenticated."""

    status: Literal[200]
    data: Person
    meta: Meta


class LoginNeeded(Answer):
    """The session is not authenticated, or has to prove itself again."""

    status: Literal[401]
    data: Anonymous | Doubted
    meta: Meta


class Gone(Answer):
    """The session token is not known, or not any more."""

    status: Literal[410]
    data: Anonymous
    meta: Meta


class AccountConfiguration(Answer):
    """How accounts work here."""

    login_methods: list[str]
    is_open_for_signup: bool
    email_verification_by_code_enabled: bool
    login_by_code_enabled: bool
    password_reset_by_code_enabled: bool
    authentication_method: str


class MfaConfiguration(Answer):
    """Which second factors there are."""

    supported_types: list[str]
    passkey_login_enabled: bool


class SessionsConfiguration(Answer):
    """Whether it is kept when a session was last used."""

    track_activity: bool


class Configuration(Answer):
    """What clients need to know beforehand."""

    account: AccountConfiguration
    mfa: MfaConfiguration
    usersessions: SessionsConfiguration


class Configured(Answer):
    """The configuration."""

    status: Literal[200]
    data: Configuration


CODES_ALONE = "Of recovery codes alone."


class Authenticator(Answer):
    """Something that a second factor is proved with. Times: seconds since 1970."""

    type: str
    created_at: float
    last_used_at: float | None
    total_code_count: int = Field(default=0, description=CODES_ALONE)
    unused_code_count: int = Field(default=0, description=CODES_ALONE)
    recovery_codes_low: bool = Field(
        default=False, description=f"{CODES_ALONE} Whether it is time for new ones."
    )
    is_confirmed: Literal[False] = Field(
        default=False,
        description=f"{CODES_ALONE} Only there while one has to be used before they count.",
    )


class Authenticators(Answer):
    """Everything that is enrolled."""

    status: Literal[200]
    data: list[Authenticator]


class Session(Answer):
    """A session of the person. Times: seconds since 1970."""

    id: str
    ip: str
    user_agent: str
    created_at: float
    last_seen_at: float = Field(default=0, description="Only with USERSESSIONS_TRACK_ACTIVITY.")
    is_current: bool


class Sessions(Answer):
    """Where the person is logged in: the current session, then the newest."""

    status: Literal[200]
    data: list[Session]


class TrustedBrowser(Answer):
    """A browser in which a password is enough. Times: seconds since 1970."""

    id: str
    name: str
    created_at: float
    last_used_at: float | None
    expires_at: float
    is_current: bool


class TrustedBrowsers(Answer):
    """The browsers that the person trusts, the newest first."""

    status: Literal[200]
    data: list[TrustedBrowser]


class Enrolled(Answer):
    """The authenticator."""

    status: Literal[200]
    data: Authenticator


class AlongWithIt(Answer):
    """What else there is from now on."""

    recovery_codes_generated: bool


class Activated(Answer):
    """The new authenticator."""

    status: Literal[200]
    data: Authenticator
    meta: AlongWithIt


class CodeSet(Authenticator):
    """A set of recovery codes."""

    unused_codes: list[str] = Field(default=[], description="Left out if they may not be seen.")


class CodeSheet(Answer):
    """The same codes, to be downloaded and printed."""

    recovery_codes_text: str


class RecoveryCodes(Answer):
    """The recovery codes; `meta` is there if they may be seen."""

    status: Literal[200]
    data: CodeSet
    meta: CodeSheet = Field(default=..., description="Left out if they may not be seen.")


class Absent(Answer):
    """There is nothing of the kind."""

    status: Literal[404]


class TotpOffer(Answer):
    """What to put into an authenticator app; good for this session and a short time."""

    secret: str
    totp_url: str
    totp_svg: str


class NotEnrolled(Answer):
    """There is no TOTP yet; `meta` has a new secret."""

    status: Literal[404]
    meta: TotpOffer
