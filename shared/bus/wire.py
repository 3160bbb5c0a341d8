"""An event on the wire: a CloudEvents 1.0 object in canonical JSON, signed by its source.

The signature is Ed25519 over the RFC 8785 form of the event without its `signature` member, in
base64url without padding, beside the `keyid` that made it. RFC 8785 writes numbers as ECMAScript
does; events carry only integers up to 2**53 - 1, so that both agree without any special care.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography.exceptions import InvalidSignature

from shared.auth import PrivateKey, PublicKey
from shared.errors import CountersignError

CONTENT_TYPE = "application/cloudevents+json"
SOURCE_PREFIX = "urn:countersign:"
MAX_BYTES = 64 * 1024
MAX_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond it, ECMAScript loses digits
MAX_DEPTH = 20  # objects and lists within each other, as in a request; security.md D7
MAX_NUMBER = 2**63 - 1  # of an event, per source: what a database has a column for
SEQUENCE_DIGITS = 20  # numbers are padded, so that they sort as text too

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TYPE = re.compile(r"mfa\.([a-z][a-z0-9_]{0,31})(\.[a-z][a-z0-9_]{0,63}){1,4}")
_SEQUENCE = re.compile(rf"[0-9]{{{SEQUENCE_DIGITS}}}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")

Json = object


class Flaw(StrEnum):
    """Why an event is not believed; the label under which it is counted."""

    UNREADABLE = "unreadable"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown_key"
    ALTERED = "altered"
    FOREIGN = "foreign"
    MISSHAPEN = "misshapen"
    UNEXPECTED = "unexpected"  # it made our own code fail
    UNSTORABLE = "unstorable"  # believed, but it does not fit into the ledger


class Refused(CountersignError):
    """A message that is no event of ours. `flaw` says why; nothing of it may be used."""

    code = "event_refused"

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


@dataclass(frozen=True, kw_only=True)
class Received:
    """An event whose signature fits, with what the ledger files it under."""

    id: str
    type: str
    source: str  # the service's name, as its key says
    number: int  # per source, from 1, without gaps
    occurred_at: datetime
    subject: str | None
    text: str  # the whole event in canonical form, signature included


def canonical(value: Json) -> bytes:
    """Return `value` in the canonical form of RFC 8785; ValueError if it has none here."""
    _refuse_inexact(value, MAX_DEPTH)
    return _dump(value)


def _dump(value: Json) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError


def _refuse_inexact(value: Json, depth: int) -> None:
    if isinstance(value, dict | list | tuple) and not depth:
        raise ValueError("objects and lists are nested too deeply")
    if isinstance(value, dict):
        for name, member in value.items():
            if not (isinstance(name, str) and name.isascii()):
                # Python sorts names by code point, RFC 8785 by UTF-16 unit: the same for ASCII.
                raise ValueError("names of members are ASCII text")
            _refuse_inexact(member, depth - 1)
    elif isinstance(value, list | tuple):
        for member in value:
            _refuse_inexact(member, depth - 1)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > MAX_INTEGER):
        raise ValueError("numbers are integers of at most 53 bits")


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
        signed = {**event, "keyid": self._key.id}
        signature = self._key.key.sign(canonical(signed))
        signed["signature"] = urlsafe_b64encode(signature).rstrip(b"=").decode()
        return _dump(signed)


class EventVerifier:
    """Believes events that a known source has signed, and no others."""

    def __init__(self, keys: Mapping[str, PublicKey]) -> None:
        """Take `keys` by id; the issuer of a key is the one source that it speaks for."""
        self._keys = dict(keys)

    def verify(self, body: bytes) -> Received:
        """Return the event in `body`, or raise Refused.

        The signature comes first: nothing in the event is looked at before it fits.
        """
        event = _parse(body)
        source = self._check_signature(event)
        return _file(event, source)

    def _check_signature(self, event: dict[str, Json]) -> str:
        """Return the name of the source whose key signed `event`."""
        signature, key_id = event.get("signature"), event.get("keyid")
        if not isinstance(signature, str) or not isinstance(key_id, str):
            raise Refused(Flaw.UNSIGNED)
        if key_id not in self._keys:
            raise Refused(Flaw.UNKNOWN_KEY)
        signer = self._keys[key_id]
        rest = {name: value for name, value in event.items() if name != "signature"}
        try:
            signer.key.verify(urlsafe_b64decode(signature + "=="), canonical(rest))
        except (InvalidSignature, ValueError) as error:
            raise Refused(Flaw.ALTERED) from error
        return signer.issuer


def _parse(body: bytes) -> dict[str, Json]:
    if len(body) > MAX_BYTES:
        raise Refused(Flaw.UNREADABLE)
    try:
        event = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(Flaw.UNREADABLE) from error
    if not isinstance(event, dict) or _is_deep(event, body):
        raise Refused(Flaw.UNREADABLE)
    return event


def _is_deep(event: Json, body: bytes) -> bool:
    """Whether `event` is nested too deeply for what looks into it, and recurses, from now on."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    level = [event]
    for _ in range(MAX_DEPTH):
        level = [member for value in level for member in _members(value)]
    return any(isinstance(value, dict | list) for value in level)


def _members(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Return an object's members; two of one name could be read as two different events."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _file(event: dict[str, Json], source: str) -> Received:
    """Return what the ledger files a signed `event` under, or raise Refused if it cannot."""
    kind = _text(event, "type", _TYPE)
    if event.get("source") != SOURCE_PREFIX + source or kind.split(".")[1] != source:
        raise Refused(Flaw.FOREIGN)  # a source speaks for itself alone, whatever it can sign
    subject = None if event.get("subject") is None else _text(event, "subject", _ID)
    return Received(
        id=_text(event, "id", _ID),
        type=kind,
        source=source,
        number=_number(_text(event, "sequence", _SEQUENCE)),
        occurred_at=_moment(_text(event, "time", _TIME)),
        subject=subject,
        text=_dump(event).decode(),
    )


def _text(event: dict[str, Json], name: str, shape: re.Pattern[str]) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not shape.fullmatch(value) or not value.isascii():
        raise Refused(Flaw.MISSHAPEN)
    return value


def _number(text: str) -> int:
    number = int(text)
    if number > MAX_NUMBER:
        raise Refused(Flaw.MISSHAPEN)
    return number


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(Flaw.MISSHAPEN) from error


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
        "sequence": f"{number:0{SEQUENCE_DIGITS}d}",
        "data": {**data, "context": dict(context)} if context else dict(data),
    }
    if subject is not None:
        event["subject"] = event["partitionkey"] = subject
    trace_id = context.get("request_id")
    if isinstance(trace_id, str) and _TRACE_ID.fullmatch(trace_id):
        event["traceparent"] = f"00-{trace_id}-{trace_id[:15]}1-00"  # a span id is never all zero
    return event
