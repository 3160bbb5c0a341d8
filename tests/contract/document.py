"""An OpenAPI document, to hold answers against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from jsonschema_rs import Draft202012, Draft202012Validator, Registry

URI = "urn:document"
JSON = "application/json"

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer to a request for `path`, which is whole and without a query; `body` is its JSON."""

    method: str
    path: str
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        """What was asked for, whichever client asked: such as `POST auth/login`."""
        return f"{self.method} {self.path.partition('/v1/')[2]}"

    def __str__(self) -> str:
        """Return what a reader of a failed test has to know."""
        return f"{self.method} {self.path} -> {self.status} {self.body}"


class Document:
    """The operations of a document and their answers. What is in it must not be changed."""

    def __init__(self, root: Json) -> None:
        self.root = root
        self._validators: dict[str, Draft202012Validator] = {}

    def knows(self, method: str, path: str) -> bool:
        """Tell whether there is such an operation."""
        return self._operation(method, path) is not None

    def response(self, answer: Answer) -> Json | None:
        """Return what is said of an answer of this status, or None if nothing is."""
        place = self.place(answer)
        return None if place is None else self._at(place)

    def place(self, answer: Answer) -> str | None:
        """Return where that is said: a JSON pointer."""
        template = self._operation(answer.method, answer.path)
        if template is None:
            return None
        method, status = answer.method.lower(), str(answer.status)
        if status not in self.root["paths"][template][method]["responses"]:
            return None
        place = f"/paths/{_escaped(template)}/{method}/responses/{status}"
        while "$ref" in (response := self._at(place)):
            place = response["$ref"].removeprefix("#")
        return place

    def errors(self, place: str, body: Any) -> list[str]:
        """Return where `body` departs from the response, or the schema, at `place`."""
        if "content" in self._at(place):
            place = f"{place}/content/{_escaped(JSON)}/schema"
        validator = self._validators.get(place)
        if validator is None:
            schema = {"$ref": f"{URI}#{quote(place)}"}
            validator = Draft202012Validator(schema, registry=self._registry)
            self._validators[place] = validator
        return [
            f"{'/'.join(map(str, error.instance_path))}: {error.message}"
            for error in validator.iter_errors(body)
        ]

    @cached_property
    def _registry(self) -> Registry:
        return Registry([(URI, self.root)], draft=Draft202012)

    def _operation(self, method: str, path: str) -> str | None:
        """Return the path of the document that such a request is for."""
        client = path.split("/")[2:3]
        templates = (path, path.replace(f"/{client[0]}/", "/{client}/", 1)) if client else (path,)
        return next(
            (
                template
                for template in templates
                if method.lower() in self.root["paths"].get(template, {})
            ),
            None,
        )

    def _at(self, place: str) -> Json:
        node: Any = self.root
        for step in place.split("/")[1:]:
            node = node[step.replace("~1", "/").replace("~0", "~")]
        found: Json = node
        return found


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
