"""The catalogue of events: every type that there is, of every service, with what each carries.

It is read off the services' own `events`, which are the one place where an event is declared.
"""

import inspect
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import get_args, get_origin, get_type_hints

from services.suite import SERVICES
from shared.context import Context
from shared.event import EVENTS, Event


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of what an event carries; `list_of` texts where it is a list."""

    name: str
    kind: type
    list_of: type | None = None
    required: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One type of event: what it is called in Python, what it means, and what it carries."""

    type: str
    service: str
    name: str
    meaning: str
    members: tuple[Member, ...]


def catalogue() -> tuple[Entry, ...]:
    """Return every type of event, those of one service after those of the other."""
    ours = [(service, kind) for service in SERVICES for kind in _declared_by(service)]
    return tuple(
        Entry(
            type=kind.type,
            service=service,
            name=kind.__name__,
            meaning=inspect.cleandoc(kind.__doc__ or ""),
            members=_members(kind, without=("user_id",)),
        )
        for service, kind in ours
    )


def context_members() -> tuple[Member, ...]:
    """Return what the context of an event may have: on whose behalf it happened."""
    return _members(Context)


def _declared_by(service: str) -> list[type[Event]]:
    """Return the events of a service, in the order in which it declares them.

    Of a room of several files, by the name of the file: whoever imported them first is no matter.
    """
    room = f"services.{service}.events"
    if find_spec(room) is None:
        return []
    for inner in iter_modules(getattr(import_module(room), "__path__", ())):
        import_module(f"{room}.{inner.name}")  # of a room that has outgrown its file
    kinds = [kind for kind in EVENTS.values() if f"{kind.__module__}.".startswith(f"{room}.")]
    return sorted(kinds, key=lambda kind: kind.__module__)


def _members(kind: type, without: tuple[str, ...] = ()) -> tuple[Member, ...]:
    hints = get_type_hints(kind)
    return tuple(
        _member(field.name, hints[field.name], has_default=field.default is not MISSING)
        for field in fields(kind)
        if field.name not in without
    )


def _member(name: str, hint: object, *, has_default: bool) -> Member:
    """Return a member by its annotation. What may be None is left out where it is."""
    kinds = [k for k in get_args(hint) if k is not NoneType] if _is_union(hint) else [hint]
    (kind,) = kinds
    required = not _is_union(hint) and not has_default
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return Member(name=name, kind=list, list_of=inner, required=required)
    if not isinstance(kind, type):
        raise TypeError(f"{name} is of no plain kind")
    return Member(name=name, kind=kind, required=required)


def _is_union(hint: object) -> bool:
    return isinstance(hint, UnionType)
