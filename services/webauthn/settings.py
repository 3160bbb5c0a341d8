"""What can be set for the WebAuthn service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from services.webauthn.domain.keys import ALGORITHMS
from services.webauthn.domain.metadata import TOLERABLE
from services.webauthn.domain.origins import (
    host_of,
    is_address,
    is_domain,
    is_exact,
    is_local,
    is_public_suffix,
    is_within,
    origin_of,
)
from services.webauthn.domain.policy import (
    CHALLENGE_LIFETIME,
    Conveyance,
    Policy,
    RelyingParty,
    Use,
    Verification,
)
from shared.settings import (
    BrokerUrl,
    CommaList,
    CommaSet,
    DatabaseUrl,
    Duration,
    PrivateKey,
    PublicKeys,
    ServiceSettings,
)

WEBAUTHN = "webauthn"  # as MFA_SUPPORTED_TYPES has it
OFFERED = ("recovery_codes", "totp")
HINTS = ("security-key", "client-device", "hybrid")
USES = ("enrol", "authenticate", "reauthenticate")  # login always
OR_LEAVE_OUT = f"or leave `{WEBAUTHN}` out of MFA_SUPPORTED_TYPES"


def _http_url(value: str) -> str:
    if origin_of(value) is None:
        raise ValueError("must be an http or https URL with a host")
    return value


def _aaguids(values: frozenset[str]) -> frozenset[str]:
    try:
        return frozenset(str(UUID(value)) for value in values)
    except ValueError:
        raise ValueError("must be AAGUIDs such as ee882879-721c-4913-9775-3dfcce97072a") from None


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(is_exact(value) for value in values):
        raise ValueError(
            "must be origins as browsers write them, such as https://example.com, "
            "http://localhost:8000 or android:apk-key-hash:…: no path, no default port"
        )
    return values


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Aaguids = Annotated[CommaSet, AfterValidator(_aaguids)]
Origins = Annotated[CommaList, AfterValidator(_origins)]


@dataclass(frozen=True)
class Home:
    """What PUBLIC_URL says of where people are."""

    host: str
    origin: str

    @classmethod
    def of(cls, url: str) -> "Home":
        """Return it for a URL. A page of this machine by its IP address can have no credentials.

        By its name it can: so that is taken for meant.
        """
        host, origin = host_of(url), origin_of(url) or ""
        if is_address(host) and is_local(host):
            bracketed = f"[{host}]" if ":" in host else host
            return cls("localhost", origin.replace(bracketed, "localhost", 1))
        return cls(host, origin)

    @property
    def is_local(self) -> bool:
        """Tell whether it is this machine."""
        return is_local(self.host)


class Settings(ServiceSettings):
    """Read once, at start, by `main` and `worker`.

    Validators see the fields above their own: whatever depends on others comes after them.
    """

    webauthn_database_url: DatabaseUrl = Field(
        description="The service's own database: `sqlite:///…` or `postgresql://…`."
    )
    caller_keys: PublicKeys = Field(
        description="Public keys of the services and operators that may call. "
        'JSON: `{"<kid>": {"issuer": "<service>", "key": "<base64 of 32 bytes>"}}`.'
    )
    webauthn_event_key: PrivateKey = Field(
        description="Signs the events of this service on their way to the bus. "
        'JSON: `{"kid": "<id>", "issuer": "webauthn", "key": "<base64 of 32 bytes>"}`.'
    )
    broker_url: BrokerUrl = Field(
        description="The message broker: `amqp://…` (RabbitMQ) or `redis://…` (Valkey)."
    )
    public_url: HttpUrl = Field(
        default="http://localhost:8000",
        description="The address at which people reach session: what is not set below follows "
        "from it.",
    )
    mfa_supported_types: CommaList = Field(
        default=OFFERED,
        description="As session is told it. With `webauthn` in it, the service starts only where "
        "browsers would use what it offers; without, it also starts elsewhere, and lets nobody in "
        "there.",
        json_schema_extra={"allauth": "recovery_codes, totp"},
    )
    webauthn_rp_id: str | None = Field(
        default=None,
        description="The domain that credentials are made for; its subdomains can use them. Not "
        "set: the host of PUBLIC_URL. Whoever changes it makes every credential useless.",
    )
    webauthn_rp_name: str = Field(
        default="Countersign",
        min_length=1,
        max_length=64,
        description="The name under which browsers and password managers list the account.",
    )
    webauthn_origins: Origins = Field(
        default=(),
        description="Every page of the RP ID or below it, and every Android app "
        "(`android:apk-key-hash:…`), that may use credentials: exact origins. Not set: that of "
        "PUBLIC_URL.",
    )
    webauthn_related_origins: Origins = Field(
        default=(),
        description="Pages of other domains that may use them too, where browsers know of related "
        "origins: exact origins, https.",
    )
    webauthn_allow_cross_origin: bool = Field(
        default=False,
        description="Whether a page may ask from within a frame on somebody else's page.",
    )
    webauthn_top_origins: Origins = Field(
        default=(),
        description="The pages around such a frame, where the browser names them: exact origins.",
    )
    mfa_webauthn_allow_insecure_origin: bool = Field(
        default=False,
        description="Lets in the pages of this machine on every port, beside the origins. Only "
        "where PUBLIC_URL and the RP ID are of this machine.",
        json_schema_extra={"allauth": "False"},
    )
    mfa_webauthn_user_verification: Literal["required", "preferred", "discouraged"] = Field(
        default="preferred",
        description="Whether the device has to verify its user (PIN, finger, face): `required`, "
        "`preferred` or `discouraged`. For a login by passkey alone it always has to.",
        json_schema_extra={"allauth": "preferred"},
    )
    webauthn_user_verification_for: CommaSet = Field(
        default=frozenset(),
        description="Uses for which it has to, whatever the setting above says: any of `enrol`, "
        "`authenticate`, `reauthenticate`.",
    )
    webauthn_algorithms: CommaList = Field(
        default=("ES256", "EdDSA", "RS256"),
        min_length=1,
        description="Algorithms of the keys that are registered from now on, the preferred first: "
        f"of {', '.join(ALGORITHMS)}.",
    )
    webauthn_hints: CommaList = Field(
        default=(),
        description="What browsers shall offer first: of `security-key`, `client-device`, "
        "`hybrid`. They need not heed it.",
    )
    webauthn_challenge_lifetime: Duration = Field(
        default=CHALLENGE_LIFETIME,
        ge=timedelta(seconds=30),
        le=CHALLENGE_LIFETIME,
        description="How long a person has to answer; 30 seconds to 5 minutes.",
    )
    webauthn_allowed_aaguids: Aaguids = Field(
        default=frozenset(),
        description="The only makes of authenticators that are let in, by AAGUID; none means all. "
        "Without WEBAUTHN_ATTESTATION an authenticator may claim any.",
    )
    webauthn_denied_aaguids: Aaguids = Field(
        default=frozenset(), description="Makes of authenticators that are not let in, by AAGUID."
    )
    webauthn_allow_synced: bool = Field(
        default=True,
        description="Whether passkeys may be synced between devices. Not, for AAL3 of "
        "NIST SP 800-63B.",
    )
    webauthn_policy_at_use: bool = Field(
        default=True,
        description="Whether the three settings above, WEBAUTHN_ATTESTATION, and what FIDO has "
        "revoked, hold for credentials that are registered already, each time that they are used.",
    )
    webauthn_counter_regression: Literal["refuse", "flag"] = Field(
        default="refuse",
        description="What becomes of a key whose signature counter has not grown, which may have "
        "been copied: `refuse` it, or `flag` it and let it in. The audit trail and a mail to the "
        "person tell of it either way.",
    )
    webauthn_attestation: Literal["none", "direct", "enterprise"] = Field(
        default="none",
        description="Whether makers have to vouch for authenticators, as FIDO's metadata has "
        "them: `none`, `direct`, or `enterprise` (with serial numbers). Most passkeys that are "
        "synced have nobody to vouch for them.",
    )
    webauthn_metadata_path: Path | None = Field(
        default=None,
        description="FIDO's metadata, the file that https://mds3.fidoalliance.org/ gives. Needed "
        "with WEBAUTHN_ATTESTATION; without, it serves for names and for what is revoked.",
    )
    webauthn_metadata_root_path: Path | None = Field(
        default=None,
        description="The certificate (PEM) that vouches for the signer of the metadata. Not set: "
        "GlobalSign Root CA - R3, as FIDO says.",
    )
    webauthn_metadata_grace: Duration = Field(
        default=timedelta(days=14),
        ge=timedelta(0),
        le=timedelta(days=365),
        description="For how long after FIDO has promised newer ones the metadata still serve a "
        "start with WEBAUTHN_ATTESTATION.",
    )
    webauthn_tolerated_statuses: CommaSet = Field(
        default=frozenset(),
        description="What FIDO may report of a make that is let in all the same: of "
        f"{', '.join(f'`{status}`' for status in TOLERABLE)}.",
    )

    @field_validator("webauthn_rp_id")
    @classmethod
    def _a_domain(cls, value: str | None) -> str | None:
        if value is not None and not is_domain(value):
            raise ValueError(
                "must be a domain in lower case, without scheme, port or last dot, and in punycode "
                "(xn--…) where it is not ASCII"
            )
        return value

    @field_validator("webauthn_rp_id")
    @classmethod
    def _ours(cls, value: str | None, info: ValidationInfo) -> str | None:
        home = _home(info.data)
        if home is None or (value is None and not _is_offered(info.data)):
            return value
        if unfit := _unfit_domain(value or home.host):
            raise ValueError(
                f"must not be {unfit}"
                if value
                else f"must be set, and WEBAUTHN_ORIGINS with it, as the host of PUBLIC_URL is "
                f"{unfit}; {OR_LEAVE_OUT}"
            )
        if value and is_local(value) and not home.is_local:
            raise ValueError("is only allowed to be localhost where PUBLIC_URL is")
        return value

    @field_validator("webauthn_origins")
    @classmethod
    def _within(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        home, rp_id = _home(info.data), _rp_id(info.data)
        if home is None or rp_id is None:
            return value
        if not value and _is_offered(info.data) and (unfit := _unfit_home(home, rp_id)):
            raise ValueError(f"must be set, as PUBLIC_URL is {unfit}; {OR_LEAVE_OUT}")
        pages = [origin for origin in value if not origin.startswith("android:")]
        if not all(is_within(host_of(page), rp_id) for page in pages):
            raise ValueError(
                "must be of the RP ID or below it (WEBAUTHN_RP_ID; else the host of PUBLIC_URL); "
                "pages of other domains go into WEBAUTHN_RELATED_ORIGINS"
            )
        _check_secure(pages, home)
        return value

    @field_validator("webauthn_related_origins")
    @classmethod
    def _beyond(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        rp_id = _rp_id(info.data)
        for origin in value:
            host = host_of(origin)
            if not origin.startswith("https:") or not is_domain(host) or is_local(host):
                raise ValueError("must be https pages of domains")
            if rp_id is not None and is_within(host, rp_id):
                raise ValueError("must be of other domains: those of the RP ID are in the origins")
        return value

    @field_validator("mfa_webauthn_allow_insecure_origin")
    @classmethod
    def _development_only(cls, value: bool, info: ValidationInfo) -> bool:
        home, rp_id = _home(info.data), _rp_id(info.data)
        if value and home is not None and not (home.is_local and is_local(rp_id or "localhost")):
            raise ValueError("is only allowed where PUBLIC_URL and the RP ID are on this machine")
        return value

    @field_validator("webauthn_top_origins")
    @classmethod
    def _in_frames(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("webauthn_allow_cross_origin") is not True:
            raise ValueError("has no effect without WEBAUTHN_ALLOW_CROSS_ORIGIN=true")
        if (home := _home(info.data)) is not None:
            _check_secure(value, home)
        return value

    @field_validator("webauthn_user_verification_for")
    @classmethod
    def _uses(cls, value: frozenset[str]) -> frozenset[str]:
        return frozenset(_known(tuple(sorted(value)), USES))

    @field_validator("webauthn_algorithms")
    @classmethod
    def _algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known(value, tuple(ALGORITHMS))

    @field_validator("webauthn_hints")
    @classmethod
    def _hints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known(value, HINTS)

    @field_validator("webauthn_metadata_path")
    @classmethod
    def _needed(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and info.data.get("webauthn_attestation", "none") != "none":
            raise ValueError("must be set where WEBAUTHN_ATTESTATION is: makers are known by it")
        return value

    @field_validator("webauthn_metadata_root_path")
    @classmethod
    def _of_metadata(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("webauthn_metadata_path", value) is None:
            raise ValueError("has no effect without WEBAUTHN_METADATA_PATH")
        return value

    @field_validator("webauthn_tolerated_statuses")
    @classmethod
    def _statuses(cls, value: frozenset[str]) -> frozenset[str]:
        return frozenset(_known(tuple(sorted(value)), TOLERABLE))

    @property
    def relying_party(self) -> RelyingParty:
        """Whom credentials are made for, and who may ask for them: nobody where that is unfit."""
        home = Home.of(self.public_url)
        rp_id = self.webauthn_rp_id or home.host
        own = self.webauthn_origins or (() if _unfit_home(home, rp_id) else (home.origin,))
        pages = () if _unfit_domain(rp_id) or not own else (*own, *self.webauthn_related_origins)
        return RelyingParty(
            id=rp_id,
            name=self.webauthn_rp_name,
            origins=frozenset(pages),
            allow_cross_origin=self.webauthn_allow_cross_origin,
            top_origins=frozenset(self.webauthn_top_origins),
            any_localhost=self.mfa_webauthn_allow_insecure_origin,
        )

    @property
    def verification(self) -> Verification:
        """When devices have to verify their users."""
        return Verification(
            preference=self.mfa_webauthn_user_verification,
            required_for=frozenset(Use(use) for use in self.webauthn_user_verification_for),
        )

    @property
    def policy(self) -> Policy:
        """Which authenticators are let in."""
        return Policy(
            algorithms=self.webauthn_algorithms,
            conveyance=Conveyance(self.webauthn_attestation),
            allowed_aaguids=self.webauthn_allowed_aaguids,
            denied_aaguids=self.webauthn_denied_aaguids,
            allow_synced=self.webauthn_allow_synced,
            at_use=self.webauthn_policy_at_use,
            refuse_counter_regression=self.webauthn_counter_regression == "refuse",
            hints=self.webauthn_hints,
            challenge_lifetime=self.webauthn_challenge_lifetime,
        )


def _home(data: Mapping[str, Any]) -> Home | None:
    """Return what PUBLIC_URL says, unless it is wrong: then that is told, and nothing else."""
    return Home.of(data["public_url"]) if "public_url" in data else None


def _rp_id(data: Mapping[str, Any]) -> str | None:
    """Return the RP ID that is in force, unless it is wrong."""
    home = _home(data)
    if home is None or "webauthn_rp_id" not in data:
        return None
    return data["webauthn_rp_id"] or home.host


def _is_offered(data: Mapping[str, Any]) -> bool:
    """Tell whether session offers keys, so that PUBLIC_URL has to be fit for them."""
    return WEBAUTHN in data.get("mfa_supported_types", ())


def _unfit_domain(domain: str) -> str | None:
    """Return what `domain` is that no RP ID can be, or None."""
    if not is_domain(domain):
        return "no domain (IP address, …)"
    if is_public_suffix(domain):
        return "a domain below which anybody can have one (com, co.uk)"
    return None


def _unfit_home(home: Home, rp_id: str) -> str | None:
    """Return what PUBLIC_URL is that no page with credentials of `rp_id` can be, or None."""
    if not is_within(home.host, rp_id):
        return "not of the RP ID or below it"
    if not home.origin.startswith("https:") and not home.is_local:
        return "not https"
    return None if is_exact(home.origin) else "not as browsers write it (punycode, …)"


def _check_secure(pages: Iterable[str], home: Home) -> None:
    """Raise ValueError for a page that others could alter on its way."""
    if not all(page.startswith("https:") or home.is_local for page in pages):
        raise ValueError("must be https: PUBLIC_URL is not on this machine")
    if not all(is_exact(page) for page in pages):
        raise ValueError("must be https, but for pages of localhost")


def _known(values: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values) or not set(values) <= set(known):
        raise ValueError(f"must be of {', '.join(known)}, each once")
    return values
