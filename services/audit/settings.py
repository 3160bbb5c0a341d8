"""What the ledger can be told from outside."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainValidator, SecretStr

from services.audit.domain.checkpoint import ORIGIN
from services.audit.domain.retention import Policy, is_pattern
from services.audit.domain.scopes import Scope, Scopes
from shared.settings import (
    BrokerUrl,
    DatabaseUrl,
    Duration,
    KeyRing,
    PrivateKey,
    PublicKeys,
    ServiceSettings,
    parse_duration,
)

DEFAULT_SCOPES: Any = json.dumps(
    {"operator": ["feed", "proofs", "history", "forget"], "session": ["history", "forget"]}
)
FOR_EVER: Any = "{}"
SHORTEST = timedelta(days=1)


def _members(value: object, of: str) -> Mapping[str, Any]:
    """Return a JSON object, told as text or as it is."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if isinstance(found, Mapping):
        return found
    raise ValueError(f"must be a JSON object of {of}")


def _scopes(value: object) -> Scopes:
    names = ", ".join(Scope)
    try:
        return MappingProxyType(
            {
                str(caller): frozenset(Scope(scope) for scope in granted)
                for caller, granted in _members(value, "scopes by caller").items()
            }
        )
    except (TypeError, ValueError):
        raise ValueError(f"must be a JSON object with lists of {names}, by caller") from None


def _retention(value: object) -> Policy:
    policy: dict[str, timedelta] = {}
    for pattern, text in _members(value, "durations by type of event").items():
        keep = parse_duration(text)
        if not is_pattern(pattern) or not isinstance(keep, timedelta) or keep < SHORTEST:
            raise ValueError(
                "must have types such as mfa.totp.accepted or mfa.*.failed, none of mfa.audit, "
                "each with a duration of a day or more"
            )
        policy[pattern] = keep
    return MappingProxyType(policy)


def _origin(value: str) -> str:
    if not ORIGIN.fullmatch(value):
        raise ValueError("must be a name without spaces and +, such as ledger.example.org")
    return value


def _endpoint(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https URL with a host")
    return value


class Settings(ServiceSettings):
    """Settings of the audit service: of its readers' side and of its worker."""

    audit_database_url: DatabaseUrl = Field(
        description="Where the ledger is kept: `sqlite:////absolute/path` or `postgresql://…`."
    )
    broker_url: BrokerUrl = Field(
        description="The broker that events arrive by: `amqp://…` or `redis://…`."
    )
    event_keys: PublicKeys | None = Field(
        default=None,
        description="Public keys of the services whose events are believed: of all that have any. "
        "The API has no use for them. "
        'JSON: `{"<key id>": {"issuer": "<service>", "key": "<base64>"}}`.',
        json_schema_extra={"needed_by": "worker"},
    )
    caller_keys: PublicKeys = Field(
        description="Public keys of those who may call, in the form of `EVENT_KEYS`; what each may "
        "do, `AUDIT_SCOPES` says."
    )
    audit_scopes: Annotated[Scopes, PlainValidator(_scopes, json_schema_input_type=str)] = Field(
        default=DEFAULT_SCOPES,
        description="What each caller may do, by the issuer of its key: `feed` (read every event), "
        "`proofs` (checkpoints, proofs, sealed entries, gaps), `history` (what happened to one "
        "person), `forget` (have a person forgotten).",
    )
    audit_sealing_keys: KeyRing = Field(
        description="Keys that seal the key of each person, by id; the primary one seals, all "
        'open. JSON: `{"primary": "<id>", "keys": {"<id>": "<base64 of 32 bytes>"}}`.'
    )
    audit_event_key: PrivateKey | None = Field(
        default=None,
        description="What the ledger signs its own events with. "
        'JSON: `{"kid": "<key id>", "issuer": "audit", "key": "<base64>"}`.',
        json_schema_extra={"needed_by": "worker"},
    )
    audit_checkpoint_key: PrivateKey | None = Field(
        default=None,
        description="What checkpoints are signed with, in the form of `AUDIT_EVENT_KEY`.",
        json_schema_extra={"needed_by": "worker"},
    )
    audit_checkpoint_keys: PublicKeys | None = Field(
        default=None,
        description="Public keys by which checkpoints are believed, in the form of `EVENT_KEYS`. "
        "Those of before a change of the key stay among them. `countersign audit verify` goes by "
        "these.",
    )
    audit_checkpoint_origin: Annotated[str, AfterValidator(_origin)] = Field(
        default="countersign/audit",
        description="The name of this ledger in its checkpoints, such as `ledger.example.org`: one "
        "that no other ledger has. It is for good: no checkpoint follows upon one of another name.",
    )
    audit_checkpoint_events: int = Field(
        default=1000, ge=1, description="After how many entries a checkpoint is signed."
    )
    audit_checkpoint_interval: Duration = Field(
        default=timedelta(minutes=1),
        description="How long an entry waits for a checkpoint at the most.",
    )
    audit_checkpoint_path: Path | None = Field(
        default=None,
        description="A file that each checkpoint is added to, on another disk at best. "
        "`countersign audit verify` holds the ledger against it.",
    )
    audit_checkpoint_url: Annotated[SecretStr, AfterValidator(_endpoint)] | None = Field(
        default=None,
        description="An HTTP endpoint that each checkpoint is posted to, as text; 2xx means that "
        "it has it. A user and password in it are sent as basic authentication.",
    )
    audit_retention: Annotated[Policy, PlainValidator(_retention, json_schema_input_type=str)] = (
        Field(
            default=FOR_EVER,
            description="For how long events are kept, by type, `*` standing for anything; the "
            'first that fits counts: `{"mfa.totp.accepted": "30d", "mfa.*": "400d"}`. What fits '
            "none is kept for ever. Entries and their hashes stay in any case.",
        )
    )
