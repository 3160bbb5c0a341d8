"""Watches every use case that a test runs: what it writes is on record, in the form promised.

A use case is a public method of a class in a service's `flows`, called from outside of them. If it
has changed something and answers without an event, that is a fault, unless `silent` says why not;
and so it is if it has refused a proof, or to judge one, unless `refusals` says why not.
One that raises has not answered: what it left half done is told by whoever finishes it.
Every event is held against the schema of its type.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, wraps
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest

from services.catalogue import catalogue
from services.cli.catalogue.schemas import schemas
from services.suite import SERVICES
from shared.database import Database
from shared.database.statement import Row, Step
from shared.event import Event
from tests.trail.refusals import refusals
from tests.trail.silent import SILENT

WATCHED = tuple(service for service in SERVICES if service != "audit")
"""Whose use cases are watched: all but the ledger's, which writes down what others have told."""

PERMITTED = {silent.flow for silent in SILENT}


@dataclass
class Frame:
    """What one use case has written so far."""

    changed: bool = False
    told: bool = False


@dataclass
class Watch:
    """What was seen: types of events, and faults."""

    types: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def wrote(self, service: str, steps: tuple[Step, ...], events: tuple[Event, ...]) -> None:
        """Note what was written, and check the form of each event."""
        frame = _frames.get().get(service)
        if frame is not None:
            frame.changed |= bool(steps)
            frame.told |= bool(events)
        for event in events:
            self.types.add(event.type)
            self.faults += misshapen(event)

    def ended(self, flow: str, frame: Frame, answer: Any) -> None:
        """Judge a use case that has come to its end."""
        if frame.told:
            return
        if frame.changed and flow not in PERMITTED:
            self.faults.append(f"{flow} has changed something, and told nobody")
        for code in refusals(flow, answer):
            self.faults.append(f"{flow} has refused something ({code}), and told nobody")


_frames: ContextVar[dict[str, Frame]] = ContextVar("frames", default={})  # noqa: B039


def misshapen(event: Event) -> list[str]:
    """Return what is wrong with an event, by the schema of its type."""
    validator = _validators().get(event.type)
    if validator is None:
        return []  # an event of the tests' own
    data = {**event.data, "context": {"request_id": "0"}}
    return [f"{event.type}: {error.message}" for error in validator.iter_errors(data)]


@cache
def _validators() -> dict[str, Any]:
    definitions: Any = schemas(catalogue())["$defs"]
    context = definitions["context"]
    found = {}
    for name, schema in definitions.items():
        if name != "context":
            members = schema["properties"] | {"context": context}
            whole = {**schema, "properties": members}
            del whole["$id"]
            found[name] = jsonschema_rs.Draft202012Validator(whole)
    return found


@contextmanager
def watching(watch: Watch, services: tuple[str, ...] = WATCHED) -> Iterator[None]:
    """Have `watch` see every use case of `services`, and every write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_write", _seen(watch))
        for service in services:
            for kind in flows_of(service):
                for name, method in use_cases(kind):
                    flow = f"{service}: {kind.__name__}.{name}"
                    patch.setattr(kind, name, framed(watch, service, flow, method))
        yield


def flows_of(service: str) -> list[type]:
    """Return every class in a service's `flows`."""
    room = import_module(f"services.{service}.flows")
    inner = [
        import_module(f"{room.__name__}.{module.name}")
        for module in iter_modules(getattr(room, "__path__", ()))
    ]
    return [kind for module in (room, *inner) for kind in _classes_in(module)]


def use_cases(kind: type) -> list[tuple[str, Any]]:
    """Return the public methods of a class that can write."""
    return [
        (name, method)
        for name, method in vars(kind).items()
        if inspect.iscoroutinefunction(method) and not name.startswith("_")
    ]


def framed(watch: Watch, service: str, flow: str, method: Any) -> Any:
    """Return a method that is judged when it ends, if no other one of the service runs it."""

    @wraps(method)
    async def run(*args: Any, **options: Any) -> Any:
        around = _frames.get()
        if service in around:
            return await method(*args, **options)
        frame = Frame()
        token = _frames.set({**around, service: frame})
        try:
            answer = await method(*args, **options)
        finally:
            _frames.reset(token)
        watch.ended(flow, frame, answer)
        return answer

    return run


def _classes_in(module: ModuleType) -> list[type]:
    return [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and kind.__module__ == module.__name__
    ]


def _seen(watch: Watch) -> Any:
    original = Database._write

    @wraps(original)
    async def write(
        self: Database, steps: tuple[Step, ...], events: tuple[Event, ...]
    ) -> Row | None:
        row = await original(self, steps, events)
        if row is not None:
            watch.wrote(self.source, steps, events)
        return row

    return write
