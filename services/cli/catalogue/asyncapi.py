"""The catalogue as an AsyncAPI 3.0 document: what goes over the bus, and how to get it."""

from collections.abc import Sequence
from importlib.metadata import version

from countersign_events.wire import CATALOGUE, CONTENT_TYPE
from services.catalogue import Entry
from services.cli.catalogue.schemas import context_schema, data_schema, envelope
from shared.bus import topology

Document = dict[str, object]


def asyncapi(entries: Sequence[Entry]) -> Document:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Events of Countersign",
            "version": f"{CATALOGUE}.0.0",
            "description": (
                "Every event is a CloudEvent in JSON, signed by its source, and is published "
                f"once at least to the topic exchange `{topology.EVENTS}`, under its type as the "
                f"routing key. Countersign {version('countersign')}."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            topology.EVENTS: {
                "address": topology.EVENTS,
                "description": "Bind a durable queue of your own to it, by types or patterns.",
                "messages": {entry.name: _ref("messages", entry.name) for entry in entries},
                "bindings": {
                    "amqp": {
                        "is": "routingKey",
                        "exchange": {"name": topology.EVENTS, "type": "topic", "durable": True},
                        "bindingVersion": "0.3.0",
                    }
                },
            }
        },
        "operations": {
            "publish": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{topology.EVENTS}"},
                "summary": "Each service sends what has happened in it.",
            }
        },
        "components": {
            "messages": {entry.name: _message(entry) for entry in entries},
            "schemas": {
                "event": envelope(),
                "context": context_schema(),
                **{entry.type: _data(entry) for entry in entries},
            },
        },
    }


def _message(entry: Entry) -> Document:
    return {
        "name": entry.type,
        "title": entry.name,
        "summary": entry.meaning.split("\n\n", maxsplit=1)[0].replace("\n", " "),
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {"task": {"const": topology.TASK}, "id": {"type": "string"}},
        },
        "payload": {
            "allOf": [
                _ref("schemas", "event"),
                {
                    "properties": {
                        "type": {"const": entry.type},
                        "data": _ref("schemas", entry.type),
                    }
                },
            ]
        },
    }


def _data(entry: Entry) -> Document:
    schema = {name: part for name, part in data_schema(entry).items() if name != "$id"}
    properties = schema["properties"]
    if isinstance(properties, dict):
        schema["properties"] = properties | {"context": _ref("schemas", "context")}
    return schema


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
