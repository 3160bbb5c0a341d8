"""What the public API says about each endpoint, in the terms of OpenAPI 3.1."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from services.session import schemas
from services.session.api.fields import Text
from services.session.domain.access import Access
from services.session.domain.sessions import Client

Answers = Mapping[int, type[BaseModel]]
Body = Mapping[str, object]
Codes = Mapping[int, Sequence[str]]
Switches = Mapping[str, str]

STANDING: Answers = {200: schemas.LoggedIn, 401: schemas.LoginNeeded}
"""What most endpoints answer: how the session stands after the request."""

SESSION_TOKEN = "sessionToken"  # noqa: S105 - these five are names of security schemes
ACCESS_TOKEN = "accessToken"  # noqa: S105
SESSION_COOKIE = "sessionCookie"
CSRF_COOKIE = "csrfCookie"
CSRF_HEADER = "csrfHeader"
ERROR_CODES = "x-error-codes"

UNTAKEN = ("body_too_large", "body_too_slow", "invalid_host")
"""Codes of requests that were not taken in at all."""
UNREADABLE = (
    "duplicate_member",
    "invalid_json",
    "invalid_utf8",
    "lone_surrogate",
    "not_an_object",
    "null_characters_not_allowed",
    "number_out_of_range",
    "too_deep",
)
"""Codes of bodies that cannot be read."""

WHO_MAY = {
    Access.ANYONE: "For anybody.",
    Access.LOGGED_OUT: "For who is not logged in (else 409).",
    Access.LOGIN_BY_CODE: "For a login that waits at the stage `login_by_code` (else 409).",
    Access.MFA_AUTHENTICATE: "For a login that waits at the stage `mfa_authenticate` (else 401).",
    Access.MFA_TRUST: "For a login that waits at the stage `mfa_trust` (else 401).",
    Access.MFA_SIGNUP_WEBAUTHN: "For a login that waits at the stage `mfa_signup_webauthn` "
    "(else 409).",
    Access.ADDRESS_PROOF: "For who is logged in, or a login that waits at the stage "
    "`verify_email` (else 409).",
    Access.PASSWORD_RESET: "For a session that waits for the code by which a password is reset "
    "(else 409).",
    Access.LOGGED_IN: "For who is logged in (else 401).",
}
"""Who may call, by what a route says of it."""
MISFITS = (
    Access.LOGGED_OUT,
    Access.LOGIN_BY_CODE,
    Access.ADDRESS_PROOF,
    Access.PASSWORD_RESET,
    Access.MFA_SIGNUP_WEBAUTHN,
)
"""What is answered 409 where the session is in another state."""

MEANINGS = {
    200: "It is done.",
    400: "The request says something that is refused, or cannot be read.",
    401: "Nobody is logged in, or whoever is has to prove it again: `data.flows` says how, and "
    "which step a login under way waits for (`is_pending`).",
    403: "The CSRF token is missing or wrong, or a page of elsewhere has sent the request.",
    404: "There is none.",
    409: "The request does not fit the state that the session or the account is in.",
    410: "The session is over: drop its token.",
    429: "Too many requests of this kind: `Retry-After` says when to come back.",
    503: "A part that is needed is away or full: `Retry-After` says when to come back.",
}
"""What a status says, whatever the endpoint."""
LATER = {
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
AFTER_A_WHILE = (429, 503)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One endpoint for one client: `description` is what FastAPI's `add_api_route` takes."""

    path: str
    method: str
    description: Mapping[str, Any]


def describe(
    *,
    client: Client,
    path: str,
    method: str,
    name: str,
    summary: str,
    access: Access,
    takes: Sequence[Text],
    body: Body | None,
    codes: Codes | None,
    switches: Switches | None,
    in_header: str | None,
    opens_session: bool,
    answers: Answers,
) -> Operation:
    """Return the description of one endpoint for one client.

    `codes` are those of errors by status; `switches` are names in the query that need no value,
    with what they do; `in_header` and `opens_session` as in the route.
    """
    writes = method != "GET"
    told = _codes(codes or {}, takes, reads=writes)
    known = _answers(client, access, answers, told, writes=writes, opens_session=opens_session)
    main = min(answers)  # 200, unless there is no success but to be logged out
    extra: dict[str, Any] = {"security": _security(client, access, writes=writes)}
    if switches:
        extra["parameters"] = [_switch(*switch) for switch in switches.items()]
    if in_header is not None:
        extra["parameters"] = [_header(in_header, field) for field in takes]
    content = _body(takes) if body is None else _content(body, required=True)
    if writes and content is not None:
        extra["requestBody"] = content
    description = {
        "operation_id": f"{name}_{client.value}",
        "summary": summary,
        "description": WHO_MAY[access],
        "tags": [client.value],
        "status_code": main,
        "response_model": known[main],
        "response_description": _meaning(main, known[main], told),
        "responses": {
            status: _response(status, model, told)
            for status, model in sorted(known.items())
            if status != main
        },
        "openapi_extra": extra,
    }
    return Operation(path=path, method=method, description=description)


def _answers(
    client: Client,
    access: Access,
    answers: Answers,
    told: Codes,
    *,
    writes: bool,
    opens_session: bool,
) -> dict[int, type[BaseModel]]:
    """Return the bodies of all statuses: what the route says, and what comes before it."""
    known: dict[int, type[BaseModel]] = {503: schemas.Away, 400: schemas.Errors}
    if writes:
        known[429] = schemas.TooMany
    if access in MISFITS or 409 in told:  # noqa: PLR2004
        known[409] = schemas.Conflicts
    if access is not Access.ANYONE and access not in MISFITS:
        known[401] = schemas.LoginNeeded
    if client is Client.APP:
        known[410] = schemas.Gone
    elif writes or opens_session:
        known[403] = schemas.Forbidden
    return {**known, **answers}


def _codes(codes: Codes, takes: Sequence[Text], *, reads: bool) -> dict[int, list[str]]:
    """Return the codes of errors by status: what is declared, and what follows from the fields."""
    unread = {*UNTAKEN, *(UNREADABLE if reads else ())}
    for field in takes:
        unread |= {"invalid", "max_length", *field.codes}
        unread |= set() if field.optional else {"required"}
    told = {status: sorted(listed) for status, listed in codes.items()}
    told[400] = sorted(unread.union(codes.get(400, ())))
    return told


def _response(status: int, model: type[BaseModel], told: Codes) -> dict[str, Any]:
    response: dict[str, Any] = {"model": model, "description": _meaning(status, model, told)}
    if status in AFTER_A_WHILE:
        response["headers"] = LATER
    if status in told:
        response[ERROR_CODES] = list(told[status])
    return response


def _meaning(status: int, model: type[BaseModel], told: Codes) -> str:
    """Return what a status says here. Of success, what the body is."""
    meaning = MEANINGS.get(status, "")
    if status in (200, 404):
        meaning = (model.__doc__ or meaning).strip().partition("\n")[0]
    return f"{meaning} Codes: {_listed(told[status])}." if told.get(status) else meaning


def _listed(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def _security(client: Client, access: Access, *, writes: bool) -> list[dict[str, list[str]]]:
    """Return what has to be sent along: one of the entries, all of it."""
    known = SESSION_TOKEN if client is Client.APP else SESSION_COOKIE
    proof = (CSRF_COOKIE, CSRF_HEADER) if client is Client.BROWSER and writes else ()
    ways = [(known, *proof)]
    if access in (Access.ANYONE, Access.LOGGED_OUT):
        ways.append(proof)
    return [{scheme: [] for scheme in way} for way in ways]


def _header(name: str, field: Text) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": field.max_length}
    return {"name": name, "in": "header", "required": True, "schema": schema}


def _switch(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "allowEmptyValue": True,
        "schema": {"type": "string"},
    }


def _body(takes: Sequence[Text]) -> dict[str, Any] | None:
    if not takes:
        return None
    schema = {
        "type": "object",
        "properties": {field.name: _property(field) for field in takes},
        "required": [field.name for field in takes if not field.optional],
    }
    return _content(schema, required=True)


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
