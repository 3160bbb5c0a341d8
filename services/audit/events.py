"""What the ledger itself puts on record: that it has let go of something."""

from dataclasses import dataclass
from typing import ClassVar

from services.audit.domain.retention import STATEMENT
from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class PersonForgotten(Event):
    """The key of a person was destroyed; what is personal in events about them cannot be read."""

    type: ClassVar[str] = "mfa.audit.person_forgotten"
    by: str


@dataclass(frozen=True, kw_only=True)
class EventsDue(Event):
    """Events of one type from before a time are not kept any more. Their entries stay.

    It is stated before any is dropped. `before` is a time as of RFC 3339.
    """

    type: ClassVar[str] = STATEMENT
    event_type: str
    before: str


@dataclass(frozen=True, kw_only=True)
class AuditResealingStarted(Event):
    """An operator has keys of people sealed by `key`, instead of by other keys of the ring."""

    type: ClassVar[str] = "mfa.audit.resealing_started"
    key: str


@dataclass(frozen=True, kw_only=True)
class AuditResealed(Event):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    type: ClassVar[str] = "mfa.audit.resealed"
    key: str
    resealed: int
    left: int
