"""How events are put on the wire: CloudEvents 1.0 objects in canonical JSON, signed together.

How it is read and checked is in the package `countersign_events`, which consumers elsewhere have
too; what of it is used here is named here.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from countersign_events.tree import grown, leaf_hash
from countersign_events.wire import (
    CONTENT_TYPE,
    MAX_BYTES,
    MAX_DEPTH,
    ROOT_PREFIX,
    SCHEMA_PREFIX,
    SEQUENCE_DIGITS,
    SOURCE_PREFIX,
    TRACE_ID,
    EventVerifier,
    Flaw,
    Form,
    Json,
    Received,
    Refused,
    canonical,
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
    "Form",
    "Received",
    "Refused",
    "canonical",
    "to_cloudevent",
]


SIGNED_AT_ONCE = 32
"""Events under one signature at most: it costs as much as a hundred hashes, a path five of them."""


class EventSigner:
    """Signs the events of one source."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    @property
    def source(self) -> str:
        """The name of the service whose events are signed here."""
        return self._key.issuer

    def form(self, event: Mapping[str, Json]) -> Form:
        """Return `event`, to be signed by this key. ValueError if it has no canonical form."""
        return Form.of({**event, "keyid": self._key.id})

    def sign(self, event: Mapping[str, Json]) -> bytes:
        """Return the canonical form of `event` with `keyid` and `signature` added."""
        return self._alone(self.form(event))

    def sign_all(self, forms: Sequence[Form]) -> list[bytes]:
        """Return events as they are sent. Each can be checked alone, as it has its path."""
        starts = range(0, len(forms), SIGNED_AT_ONCE)
        return [body for at in starts for body in self._together(forms[at : at + SIGNED_AT_ONCE])]

    def _together(self, forms: Sequence[Form]) -> list[bytes]:
        if len(forms) == 1:
            return [self._alone(forms[0])]
        root, paths = grown([leaf_hash(form.signed) for form in forms])
        signature = self._signature(ROOT_PREFIX + root)
        return [
            form.whole(signature, _base64url(path)).encode()
            for form, path in zip(forms, paths, strict=True)
        ]

    def _alone(self, form: Form) -> bytes:
        return form.whole(self._signature(form.signed)).encode()

    def _signature(self, signed: bytes) -> str:
        return _base64url(self._key.key.sign(signed))


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


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
