"""The catalogue as types for Python: `countersign_events.types`, formatted as ruff does."""

from collections.abc import Iterator, Sequence

from services.catalogue import Entry, Member, context_members

HEAD = '''\
"""Every type of event that there is, and what each carries; written by `make docs`, do not edit."""

from typing import Any, NotRequired, TypedDict


class CloudEvent(TypedDict):
    """An event as it is on the wire; `data` is what `DATA` has of its `type`."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    datacontenttype: str
    dataschema: str
    sequence: str
    subject: NotRequired[str]
    partitionkey: NotRequired[str]
    traceparent: NotRequired[str]
    keyid: str
    signature: str
    signaturepath: NotRequired[str]
    data: dict[str, Any]
'''


def typed(entries: Sequence[Entry]) -> str:
    """Return the module."""
    return "\n\n".join((HEAD, *_classes(entries), _table(entries)))


def _classes(entries: Sequence[Entry]) -> Iterator[str]:
    yield _class("Context", "On whose behalf it happened.", context_members(), ())
    for entry in entries:
        yield _class(entry.name, entry.meaning, entry.members, ("context: NotRequired[Context]",))


def _class(name: str, meaning: str, members: Sequence[Member], besides: Sequence[str]) -> str:
    lines = [f"class {name}(TypedDict):", *_docstring(meaning), ""]
    lines += [f"    {member.name}: {_kind(member)}" for member in members]
    lines += [f"    {line}" for line in besides]
    return "\n".join(lines) + "\n"


def _docstring(meaning: str) -> list[str]:
    first, *rest = meaning.split("\n")
    if not rest:
        return [f'    """{first}"""']
    return [f'    """{first}', *(f"    {line}".rstrip() for line in rest), '    """']


def _kind(member: Member) -> str:
    kind = f"list[{member.list_of.__name__}]" if member.list_of else member.kind.__name__
    return kind if member.required else f"NotRequired[{kind}]"


def _table(entries: Sequence[Entry]) -> str:
    lines = [f'    "{entry.type}": {entry.name},' for entry in entries]
    return "\n".join(
        (
            "DATA: dict[str, Any] = {",
            *lines,
            "}",
            '"""What events of each type carry as `data`."""',
            "",
            "TYPES = frozenset(DATA)",
            "",
        )
    )
