"""What of an event is personal, and is sealed: where it came from, with what, and any address.

An event is split into its sealed form, which is kept and hashed, and what is personal, which is
put into that form encrypted under the key of the person. Joined again, both give the very text
that was signed. What happened, when and to which id stays in the clear.
"""

from typing import Any

import orjson

from services.audit.domain.entries import canonical

IMPERSONAL = frozenset({"amr", "operator", "request_id", "session"})
"""What is not sealed of the context of an event: random, a hash, how, and who on our side."""

PERSONAL = frozenset(
    {"address", "addresses", "email", "emails", "label", "name", "phone", "user_agent", "username"}
)
"""What is sealed of the rest of an event's data, should it ever be there."""

SEALED = "sealed"
"""The member of the sealed form that holds the rest."""

NOT_KEPT = ""
"""In place of what is sealed, if it is about somebody who is forgotten."""

NOBODY = ""
"""In place of a person, of whom an event is that is about nobody."""


def split(text: str) -> tuple[dict[str, Any], str | None]:
    """Return an event without what is personal in it, and that as text, if there is any."""
    event = orjson.loads(text)
    personal: dict[str, Any] = {}
    if SEALED in event:
        personal["member"] = event.pop(SEALED)
    data = event.get("data")
    if isinstance(data, dict):
        event["data"], personal["data"] = _parted(data, lambda name: name in PERSONAL)
        context = data.get("context")
        if isinstance(context, dict):
            event["data"]["context"], personal["context"] = _parted(
                context, lambda name: name not in IMPERSONAL
            )
    found = {name: value for name, value in personal.items() if value or name == "member"}
    return event, canonical(found) if found else None


def sealed_form(event: dict[str, Any], sealed: str | None) -> str:
    """Return the text that is kept of an event; `sealed` is None if nothing in it is personal."""
    return canonical(event if sealed is None else {**event, SEALED: sealed})


def sealed_part(form: str) -> str | None:
    """Return what is sealed in a sealed form; None if nothing in it is personal."""
    part = orjson.loads(form).get(SEALED)
    return None if part is None else str(part)


def join(form: str, personal: str) -> str:
    """Return the event as it was signed, of its sealed form and what was sealed."""
    event = bare(form)
    found = orjson.loads(personal)
    if "member" in found:
        event[SEALED] = found["member"]
    if "data" in found:
        event["data"].update(found["data"])
    if "context" in found:
        event["data"]["context"].update(found["context"])
    return canonical(event)


def without_personal(form: str) -> str:
    """Return the event without what was sealed. Its signature does not fit any more."""
    return canonical(bare(form))


def bare(form: str) -> dict[str, Any]:
    """Return a sealed form without what is sealed in it."""
    event: dict[str, Any] = orjson.loads(form)
    event.pop(SEALED, None)
    return event


def facts_of(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is particular to an event, and the context in which it happened."""
    data = orjson.loads(text).get("data")
    facts = dict(data) if isinstance(data, dict) else {}
    context = facts.pop("context", None)
    return facts, context if isinstance(context, dict) else {}


def _parted(members: dict[str, Any], is_personal: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    kept = {name: value for name, value in members.items() if not is_personal(name)}
    return kept, {name: value for name, value in members.items() if is_personal(name)}
