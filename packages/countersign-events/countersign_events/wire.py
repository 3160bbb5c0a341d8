"""An event on the wire: a CloudEvents 1.0 object in canonical JSON, signed by its source.

The signature is Ed25519, in base64url without padding, beside the `keyid` that made it. It is over
the RFC 8785 form of the event without its members `signature` and `signaturepath`. Where there is a
`signaturepath`, the source has signed several events at once: then it is over `ROOT_PREFIX` and the
root of the Merkle tree (`tree`) to which that path, in base64url, leads from the event's form.

RFC 8785 writes numbers as ECMAScript does; events carry only integers up to 2**53 - 1, so that both
agree without any special care.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature

from countersign_events.keys import PublicKey
from countersign_events.tree import STEP_BYTES, climbed, leaf_hash

CONTENT_TYPE = "application/cloudevents+json"
SOURCE_PREFIX = "urn:countersign:"
CATALOGUE = 1  # version: within one, types and members are only added
SCHEMA_PREFIX = f"urn:countersign:events:{CATALOGUE}:"
MAX_BYTES = 64 * 1024
MAX_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond it, ECMAScript loses digits
MAX_DEPTH = 20  # objects and lists within each other, as in a request; security.md D7
MAX_NUMBER = 2**63 - 1  # of an event, per source: what a database has a column for
SIGNATURE = "signature"
SIGNATURE_PATH = "signaturepath"
ROOT_PREFIX = b"countersign.events.root.v1\n"
"""Before a root that is signed, which so is never the form of an event: that begins with "{"."""

ROOTS = 256  # signed roots that are remembered: those of the events that come in between
SEQUENCE_DIGITS = 20  # numbers are padded, so that they sort as text too

TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TYPE = re.compile(r"mfa\.([a-z][a-z0-9_]{0,31})(\.[a-z][a-z0-9_]{0,63}){1,4}")
_SEQUENCE = re.compile(rf"[0-9]{{{SEQUENCE_DIGITS}}}")
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{85}[AQgw]")  # 64 bytes: four bits of the last are none
_PATH = re.compile(rf"(?:[A-Za-z0-9_-]{{{STEP_BYTES // 3 * 4}}})*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""RFC 8785 section 3.2, of what `_refuse_inexact` has let pass. Made once: that takes its time."""

Json = Any  # what `json` reads and writes


class Flaw(StrEnum):
    """Why an event is not believed; the label under which Countersign counts it.

    The last three are those of its own consumers, which believe what is in the catalogue only.
    """

    UNREADABLE = "unreadable"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown_key"
    ALTERED = "altered"
    FOREIGN = "foreign"
    MISSHAPEN = "misshapen"
    UNKNOWN_TYPE = "unknown_type"  # believed, but the catalogue has no such type of its source
    UNEXPECTED = "unexpected"  # it made the consumer's own code fail
    UNSTORABLE = "unstorable"  # believed, but it does not fit into the ledger


class Refused(Exception):
    """A message that is no event of ours. `flaw` says why; nothing of it may be used."""

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

    @property
    def event(self) -> dict[str, Json]:
        """The event as the CloudEvents object that it is: `types.CloudEvent`."""
        event: dict[str, Json] = json.loads(self.text)
        return event

    @property
    def data(self) -> dict[str, Json]:
        """What it tells: what `types.DATA` has of its type."""
        data = self.event.get("data")
        return data if isinstance(data, dict) else {}


def canonical(value: Json) -> bytes:
    """Return `value` in the canonical form of RFC 8785; ValueError if it has none here."""
    _refuse_inexact(value, MAX_DEPTH)
    return dump(value)


def dump(value: Json) -> bytes:
    """Return the canonical form of what is known to have one."""
    return _CANONICAL.encode(value).encode()  # a lone surrogate raises, and is a ValueError


@dataclass(frozen=True, slots=True)
class Form:
    """The canonical form of an event, open where its signature belongs.

    `signed` is the form that is signed. What stands before the signature, between its two members
    and behind is kept, so that the whole is had without going through all of it once more.
    """

    signed: bytes
    _before: str
    _between: str
    _behind: str

    @classmethod
    def of(cls, event: Mapping[str, Json]) -> "Form":
        """Return the form of an event, without a signature that it has. ValueError if none."""
        _refuse_inexact(event, MAX_DEPTH)
        behind = {name: value for name, value in event.items() if name > SIGNATURE}
        behind.pop(SIGNATURE_PATH, None)
        between = {name: behind.pop(name) for name in list(behind) if name < SIGNATURE_PATH}
        parts = (
            _members_of({name: value for name, value in event.items() if name < SIGNATURE}),
            _members_of(between) if between else "",
            _members_of(behind),
        )
        return cls(_object(*parts).encode(), *parts)

    def whole(self, signature: str, path: str | None = None) -> str:
        """Return the canonical form of the event with a signature, and its path if it has one."""
        signed = _members_of({SIGNATURE: signature})
        led = "" if path is None else _members_of({SIGNATURE_PATH: path})
        return _object(self._before, signed, self._between, led, self._behind)


def _members_of(value: dict[str, Json]) -> str:
    """Return the canonical form of an object without what is around it."""
    return _CANONICAL.encode(value)[1:-1]


def _object(*members: str) -> str:
    return f"{{{','.join(part for part in members if part)}}}"


def _refuse_inexact(value: Json, depth: int) -> None:
    """Raise ValueError for what has no canonical form. Text, of which there is most, always has."""
    if isinstance(value, dict | list | tuple):
        if not depth:
            raise ValueError("objects and lists are nested too deeply")
        if isinstance(value, dict):
            _refuse_names(value)
        for member in value.values() if isinstance(value, dict) else value:
            if type(member) is not str:
                _refuse_inexact(member, depth - 1)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > MAX_INTEGER):
        raise ValueError("numbers are integers of at most 53 bits")


def _refuse_names(members: dict[Any, Json]) -> None:
    # Python sorts names by code point, RFC 8785 by UTF-16 unit: the same for ASCII.
    try:
        is_ascii = "".join(members).isascii()
    except TypeError:
        is_ascii = False
    if not is_ascii:
        raise ValueError("names of members are ASCII text")


class EventVerifier:
    """Believes events that a known source has signed, and no others."""

    def __init__(self, keys: Mapping[str, PublicKey]) -> None:
        """Take `keys` by id; the issuer of a key is the one source that it speaks for."""
        self._keys = dict(keys)
        # What does not fit is not remembered, so nobody fills this but those who have a key.
        self._require_signed = lru_cache(ROOTS)(self._check_root)

    def verify(self, message: bytes | Mapping[str, Json]) -> Received:
        """Return the event in `message`, a body or what was read from one, or raise Refused.

        The signature comes first: nothing in the event is looked at before it fits.
        """
        event = parse(message) if isinstance(message, bytes) else dict(message)
        source, text = self._check_signature(event)
        return _file(event, source, text)

    def _check_signature(self, event: dict[str, Json]) -> tuple[str, str]:
        """Return the name of the source whose key signed `event`, and its canonical form."""
        signature, key_id = event.get(SIGNATURE), event.get("keyid")
        if not isinstance(signature, str) or not isinstance(key_id, str):
            raise Refused(Flaw.UNSIGNED)
        if key_id not in self._keys:
            raise Refused(Flaw.UNKNOWN_KEY)
        try:
            return self._keys[key_id].issuer, self._believed(event, key_id, signature)
        except (InvalidSignature, ValueError) as error:
            raise Refused(Flaw.ALTERED) from error

    def _believed(self, event: dict[str, Json], key_id: str, signature: str) -> str:
        """Return the canonical form of `event`; InvalidSignature or ValueError if it is not it."""
        form = Form.of(event)
        if SIGNATURE_PATH not in event:
            self._check(key_id, signature, form.signed)
            return form.whole(signature)
        path = _encoded(event[SIGNATURE_PATH], _PATH)
        root = climbed(leaf_hash(form.signed), urlsafe_b64decode(path))
        self._require_signed(key_id, signature, root)
        return form.whole(signature, path)

    def _check_root(self, key_id: str, signature: str, root: bytes) -> None:
        self._check(key_id, signature, ROOT_PREFIX + root)

    def _check(self, key_id: str, signature: str, signed: bytes) -> None:
        raw = urlsafe_b64decode(_encoded(signature, _SIGNATURE) + "==")
        self._keys[key_id].key.verify(raw, signed)


def _encoded(value: Json, shape: re.Pattern[str]) -> str:
    """Return base64url, of which there is one way to write what it stands for. ValueError."""
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise ValueError("not base64url of that length")
    return value


def parse(body: bytes) -> dict[str, Json]:
    """Return the JSON object in `body`, nothing of which is believed yet. Raises Refused.

    It is bounded, has no member twice, and no number that is none.
    """
    if len(body) > MAX_BYTES:
        raise Refused(Flaw.UNREADABLE)
    try:
        event = _DECODER.decode(body.decode())
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


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _file(event: dict[str, Json], source: str, text: str) -> Received:
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
        text=text,
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
