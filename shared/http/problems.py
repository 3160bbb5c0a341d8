"""Errors as HTTP tells them: the one table of statuses, and problem details (RFC 9457)."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from shared.errors import (
    Conflict,
    CountersignError,
    Forbidden,
    Malformed,
    NotFound,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
STATUSES: dict[type[CountersignError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooManyAttempts: 429,
    Unavailable: 503,
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error, ready to be put in the shape that a service's callers expect.

    `retry_after` is in seconds.
    """

    status: int
    code: str
    detail: str = ""
    field: str | None = None
    retry_after: int | None = None

    @property
    def title(self) -> str:
        """What the status means, in the words of RFC 9110."""
        return HTTPStatus(self.status).phrase


ErrorShape = Callable[[Scope, Problem], Response]
"""Puts a problem in the shape that a service's callers expect."""


def describe(error: Exception) -> Problem:
    """Return what callers are told of `error`. Of the unexpected they are told nothing."""
    if isinstance(error, CountersignError):
        return _describe_ours(error)
    if isinstance(error, RequestValidationError):
        return _describe_ours(as_malformed(error.errors()[0]))
    if isinstance(error, HTTPException):
        # Whatever failed while FastAPI read the body arrives wrapped.
        if isinstance(error.__cause__, CountersignError):
            return _describe_ours(error.__cause__)
        phrase = HTTPStatus(error.status_code).phrase
        return Problem(status=error.status_code, code=phrase.lower().replace(" ", "_"))
    return Problem(status=500, code="internal_error")


def as_malformed(details: object) -> Malformed:
    """Turn the first of pydantic's complaints into one of ours, without the value it is about."""
    facts = details if isinstance(details, dict) else {}
    places = [str(place) for place in facts.get("loc", ())]
    if places and places[0] in {"body", "path", "query", "header", "cookie"}:
        places = places[1:]
    kind = str(facts.get("type", ""))
    code = {"missing": "required", "extra_forbidden": "unknown_member"}.get(kind, "invalid")
    return Malformed("A value is missing or invalid.", code=code, field=".".join(places) or None)


def problem_details(scope: Scope, problem: Problem) -> Response:
    """Shape a problem as RFC 9457 says, with `code` and `field` as extensions."""
    members = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail or None,
        "field": problem.field,
    }
    content = json.dumps({name: value for name, value in members.items() if value is not None})
    headers = problem_headers(problem)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"  # RFC 9110 section 15.5.2 asks for a challenge
    return Response(content, problem.status, headers, MEDIA_TYPE)


def problem_headers(problem: Problem) -> dict[str, str]:
    """Return the headers that go with a problem, whatever its shape."""
    headers = {}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    return headers


def _describe_ours(error: CountersignError) -> Problem:
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(status=500, code="internal_error")
    wait = getattr(error, "retry_after", None)
    return Problem(
        status=status,
        code=error.code,
        detail=error.detail,
        field=getattr(error, "field", None),
        # Rounded up: whoever waits as told must not come too early.
        retry_after=None if wait is None else max(1, math.ceil(wait.total_seconds())),
    )
