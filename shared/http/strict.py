"""JSON read strictly: what two parsers could understand differently is refused."""

import json
import math
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from shared.errors import Malformed
from shared.http.problems import as_malformed

MAX_DEPTH = 20  # security.md D7: objects and lists within each other
MAX_INTEGER = 2**63 - 1
MAX_DIGITS = 20  # a longer integer is not even converted: that takes quadratic time

SUSPICIOUS = re.compile(rf"\\u|[0-9]{{{len(str(MAX_INTEGER))},}}|[0-9][eE]")
OUT_OF_RANGE = object()
"""Stands for a number that cannot be taken, until its place in the body is known."""

M = TypeVar("M", bound=BaseModel)


def parse_json(raw: bytes) -> object:
    """Return the value that the UTF-8 text `raw` stands for (RFC 8259, I-JSON: RFC 7493).

    Raises Malformed for broken UTF-8, NaN and infinities, nesting over 20, lone surrogates, NUL,
    integers beyond 64 bits and members named twice.
    """
    try:
        text = raw.decode()
        value: object = DECODER.decode(text)
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.", code="invalid_utf8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise Malformed("The body is not JSON.", code="invalid_json") from None
    # Both searches are rarely needed: what has few brackets has no depth. UTF-8 has no surrogates
    # and JSON no bare NUL, so only an escape brings them; and a number out of range is long, or
    # has an exponent.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if SUSPICIOUS.search(text):
        _check_values(value, ())
    return value


def json_body(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """Return a dependency that reads the body as `model`. It raises Malformed, naming the field.

    A dependency rather than FastAPI's own body parameter: that one is read before any guard has
    seen the request, by a lenient parser.
    """

    async def body(request: Request) -> M:
        raw = await request.body()
        parse_json(raw)
        try:
            return model.model_validate_json(raw)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            raise as_malformed(details[0]) from None

    return body


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route whose body `json_body` reads."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise Malformed("A member is named twice.", code="duplicate_member", field=_safe(name))
        members[name] = value
    return members


def _integer(text: str) -> object:
    value = int(text) if len(text) <= MAX_DIGITS else MAX_INTEGER + 1
    return value if -MAX_INTEGER - 1 <= value <= MAX_INTEGER else OUT_OF_RANGE


def _real(text: str) -> object:
    value = float(text)
    return value if math.isfinite(value) else OUT_OF_RANGE  # 1e999 is an infinity in disguise


def _constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON.", code="invalid_json")


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise _too_deep()


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_values(value: object, place: tuple[str, ...]) -> None:
    if value is OUT_OF_RANGE:
        raise Malformed(
            "A number is out of range.", code="number_out_of_range", field=".".join(place) or None
        )
    if isinstance(value, str):
        _check_string(value, place)
    elif isinstance(value, dict):
        for name, child in value.items():
            _check_string(name, place)
            _check_values(child, (*place, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _check_values(child, (*place, str(index)))


def _check_string(text: str, place: tuple[str, ...]) -> None:
    field = ".".join(place) or None
    if "\0" in text:
        raise Malformed("Text must not contain NUL.", code="nul", field=field)
    if not _encodable(text):
        raise Malformed("Text has half a character.", code="lone_surrogate", field=field)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _safe(name: str) -> str | None:
    return name if _encodable(name) and "\0" not in name else None


def _too_deep() -> Malformed:
    return Malformed("The body is nested too deeply.", code="too_deep")


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
)
