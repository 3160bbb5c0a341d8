"""The factor protocol as an OpenAPI document, made from the types that session speaks it with."""

import json
import re
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter
from pydantic.json_schema import models_json_schema

from services.cli.conformance.calls import CALLS, NOT_THERE, Call
from shared.context import HEADER
from shared.factor import Answer, Id, Question
from shared.http.bodies import MAX_BODY

REFERENCE = "#/components/schemas/{model}"
PLACEHOLDER = re.compile(r"\{(\w+)\}")

DESCRIPTION = f"""\
What Countersign's session service says to a factor. docs/factors.md tells what each call means.

A body has at most {MAX_BODY} bytes of UTF-8 JSON. In a question no member may be overlooked and
nothing is coerced; of an answer, members that session does not know are ignored. Times are seconds
since 1970. A proof that is refused is 200 with `accepted: false`.
"""


class Problem(BaseModel):
    """Problem details (RFC 9457). `code` is for programs, `field` names the member at fault."""

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    code: str
    detail: str | None = None
    field: str | None = None


def text() -> str:
    """Return docs/factors.openapi.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign factor protocol",
            "version": "1",
            "description": DESCRIPTION,
        },
        "security": [{"service": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {"Problem": _problem("Refused.")},
            "securitySchemes": {
                "service": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Signed by session (Ed25519, alg EdDSA) for this factor alone: "
                    "claims iss, aud, iat, exp and no others; good for at most 60 seconds.",
                }
            },
        },
    }


def _schemas() -> dict[str, Any]:
    wanted: dict[type[BaseModel], None] = {Problem: None}
    for call in CALLS:
        wanted |= dict.fromkeys(model for model in (call.question, call.answer) if model)
    _, schemas = models_json_schema(
        [(model, "validation") for model in wanted], ref_template=REFERENCE
    )
    definitions: dict[str, Any] = schemas["$defs"]
    return definitions


def _operation(call: Call) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.summary,
        "parameters": [*map(_parameter, PLACEHOLDER.findall(call.path)), _context()],
    }
    if call.optional:
        operation["x-optional"] = True
    if call.question is not None:
        operation["requestBody"] = {"required": True, "content": _json(call.question)}
    operation["responses"] = _responses(call)
    return operation


def _responses(call: Call) -> dict[str, Any]:
    success: dict[str, Any]
    if call.answer is None:
        success = {"204": {"description": "Done, or as it was: repeatable."}}
    else:
        success = {"200": {"description": "Answered.", "content": _json(call.answer)}}
    own = {str(status): _problem(why) for status, why in (call.problems or {}).items()}
    if call.optional:
        absent = "This factor has no such call (404 or 405)."
        why = f"{NOT_THERE} Or: {absent}" if "404" in own else absent
        own["404"] = _problem(why)
    told = {
        "400": "The question is malformed.",
        "401": "No credential, or no good one.",
        "403": "A good credential of a service that may not call here.",
        "503": "Away, slow or full. Nothing was let past.",
    }
    general = {status: _problem(why) for status, why in told.items()}
    return success | dict(sorted((general | own).items()))


def _problem(why: str) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model="Problem")}
    return {"description": why, "content": {"application/problem+json": {"schema": schema}}}


def _parameter(name: str) -> dict[str, Any]:
    schema = TypeAdapter(Id).json_schema()
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _context() -> dict[str, Any]:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "On whose behalf, for logs and the audit trail: base64url of a JSON object "
        "with request_id, address, user_agent, session, client. Nothing is decided by it.",
    }


def _json(model: type[Question] | type[Answer]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}}
