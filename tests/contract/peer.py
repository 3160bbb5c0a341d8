"""Answers, held against the document of django-allauth, as far as that is true of itself."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tests.contract.document import Answer, Document, Json
from tests.contract.lags import LAGS, Extension, Lag, Otherwise, Unlisted

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def document() -> Document:
    """Return the document of the django-allauth that is installed."""
    text = (files("allauth") / "headless/spec/doc/openapi.yaml").read_text("utf-8")
    root: Json = _in_json_schema(yaml.load(text, Loader=LOADER))  # noqa: S506 - a safe one
    return Document(root)


def judge(answer: Answer, lags: Iterable[Lag] = LAGS) -> tuple[list[str], frozenset[Lag]]:
    """Return where an answer departs from the document, and the lags that it takes to see none."""
    known = document()
    mine = [lag for lag in lags if lag.is_about(answer)]
    if not known.knows(answer.method, answer.path):
        extensions = frozenset(lag for lag in mine if isinstance(lag, Extension))
        return ([] if extensions else ["there is no such operation"]), extensions
    listed = known.place(answer)
    found = [] if listed is None else known.errors(listed, answer.body)
    if listed is not None and not found:
        return [], frozenset()
    places: list[tuple[str | None, frozenset[Lag]]] = [
        *([(listed, frozenset[Lag]())] if listed else []),
        *((lag.place, frozenset({lag})) for lag in mine if isinstance(lag, Unlisted)),
    ]
    changes = [lag for lag in mine if isinstance(lag, Otherwise)]
    for place, needed in places:
        used = _needed(known, place, answer.body, changes)
        if used is not None:
            return [], needed | used
    return found or [f"{answer.status} is not listed"], frozenset()


def of_itself(answer: Answer) -> list[str]:
    """Return where an answer of django-allauth's own departs from its document, lags aside."""
    found, _ = judge(answer, [lag for lag in LAGS if not lag.ours])
    return found


def _needed(
    known: Document, place: str | None, body: Any, changes: list[Otherwise]
) -> frozenset[Lag] | None:
    """Return the changes without which `body` is not as it is described, or None."""
    if place is None:
        return frozenset() if body.keys() == {"status"} else None
    if not known.errors(place, body):
        return frozenset()
    telling = [lag for lag in changes if lag.change(body) != body]
    if known.errors(place, _changed(body, telling)):
        return None
    for lag in list(telling):
        fewer = [other for other in telling if other is not lag]
        if not known.errors(place, _changed(body, fewer)):
            telling = fewer
    return frozenset(telling)


def _changed(body: Any, changes: Iterable[Otherwise]) -> Any:
    for lag in changes:
        body = lag.change(body)
    return body


def _in_json_schema(node: Any) -> Any:
    """Turn what OpenAPI 3.0 has of its own into JSON Schema."""
    if isinstance(node, list):
        return [_in_json_schema(child) for child in node]
    if not isinstance(node, dict):
        return node
    turned = {name: _in_json_schema(child) for name, child in node.items()}
    if turned.pop("nullable", False) is True and isinstance(turned.get("type"), str):
        turned["type"] = [turned["type"], "null"]
    return turned
