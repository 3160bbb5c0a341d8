"""Requests read strictly, by the schemas of the published document; refusals in its form."""

import json
import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from starlette.requests import Request
from starlette.responses import JSONResponse

DOCUMENT = Path(__file__).parents[3] / "docs" / "factors.openapi.json"
MAX_BODY = 65536  # bytes
MAX_DEPTH = 20
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refused(Exception):
    """A request that is not answered; becomes problem details."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


def problem(status: int, code: str) -> JSONResponse:
    """Return problem details (RFC 9457)."""
    document = {"title": HTTPStatus(status).phrase, "status": status, "code": code}
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(document, status, headers, "application/problem+json")


def ids(request: Request) -> dict[str, str]:
    """Return the ids in the path. Raises Refused."""
    for text in request.path_params.values():
        if not ID.fullmatch(text):
            raise Refused(400, "invalid")
    return dict(request.path_params)


async def body(request: Request, schema: str) -> dict[str, Any]:
    """Return a question of that name. Raises Refused."""
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            raise Refused(400, "body_too_large")
    question = parse(raw)
    error = next(iter(_validator(schema).iter_errors(question)), None)
    if error is not None:
        unknown = error.validator == "additionalProperties"
        raise Refused(400, "unknown_member" if unknown else "invalid")
    return dict(question)


def parse(raw: bytes) -> Any:
    """Return what strict JSON stands for. Raises Refused."""
    try:
        value = json.loads(raw.decode(), parse_constant=_no_number, object_pairs_hook=_once)
        _check(value, 0)
    except (ValueError, RecursionError):
        raise Refused(400, "invalid_json") from None
    return value


@cache
def _validator(schema: str) -> Draft202012Validator:
    # In Python `$` lets a line break pass, in JSON Schema it does not.
    document = DOCUMENT.read_text().replace('{1,64}$"', '{1,64}\\\\Z"')
    components = json.loads(document)["components"]
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return Draft202012Validator({**reference, "components": components})


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a member is named twice")
    return dict(pairs)


def _check(value: Any, depth: int) -> None:
    """Raise ValueError for what no answer could repeat: NUL, half characters, infinities."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value.encode()
        if "\0" in value:
            raise ValueError("NUL")
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise ValueError("an infinity")
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(inside, list):
        for child in inside:
            _check(child, depth + 1)
