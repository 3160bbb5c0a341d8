"""The catalogue as JSON Schemas (draft 2020-12): of what each event carries, and of the whole."""

from collections.abc import Sequence

from countersign_events.wire import SCHEMA_PREFIX
from services.catalogue import Entry, Member, context_members

DRAFT = "https://json-schema.org/draft/2020-12/schema"
KINDS = {str: "string", bool: "boolean", int: "integer"}

Schema = dict[str, object]


def schemas(entries: Sequence[Entry]) -> Schema:
    """Return one document: the schema of an event, and under `$defs` one for each type's data.

    Those are known by the event's `dataschema`.
    """
    return {
        "$schema": DRAFT,
        "$id": SCHEMA_PREFIX.rstrip(":"),
        "title": "An event of Countersign",
        **envelope(),
        "oneOf": [
            {
                "properties": {
                    "type": {"const": entry.type},
                    "data": {"$ref": f"#/$defs/{entry.type}"},
                }
            }
            for entry in entries
        ],
        "$defs": {
            "context": context_schema(),
            **{entry.type: data_schema(entry) for entry in entries},
        },
    }


def envelope() -> Schema:
    """Return the schema of what every event has: the attributes of a CloudEvent, and ours."""
    text: Schema = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text | {"description": "One event is one id, however often it comes."},
            "source": text | {"description": "`urn:countersign:` and the service's name."},
            "type": text | {"description": "`mfa.`, the service's name, and what happened."},
            "time": text | {"format": "date-time", "description": "UTC, with microseconds."},
            "datacontenttype": {"const": "application/json"},
            "dataschema": text
            | {"description": f"`{SCHEMA_PREFIX}` and the type: by which of these schemas."},
            "sequence": text
            | {
                "pattern": "^[0-9]{20}$",
                "description": "Counted by the source, from 1 and without a gap.",
            },
            "subject": text | {"description": "The id of the person; absent if it is nobody's."},
            "partitionkey": text | {"description": "The same: what is about one person in order."},
            "traceparent": text | {"description": "W3C Trace Context, of the request."},
            "keyid": text | {"description": "Which key has signed."},
            "signature": text
            | {
                "description": "Ed25519 in base64url, over the RFC 8785 form of all the rest, "
                "or over the root to which `signaturepath` leads from it.",
            },
            "signaturepath": text
            | {
                "pattern": "^([A-Za-z0-9_-]{44})*$",
                "description": "Base64url; present if several events are signed at once.",
            },
            "data": {"type": "object"},
        },
        "required": [
            "specversion",
            "id",
            "source",
            "type",
            "time",
            "datacontenttype",
            "dataschema",
            "sequence",
            "keyid",
            "signature",
            "data",
        ],
    }


def data_schema(entry: Entry) -> Schema:
    """Return the schema of what an event of this type carries."""
    return {
        "$id": SCHEMA_PREFIX + entry.type,
        "title": entry.name,
        "description": entry.meaning,
        **_object(entry.members, context={"$ref": f"{SCHEMA_PREFIX.rstrip(':')}#/$defs/context"}),
    }


def context_schema() -> Schema:
    """Return the schema of an event's context."""
    return {
        "title": "On whose behalf it happened",
        **_object(context_members()),
    }


def _object(members: Sequence[Member], **besides: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {member.name: _schema_of(member) for member in members} | besides,
        "required": [member.name for member in members if member.required],
        "additionalProperties": False,
    }


def _schema_of(member: Member) -> Schema:
    if member.list_of is not None:
        return {"type": "array", "items": {"type": KINDS[member.list_of]}}
    return {"type": KINDS[member.kind]}
