"""What the public API says about itself, in the terms of OpenAPI 3.1."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from services.session import schemas
from services.session.api.fields import Text
from services.session.domain.access import Access
from services.session.domain.sessions import Client

Answers = Mapping[int, type[BaseModel]]
Body = Mapping[str, object]
Switches = Mapping[str, str]

STANDING: Answers = {200: schemas.LoggedIn, 401: schemas.LoginNeeded}
"""What most endpoints answer: how the session stands after the request."""


def describe(
    *,
    client: Client,
    method: str,
    name: str,
    summary: str,
    access: Access,
    takes: Sequence[Text],
    body: Body | None,
    switches: Switches | None,
    opens_session: bool,
    answers: Answers,
    csrf_header: str,
) -> dict[str, Any]:
    """Return the arguments of `add_api_route` that describe one endpoint for one client.

    `switches` are names in the query that need no value, with what they do; `opens_session` as in
    the route.
    """
    writes = method != "GET"
    known = dict(answers)
    known[503] = schemas.Away
    if writes:
        known.setdefault(400, schemas.Errors)
        known[429] = schemas.TooMany
        known.setdefault(409, schemas.Conflicts)
    if access is not Access.ANYONE:
        known.setdefault(401, schemas.LoginNeeded)
    if client is Client.APP:
        known[410] = schemas.Gone
    elif writes or opens_session:
        known[403] = schemas.Forbidden
    extra: dict[str, Any] = {
        "parameters": [
            *_parameters(client, writes, csrf_header),
            *(_switch(name, description) for name, description in (switches or {}).items()),
        ]
    }
    if writes:
        extra["requestBody"] = _body(takes) if body is None else _content(body, required=True)
    return {
        "operation_id": f"{name}_{client.value}",
        "summary": summary,
        "tags": [client.value],
        "response_model": known.pop(200, None),
        "responses": {status: {"model": model} for status, model in sorted(known.items())},
        "openapi_extra": extra,
    }


def _parameters(client: Client, writes: bool, csrf_header: str) -> list[dict[str, Any]]:
    if client is Client.APP:
        return [_header("X-Session-Token", "The session token, once there is one.", False)]
    if writes:
        return [_header(csrf_header, "The value of the CSRF cookie.", True)]
    return []


def _header(name: str, description: str, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def _switch(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "allowEmptyValue": True,
        "schema": {"type": "string"},
    }


def _body(takes: Sequence[Text]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {field.name: _property(field) for field in takes},
        "required": [field.name for field in takes if not field.optional],
    }
    return _content(schema, required=bool(takes))


def _content(schema: Body, *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _property(field: Text) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "string",
        "minLength": 1,
        "maxLength": field.max_length,
    }
    if field.format is not None:
        described["format"] = field.format
    if field.secret:
        described["writeOnly"] = True
    return described
