"""The public answers, as the API's description states them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Answer(BaseModel):
    """What all answers have in common. Members that do not apply are left out, never null."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


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


class Unsent(Answer):
    """No mail was sent: the address is verified, or there have been enough. Of a browser also that
    the CSRF token is missing or wrong, or that the request comes from a foreign page.
    """

    status: Literal[403]


class Flow(Answer):
    """A way to log in or to prove oneself again; pending if a login waits for it."""

    id: Literal[
        "login",
        "login_by_code",
        "signup",
        "verify_email",
        "mfa_authenticate",
        "mfa_trust",
        "mfa_signup_webauthn",
        "reauthenticate",
        "mfa_reauthenticate",
        "mfa_login_webauthn",
        "password_reset_by_code",
    ]
    is_pending: bool = Field(
        default=True,
        description="Only there if it is pending; of `password_reset_by_code` it is always said.",
    )
    types: list[str] = Field(default=[], description="Kinds of authenticators, for MFA.")


class User(Answer):
    """A person's account."""

    id: str
    display: str
    email: str = Field(default="", description="The primary address; left out if there is none.")
    username: str = Field(default="", description="Left out if there is none.")
    has_usable_password: bool


class Method(Answer):
    """How a step of the login, or a reauthentication, was passed. `at`: seconds since 1970."""

    method: Literal["password", "password_reset", "code", "mfa"]
    at: float
    email: str = Field(
        default="",
        description="With `password` and `code`, at login, and `password_reset` by code.",
    )
    username: str = Field(default="", description="With `password`, at a login by username.")
    id: str = Field(default="", description="With `mfa`: the authenticator.")
    type: str = Field(default="", description="With `mfa`: its kind.")
    reauthenticated: Literal[True] = Field(default=True, description="Only at reauthentication.")
    passwordless: Literal[True] = Field(
        default=True, description="Only of a passkey that has logged in alone."
    )


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


LEFT_OUT: Any = {}  # the default of objects, which stands for none


class UnknownCredential(Answer):
    """A credential that is nobody's: the browser had better forget it."""

    rpId: str  # noqa: N815 - the names of WebAuthn
    credentialId: str  # noqa: N815


class CurrentUserDetails(Answer):
    """What a person is called by now, in the browser's list of passkeys too."""

    rpId: str  # noqa: N815
    userId: str  # noqa: N815
    name: str
    displayName: str  # noqa: N815


class AcceptedCredentials(Answer):
    """The credentials of a person that count."""

    rpId: str  # noqa: N815
    userId: str  # noqa: N815
    allAcceptedCredentialIds: list[str]  # noqa: N815


class Signal(Answer):
    """For the methods `signal…` of PublicKeyCredential (WebAuthn, section 5.1.10)."""

    unknownCredential: UnknownCredential = Field(  # noqa: N815
        default=LEFT_OUT,
        description="Where a passkey was refused that nobody has.",
    )
    allAcceptedCredentials: AcceptedCredentials = Field(  # noqa: N815
        default=LEFT_OUT,
        description="With the list of keys, a change of it, and a login by passkey alone.",
    )
    currentUserDetails: CurrentUserDetails = Field(  # noqa: N815
        default=LEFT_OUT,
        description="The same.",
    )


SIGNALLED = Field(default=LEFT_OUT, description="Left out if there is nothing to tell.")


class Signalled(Answer):
    """What a page may tell the browser."""

    signal: Signal = SIGNALLED


class Meta(Answer):
    """About the session. The token is there when it is new, for `app` only."""

    is_authenticated: bool | None
    session_token: str = Field(default="", description="Left out unless it is new.")
    access_token: str = Field(
        default="",
        description="Who is logged in, signed: with HEADLESS_TOKEN_STRATEGY `jwt`, when an app is.",
    )
    refresh_token: str = Field(default="", description="The same: what gives others.")
    signal: Signal = SIGNALLED


class EmailAddress(Answer):
    """An address of a person, or one that they have yet to show to be theirs."""

    email: str
    verified: bool
    primary: bool


class EmailAddresses(Answer):
    """The addresses of a person, the primary one first."""

    status: Literal[200]
    data: list[EmailAddress]


class Verifiable(Answer):
    """An address that a key verifies, and whose it is."""

    email: str
    user: User


class Verifying(Answer):
    """What comes of the verification."""

    is_authenticating: bool = Field(description="Whether a login waits for it in this session.")


class EmailShown(Answer):
    """The key is good."""

    status: Literal[200]
    data: Verifiable
    meta: Verifying


class Forgetful(Answer):
    """Whose password it is."""

    user: User


class ResetShown(Answer):
    """The key is good."""

    status: Literal[200]
    data: Forgetful


class LoggedIn(Answer):
    """The session is authenticated."""

    status: Literal[200]
    data: Person
    meta: Meta


class LoginNeeded(Answer):
    """The session is not authenticated, or has to prove itself again."""

    status: Literal[401]
    data: Doubted | Anonymous
    meta: Meta


class Gone(Answer):
    """The session token is not known, or not any more."""

    status: Literal[410]
    data: Anonymous
    meta: Meta


class AboutPasskey(Answer):
    """What a page may tell the browser of a passkey that was refused."""

    signal: Signal


class PasskeyRefused(Errors):
    """The passkey was refused, for whatever reason."""

    meta: AboutPasskey = Field(default=LEFT_OUT, description="Where nobody has the passkey.")


class RequestOptions(Answer):
    """What goes to `navigator.credentials.get`, by way of `parseRequestOptionsFromJSON`."""

    request_options: dict[str, Any]


class OpenedSession(Answer):
    """The session that was opened for it."""

    session_token: str


class KeyAsked(Answer):
    """What a browser is to ask a key for; good once, in this session, for five minutes."""

    status: Literal[200]
    data: RequestOptions
    meta: OpenedSession = Field(default=LEFT_OUT, description="Left out if there was a session.")


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
KEYS_ALONE = "Of security keys and passkeys alone."


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
    id: str = Field(default="", description=KEYS_ALONE)
    name: str = Field(default="", description=KEYS_ALONE)
    is_passwordless: bool = Field(
        default=False,
        description=f"{KEYS_ALONE} Whether it is a passkey, as far as its browser has told "
        "(`credProps.rk`); left out if it has not.",
    )
    serves_alone: bool = Field(
        default=False,
        description=f"{KEYS_ALONE} Whether it logs in alone: it was asked for as a passkey, and "
        "has verified its user.",
    )
    provider: str = Field(default="", description=f"{KEYS_ALONE} Its make, if that is known.")
    aaguid: str = Field(default="", description=f"{KEYS_ALONE} The id of its make, if it tells it.")
    transports: list[str] = Field(default=[], description=f"{KEYS_ALONE} How it is reached.")
    backup_eligible: bool = Field(
        default=False, description=f"{KEYS_ALONE} Whether it can be synced between devices."
    )
    backed_up: bool = Field(default=False, description=f"{KEYS_ALONE} Whether it is.")


class Authenticators(Answer):
    """Everything that is enrolled."""

    status: Literal[200]
    data: list[Authenticator]
    meta: Signalled = Field(default=LEFT_OUT, description="Left out if there are no keys.")


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


class CreationOptions(Answer):
    """What goes to `navigator.credentials.create`, by way of `parseCreationOptionsFromJSON`."""

    creation_options: dict[str, Any]


class KeyWanted(Answer):
    """What a browser is to make a key of; good once, in this session, for five minutes."""

    status: Literal[200]
    data: CreationOptions


class AlongWithKey(AlongWithIt):
    """What else there is from now on, and what the browser may be told."""

    signal: Signal = SIGNALLED


class KeyAdded(Answer):
    """The new key."""

    status: Literal[200]
    data: Authenticator
    meta: AlongWithKey


class KeyChanged(Answer):
    """The key as it is now."""

    status: Literal[200]
    data: Authenticator
    meta: Signalled


class KeysRemoved(Answer):
    """They are gone."""

    status: Literal[200]
    meta: Signalled


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
    meta: CodeSheet = Field(default=LEFT_OUT, description="Left out if they may not be seen.")


class Absent(Answer):
    """There is nothing of the kind."""

    status: Literal[404]


class TotpOffer(Answer):
    """What to put into an authenticator app; good for this session and a short time."""

    secret: str
    totp_url: str
    totp_svg: str


class Offered(Answer):
    """There is none yet; `meta` has what its factor shows to enrol one."""

    status: Literal[404]
    meta: dict[str, JsonValue]


class NotEnrolled(Answer):
    """There is no TOTP yet; `meta` has a new secret."""

    status: Literal[404]
    meta: TotpOffer


class Tokens(Answer):
    """New tokens of an app's session."""

    access_token: str
    refresh_token: str = Field(
        default="", description="In place of the one that was shown; left out if that stays."
    )


class Refreshed(Answer):
    """The refresh token was good."""

    status: Literal[200]
    data: Tokens


class RefreshRefused(Answer):
    """The refresh token is over, unknown, or was used before; `errors` if none could be read."""

    status: Literal[400]
    errors: list[Error] = Field(default=[], description="Left out if the token could be read.")
