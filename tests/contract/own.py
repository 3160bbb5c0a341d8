"""Answers, held against our own description of the API: it knows them all, to the letter."""

from typing import Any

from services.session.api.openapi import ERROR_CODES
from tests.contract.document import Answer, Document, Json

NOT_FOUND, NOT_ALLOWED = 404, 405
ELSEWHERE = {NOT_FOUND, NOT_ALLOWED, 400, 403, 503}
"""What is answered to requests for what there is not: some never get that far."""


def strict(root: Json) -> Document:
    """Return our document, in which answers have no members but those that it names."""
    closed: Json = _closed(root)
    return Document(closed)


def problems(answer: Answer, document: Document) -> list[str]:
    """Return where an answer departs from our document."""
    if not document.knows(answer.method, answer.path):
        return _stray(answer)
    place, said = document.place(answer), document.response(answer)
    if place is None or said is None:
        return [f"{answer.status} is not described"]
    wanted = (name for name, header in said.get("headers", {}).items() if header.get("required"))
    codes = {error["code"] for error in _errors_of(answer)}
    return [
        *document.errors(place, answer.body),
        *(f"{name} is missing" for name in wanted if name not in answer.headers),
        *(f"the code {code} is not described" for code in codes - {*said.get(ERROR_CODES, ())}),
    ]


def _stray(answer: Answer) -> list[str]:
    """Return what is wrong with the answer to a request for nothing that is described."""
    preflight = {200} if answer.method == "OPTIONS" else set()
    if answer.status not in ELSEWHERE | preflight:
        return ["the operation is not described"]
    extra = (answer.body or {}).keys() - {"status", "errors"}
    return [f"{name} is told of what there is not" for name in sorted(extra)]


def _errors_of(answer: Answer) -> list[Any]:
    body = answer.body if isinstance(answer.body, dict) else {}
    errors = body.get("errors", [])
    return [error for error in errors if isinstance(error, dict) and "code" in error]


def _closed(node: Any) -> Any:
    """Return schemas that allow for no members that they do not name."""
    if isinstance(node, list):
        return [_closed(child) for child in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(child) for name, child in node.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
