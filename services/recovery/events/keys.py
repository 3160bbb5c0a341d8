"""What the audit trail learns of the keys by which codes and tokens lie sealed."""

from dataclasses import dataclass

from shared.event import Event


@dataclass(frozen=True, kw_only=True)
class RecoveryResealingStarted(Event):
    """An operator has codes and tokens sealed by `key`, instead of by other keys of the ring."""

    type = "mfa.recovery.resealing_started"
    key: str


@dataclass(frozen=True, kw_only=True)
class RecoveryResealed(Event):
    """So many values were sealed anew by `key`. So many are `left`, which need another key."""

    type = "mfa.recovery.resealed"
    key: str
    resealed: int
    left: int
