"""The catalogue as a page for people: docs/events.md."""

from collections.abc import Iterator, Sequence

from countersign_events.wire import CATALOGUE
from services.catalogue import Entry, Member, context_members
from services.suite import SERVICES
from shared.bus.wire import SIGNED_AT_ONCE

INTRODUCTION = f"""\
# Events

Written by `make docs` from the services' `events`; do not edit. The same for programs: [JSON
Schemas](events.schema.json), an [AsyncAPI document](events.asyncapi.json), and types for Python
in [countersign-events](../packages/countersign-events/README.md), which says how to receive them.

An event tells what has happened, in the past tense. It is a CloudEvent (1.0, JSON) on the
exchange `audit`, whose routing key is its type, signed by the service that it names as its source.
It comes at least once, and under the same `id` each time; `sequence` is counted by the source,
without gaps. `subject` is the id of the person whom it is about. No event carries a secret, a
code, a token or an address of mail.

The catalogue is closed, and this is version {CATALOGUE} of it (`dataschema` is
`urn:countersign:events:{CATALOGUE}:<type>`). Within a version, types and members are only added.
The workers of audit and session refuse what their catalogue has not, or what is signed in a way
that they do not know, so update them before the rest, and consumers of your own with them. What was
refused meanwhile is among the dead letters, and `countersign bus dead replay` hands it in again.

## The signature

What is signed is the RFC 8785 form of the event without `signature` and `signaturepath`. Where
there is no `signaturepath`, `signature` is Ed25519 over that form itself. A source that has more to
tell signs up to {SIGNED_AT_ONCE} events at once, and each can be checked alone all the same:

1. Begin with `SHA-256(0x00 || form)`, as the leaf of a tree of RFC 9162.
2. `signaturepath` is base64url of steps of 33 bytes, a side and a hash. For each in turn: if the
   side is 0, go on with `SHA-256(0x01 || hash || so far)`; if it is 1, with
   `SHA-256(0x01 || so far || hash)`.
3. `signature` is Ed25519 over `countersign.events.root.v1`, a line feed, and the last hash.

A root whose signature has been checked need not be checked again for the others: that is why.
[consumer.mjs](../packages/countersign-events/examples/node/consumer.mjs) has it in twenty lines.

## On whose behalf

`data.context` says who asked and from where. What is not known is left out; what a worker does by
itself has no context.

{{context}}

A fact that has no canonical form would travel as `data.text` alone; that is a fault, which the
log of the relay tells as `event_not_canonical`.
"""

MEANINGS = {
    "request_id": "The request, the same in every service and in the logs; also `traceparent`.",
    "address": "The address that it came from, as the trusted proxies report it.",
    "user_agent": "What the client calls itself, up to 512 characters.",
    "session": "The session, by the SHA-256 of its internal id; the same as long as it lives.",
    "client": "`app` or `browser`: how the session is carried.",
    "amr": "How the person had proved themselves in that session before (RFC 8176), with spaces.",
    "operator": "Who ran a command on the server: the account and the machine.",
}


def page(entries: Sequence[Entry]) -> str:
    """Return docs/events.md."""
    rows = [
        f"| `{member.name}` | {_kind(member)} | {MEANINGS[member.name]} |"
        for member in context_members()
    ]
    table = "\n".join(("| member | kind | |", "| --- | --- | --- |", *rows))
    return INTRODUCTION.format(context=table) + "".join(_sections(entries))


def _sections(entries: Sequence[Entry]) -> Iterator[str]:
    for service in SERVICES:
        own = [entry for entry in entries if entry.service == service]
        if own:
            yield f"\n## {service}\n\n| type | carries | means |\n| --- | --- | --- |\n"
            yield from (_row(entry) for entry in own)


def _row(entry: Entry) -> str:
    carries = ", ".join(f"`{m.name}` {_kind(m)}" for m in entry.members)
    meaning = " ".join(entry.meaning.split()).replace("|", "\\|")
    return f"| `{entry.type}` | {carries} | {meaning} |\n"


def _kind(member: Member) -> str:
    names = {str: "text", bool: "yes or no", int: "number"}
    kind = f"list of {names[member.list_of]}" if member.list_of else names[member.kind]
    return kind if member.required else f"{kind}, if known"
