"""What can be set for the recovery service."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from services.recovery.domain import codes, trust
from services.recovery.domain.codes import LONGEST, check_form
from shared.code_form import Alphabet, CodeForm
from shared.settings import (
    BrokerUrl,
    DatabaseUrl,
    Duration,
    KeyRing,
    PrivateKey,
    PublicKeys,
    ServiceSettings,
)

LEAST_DIGITS = 7  # 20 bits take 7


def _check_form(text: str) -> str:
    if text:
        check_form(CodeForm.parse(text))
    return text


class Settings(ServiceSettings):
    """Read once, at start, by `main` and `worker`."""

    recovery_database_url: DatabaseUrl = Field(
        description="The service's own database: `sqlite:///…` or `postgresql://…`."
    )
    recovery_sealing_keys: KeyRing = Field(
        description="Keys that hash and seal recovery codes and seal the tokens of browsers: the "
        "primary is used for what is new, all for what there is. "
        'JSON: `{"primary": "<id>", "keys": {"<id>": "<base64 of 32 bytes>"}}`.'
    )
    caller_keys: PublicKeys = Field(
        description="Public keys of the services and operators that may call. "
        'JSON: `{"<kid>": {"issuer": "<service>", "key": "<base64 of 32 bytes>"}}`.'
    )
    recovery_event_key: PrivateKey = Field(
        description="Signs the events of this service on their way to the bus. "
        'JSON: `{"kid": "<id>", "issuer": "recovery", "key": "<base64 of 32 bytes>"}`.'
    )
    broker_url: BrokerUrl = Field(
        description="The message broker: `amqp://…` (RabbitMQ) or `redis://…` (Valkey)."
    )
    mfa_recovery_code_count: int = Field(
        default=10,
        ge=1,
        le=50,
        description="How many codes a new set has; 1 to 50.",
        json_schema_extra={"allauth": "10"},
    )
    mfa_recovery_code_digits: int = Field(
        default=8,
        ge=LEAST_DIGITS,
        le=LONGEST,
        description="Digits of a code, in sets that are made from now on; 7 to 32.",
        json_schema_extra={"allauth": "8"},
    )
    mfa_recovery_code_format: Annotated[str, AfterValidator(_check_form)] = Field(
        default="",
        description="What new codes look like, instead of digits: `base32:16` has 80 bits, and is "
        "shown in groups of four. `digits:…` or `base32:…`, of 20 bits or more, at most 32 "
        "characters.",
    )
    mfa_recovery_codes_show_once: bool = Field(
        default=False,
        description="Codes can be seen once, and are kept as keyed hashes alone after that.",
        json_schema_extra={"allauth": "False"},
    )
    mfa_recovery_codes_warn_at: int = Field(
        default=3,
        ge=0,
        description="With so many unused codes or fewer, the person is warned. A whole set is "
        "never few.",
    )
    mfa_recovery_codes_confirm: bool = Field(
        default=False,
        description="Codes count as set up only when one of them has been used: the proof that "
        "they were saved.",
    )
    mfa_trust_cookie_age: Duration = Field(
        default=timedelta(days=14),
        ge=timedelta(minutes=1),
        le=timedelta(days=30),
        description="How long a browser is trusted, whether it is used or not. At most 30 days.",
        json_schema_extra={"allauth": "14 days"},
    )
    mfa_trust_max_browsers: int = Field(
        default=10,
        ge=1,
        le=100,
        description="How many browsers a person may trust. The oldest goes.",
    )

    @property
    def codes(self) -> codes.Policy:
        """How recovery codes are made and shown."""
        text = self.mfa_recovery_code_format
        digits = CodeForm(Alphabet.DIGITS, self.mfa_recovery_code_digits)
        return codes.Policy(
            form=CodeForm.parse(text) if text else digits,
            count=self.mfa_recovery_code_count,
            show_once=self.mfa_recovery_codes_show_once,
            warn_at=self.mfa_recovery_codes_warn_at,
            confirm=self.mfa_recovery_codes_confirm,
        )

    @property
    def trust(self) -> trust.Policy:
        """How long browsers are trusted, and how many."""
        return trust.Policy(age=self.mfa_trust_cookie_age, max_browsers=self.mfa_trust_max_browsers)
