"""The description of the public API as a whole, and where clients find it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.session.api.examples import EXAMPLES
from services.session.api.openapi import (
    ACCESS_TOKEN,
    CSRF_COOKIE,
    CSRF_HEADER,
    SESSION_COOKIE,
    SESSION_TOKEN,
    Operation,
)
from services.session.domain.sessions import Client
from shared.http import plain

JSON_PATH = "/_allauth/openapi.json"
YAML_PATH = "/_allauth/openapi.yaml"
MEDIA_TYPES = {
    JSON_PATH: "application/vnd.oai.openapi+json",
    YAML_PATH: "application/vnd.oai.openapi",
}
HEADERS = {"Cache-Control": "public, max-age=300"}

ABOUT = """\
Accounts, logins in stages and second factors, over the HTTP contract of django-allauth's headless
API.

Each endpoint is there for two kinds of clients. An `app` sends the session token, which
`meta.session_token` tells whenever it is new, in `X-Session-Token`. A `browser` has it in a cookie;
what it writes also takes the value of the CSRF cookie in a header, and an `Origin` that is known.

Every answer is a JSON object with its `status`, and `data`, `meta` or `errors` where they apply. An
error has a stable `code`, a `message` for people, and in `param` the member of the request that it
is about, if it is a single one. 401 is no failure: it says in `data.flows` what is to be done next.

Members that do not apply are left out. Answers may get further members, and errors further codes:
a client passes over what it does not know.
"""
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
TAGS = {
    Client.APP: "For clients that keep the session token themselves, such as apps and scripts.",
    Client.BROWSER: "For pages, with cookies.",
}

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What the description says of how clients reach the API; `csrf_header` is a header's name.

    Without a `bearer_scheme` no access token opens anything.
    """

    public_url: str
    session_cookie: str
    csrf_cookie: str
    csrf_header: str
    bearer_scheme: str | None = None


def describe(app: FastAPI, operations: Sequence[Operation], outside: Outside) -> None:
    """Have the application describe `operations`, completed by what is not about one of them.

    It is made when it is first asked for.
    """

    @cache
    def openapi() -> Json:
        return complete(_described(app, operations), outside)

    app.state.operations = operations
    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation does


def _described(app: FastAPI, operations: Iterable[Operation]) -> Json:
    """Return what FastAPI makes of `operations`, and of the routes that it has been told of."""
    twin = FastAPI(title=app.title, version=app.version)
    for operation in operations:
        twin.add_api_route(
            operation.path, _nowhere, methods=[operation.method], **operation.description
        )
    twin.router.routes.extend(app.routes)
    return twin.openapi()


async def _nowhere() -> None:
    """Stand for an endpoint that is described, and served by another application."""


def serve(app: FastAPI) -> None:
    """Serve the description where django-allauth has its own, as JSON and as YAML."""
    document = app.openapi()
    texts = {JSON_PATH: json.dumps(document), YAML_PATH: as_yaml(document)}
    for path, text in texts.items():
        plain.serve(app, path, _serving(path, text))


def as_yaml(document: Json) -> str:
    """Return the document as YAML, in its own order and without aliases."""
    # A copy by way of JSON shares nothing: what is written twice is written out twice.
    plain = json.loads(json.dumps(document))
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def complete(described: Json, outside: Outside) -> Json:
    """Return the document that FastAPI makes of the routes, as clients are to have it.

    Request bodies get names, by which generators call them, and schemas lose what pydantic says
    about itself: titles, defaults that stand for members left out, and that there is nothing else.
    """
    document = deepcopy(described)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for operation in operations(document):
        _name_body(operation, schemas)
        _exemplify(operation)
        if outside.bearer_scheme is not None:
            operation["security"] = list(_with_access_token(operation["security"]))
    document["components"] = {
        "schemas": {name: _plain(schema) for name, schema in sorted(schemas.items())},
        "securitySchemes": _security_schemes(outside),
    }
    return {
        "openapi": document["openapi"],
        "info": {
            "title": "Countersign",
            "version": document["info"]["version"],
            "description": ABOUT,
            "license": LICENSE,
        },
        "servers": [{"url": outside.public_url.rstrip("/")}],
        "tags": [{"name": client.value, "description": text} for client, text in TAGS.items()],
        "paths": document["paths"],
        "components": document["components"],
    }


def operations(document: Json) -> Iterator[Json]:
    """Return everything that can be asked for."""
    for path in document["paths"].values():
        yield from path.values()


def name_of(operation: Json) -> str:
    """Return what an operation is called, whichever client it is for."""
    identifier: str = operation["operationId"]
    return identifier.rpartition("_")[0]


def _name_body(operation: Json, schemas: Json) -> None:
    """Put the schema of a request's body among the others, under the name of the operation."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        words = name_of(operation).split("_")
        name = "".join(word.capitalize() for word in words) + "Request"
        schemas[name] = content["schema"]
        content["schema"] = {"$ref": f"#/components/schemas/{name}"}


def _exemplify(operation: Json) -> None:
    example = EXAMPLES.get(name_of(operation))
    if example is None:
        return
    if example.request is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.request
    for status, named in example.answers.items():
        if response := operation["responses"].get(str(status)):
            response["content"]["application/json"]["examples"] = {
                name: {"value": body} for name, body in named.items()
            }


def _with_access_token(ways: Iterable[Json]) -> Iterator[Json]:
    """Return what may be sent along; wherever a session token will do, an access token does."""
    for way in ways:
        yield way
        if SESSION_TOKEN in way:
            yield {ACCESS_TOKEN: []}


def _security_schemes(outside: Outside) -> Json:
    return {
        **({} if outside.bearer_scheme is None else {ACCESS_TOKEN: _bearer(outside.bearer_scheme)}),
        SESSION_TOKEN: {
            "type": "apiKey",
            "in": "header",
            "name": "X-Session-Token",
            "description": "What `meta.session_token` told last.",
        },
        SESSION_COOKIE: {
            "type": "apiKey",
            "in": "cookie",
            "name": outside.session_cookie,
            "description": "Set by answers; scripts cannot read it.",
        },
        CSRF_COOKIE: {
            "type": "apiKey",
            "in": "cookie",
            "name": outside.csrf_cookie,
            "description": "Set by any answer, such as that of `config`.",
        },
        CSRF_HEADER: {
            "type": "apiKey",
            "in": "header",
            "name": outside.csrf_header,
            "description": "The value of the CSRF cookie.",
        },
    }


def _bearer(scheme: str) -> Json:
    return {
        "type": "http",
        "scheme": scheme.lower(),
        "bearerFormat": "JWT",
        "description": "What `meta.access_token` told, or `tokens/refresh`, until it expires.",
    }


def _plain(node: Any) -> Any:
    """Return a schema without what is about the class that it was made from."""
    if isinstance(node, list):
        return [_plain(child) for child in node]
    if not isinstance(node, dict):
        return node
    plain = {
        name: _properties(child) if name == "properties" else _plain(child)
        for name, child in node.items()
        if name not in ("title", "default")
    }
    if plain.get("additionalProperties") is False:
        del plain["additionalProperties"]
    return plain


def _properties(members: Mapping[str, Any]) -> Json:
    """Return the schemas of members, which may be called anything."""
    return {name: _plain(schema) for name, schema in members.items()}


def _serving(path: str, text: str) -> plain.Endpoint:
    body = text.encode()
    name = path.rpartition("/")[2]
    headers = {**HEADERS, "Content-Disposition": f"inline; filename=countersign-{name}"}

    async def serve(_request: Request) -> Response:
        return Response(body, media_type=MEDIA_TYPES[path], headers=headers)

    return serve


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes texts of several lines as they are read."""

    def text(self, value: str) -> yaml.Node:
        """Return `value` as it is to be written."""
        node: yaml.Node = self.represent_scalar(
            "tag:yaml.org,2002:str", value, style="|" if "\n" in value else None
        )
        return node


_Dumper.add_representer(str, _Dumper.text)
