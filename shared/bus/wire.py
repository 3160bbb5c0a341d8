"""How an event is put on the wire: a CloudEvents 1.0 object in canonical JSON, signed.

How it is read and checked is in the package `countersign_events`, which consumers elsewhere have
too; what of it is used here is named here.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime

from countersign_events.wire import (
    CONTENT_TYPE,
    MAX_BYTES,
    MAX_DEPTH,
    SCHEMA_PREFIX,
    SEQUENCE_DIGITS,
    SOURCE_PREFIX,
    TRACE_ID,
    EventVerifier,
    Flaw,
    Json,
    Received,
    Refused,
    canonical,
    signed_forms,
)
from shared.auth import PrivateKey

__all__ = [
    "CONTENT_TYPE",
    "MAX_BYTES",
    "MAX_DEPTH",
    "SOURCE_PREFIX",
    "EventSigner",
    "EventVerifier",
    "Flaw",
    "Received",
    "Refused",
    "canonical",
    "to_cloudevent",
]


class EventSigner:
    """Signs the events of one source."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    @property
    def source(self) -> str:
        """The name of the service whose events are signed here."""
        return self._key.issuer

    def sign(self, event: Mapping[str, Json]) -> bytes:
        """Return the canonical form of `event` with `keyid` and `signature` added."""
        signed, with_signature = signed_forms({**event, "keyid": self._key.id})
        signature = self._key.key.sign(signed)
        return with_signature(urlsafe_b64encode(signature).rstrip(b"=").decode())


def to_cloudevent(
    *,
    id: str,
    type: str,
    source: str,
    number: int,
    occurred_at: datetime,
    subject: str | None,
    data: Mapping[str, Json],
    context: Mapping[str, Json],
) -> dict[str, Json]:
    """Return an event as a CloudEvents 1.0 object, not yet signed.

    `context` (who asked and from where) travels as a member of `data`, because the attributes of
    a CloudEvent are read by brokers and gateways on the way.
    """
    event: dict[str, Json] = {
        "specversion": "1.0",
        "id": id,
        "source": SOURCE_PREFIX + source,
        "type": type,
        "time": occurred_at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z",
        "datacontenttype": "application/json",
        "dataschema": SCHEMA_PREFIX + type,
        "sequence": f"{number:0{SEQUENCE_DIGITS}d}",
        "data": {**data, "context": dict(context)} if context else dict(data),
    }
    if subject is not None:
        event["subject"] = event["partitionkey"] = subject
    trace_id = context.get("request_id")
    if isinstance(trace_id, str) and TRACE_ID.fullmatch(trace_id):
        event["traceparent"] = f"00-{trace_id}-{trace_id[:15]}1-00"  # a span id is never all zero
    return event
