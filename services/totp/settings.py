"""What can be set for the TOTP service."""

from datetime import timedelta

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.totp.domain.codes import Policy
from shared.settings import (
    BrokerUrl,
    DatabaseUrl,
    Duration,
    KeyRing,
    PrivateKey,
    PublicKeys,
    ServiceSettings,
)

SECOND = timedelta(seconds=1)


class Settings(ServiceSettings):
    """Read once, at start, by `main` and `worker`."""

    totp_database_url: DatabaseUrl = Field(
        description="The service's own database: `sqlite:///…` or `postgresql://…`."
    )
    totp_sealing_keys: KeyRing = Field(
        description="Keys that seal the secrets of authenticators: the primary seals, all open. "
        'JSON: `{"primary": "<id>", "keys": {"<id>": "<base64 of 32 bytes>"}}`.'
    )
    caller_keys: PublicKeys = Field(
        description="Public keys of the services and operators that may call. "
        'JSON: `{"<kid>": {"issuer": "<service>", "key": "<base64 of 32 bytes>"}}`.'
    )
    totp_event_key: PrivateKey = Field(
        description="Signs the events of this service on their way to the bus. "
        'JSON: `{"kid": "<id>", "issuer": "totp", "key": "<base64 of 32 bytes>"}`.'
    )
    broker_url: BrokerUrl = Field(
        description="The message broker: `amqp://…` (RabbitMQ) or `redis://…` (Valkey)."
    )
    mfa_totp_period: Duration = Field(
        default=timedelta(seconds=30),
        ge=5 * SECOND,
        le=120 * SECOND,  # NIST SP 800-63B-4 section 3.1.4.1
        description="How long a code is shown, for devices that are enrolled from now on. "
        "Whole seconds, 5 to 120.",
        json_schema_extra={"allauth": "30"},
    )
    mfa_totp_digits: int = Field(
        default=6,
        ge=6,
        le=10,
        description="Digits of a code, for devices that are enrolled from now on; 6 to 10.",
        json_schema_extra={"allauth": "6"},
    )
    mfa_totp_tolerance: int = Field(
        default=0,
        ge=0,
        le=3,
        description="Periods before and after the present one whose codes are accepted; 0 to 3.",
        json_schema_extra={"allauth": "0"},
    )
    mfa_totp_issuer: str = Field(
        default="Countersign",
        min_length=1,
        max_length=64,
        description="The name under which authenticator apps list the account.",
        json_schema_extra={"allauth": '"" (the name of the site)'},
    )
    mfa_totp_insecure_bypass_code: SecretStr = Field(
        default=SecretStr(""),
        description="A code that passes for everybody's. Only with COUNTERSIGN_DEVELOPMENT.",
        json_schema_extra={"allauth": "None"},
    )

    @field_validator("mfa_totp_period")
    @classmethod
    def _whole_seconds(cls, value: timedelta) -> timedelta:
        if value % SECOND:
            raise ValueError("must be whole seconds")
        return value

    @field_validator("mfa_totp_issuer")
    @classmethod
    def _no_colon(cls, value: str) -> str:
        if ":" in value:
            raise ValueError("must not contain a colon, which separates it from the account")
        return value

    @field_validator("mfa_totp_insecure_bypass_code")
    @classmethod
    def _development_only(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value.get_secret_value() and info.data.get("countersign_development") is not True:
            raise ValueError("is only allowed with COUNTERSIGN_DEVELOPMENT=true")
        return value

    @property
    def policy(self) -> Policy:
        """How the codes of new authenticators are made."""
        return Policy(digits=self.mfa_totp_digits, period=int(self.mfa_totp_period / SECOND))
