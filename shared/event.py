"""An audit fact, as a service states it: in the past tense and without secrets."""

from dataclasses import dataclass, fields
from typing import ClassVar

EVENTS: dict[str, type["Event"]] = {}
"""Every declared event by its type: the closed catalogue, as far as it has been imported."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened to whom. Each kind is a frozen dataclass with a `type` of its own.

    `type` is `mfa.<service>.<what happened>` and is the routing key on the bus. The fields of the
    subclass are what the event carries as `data`: plain JSON values that name no secret.
    """

    type: ClassVar[str]

    user_id: str | None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if EVENTS.setdefault(cls.type, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"two kinds of event call themselves {cls.type}")

    @property
    def data(self) -> dict[str, object]:
        """What is particular to this kind of event; None is left out."""
        facts = ((name, getattr(self, name)) for name in _particular(self))
        return {name: fact for name, fact in facts if fact is not None}


_PARTICULAR: dict[str, tuple[str, ...]] = {}


def _particular(event: Event) -> tuple[str, ...]:
    """Return the fields that events of this type have besides those of all; found out once."""
    names = _PARTICULAR.get(event.type)
    if names is None:
        names = tuple(field.name for field in fields(event) if field.name != "user_id")
        _PARTICULAR[event.type] = names
    return names
