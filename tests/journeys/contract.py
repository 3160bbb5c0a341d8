"""The contract's own description: answers are held against django-allauth's OpenAPI document."""

from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

URI = "urn:contract"
DEPARTURES = (
    "`is_authenticated` is null, not a boolean, when a session or a stage is gone",
    "`last_used_at` is null, not left out, for what was never used",
    "a record of a password may fit two of the descriptions of which it should fit one",
    "`mfa_trust` and `mfa_…_webauthn` are flows like others, which the list of ids leaves out",
    "a sign-up by passkey is given creation options, and no request options",
    "401 of an endpoint for those logged in is that of all others to those who are not",
)
"""Where django-allauth itself does not answer as its document says, seen in its own answers."""

UNLISTED = ("mfa_trust", "mfa_login_webauthn", "mfa_signup_webauthn")

OURS = (
    "ids of sessions and of authenticators are texts, as those of people may be",
    "kinds of authenticators of someone else's factors have names that the document has not",
)
"""Where Countersign does not answer as the document says, on purpose."""

KINDS = {"recovery_codes", "totp", "webauthn"}
OTHER = {
    "type": "object",
    "required": ["type", "created_at", "last_used_at"],
    "properties": {"type": {"type": "string", "not": {"enum": sorted(KINDS)}}},
}
"""An authenticator of someone else's factor."""

Json = dict[str, Any]


def problems(kind: str, method: str, path: str, body: Json) -> list[str]:
    """Return where `body` departs from what is documented for this request and status.

    What the document does not know cannot be held against it: it lists neither the 409 of every
    endpoint nor 503. `DEPARTURES` says where the real thing, which clients know, is otherwise, and
    `OURS` where we are.
    """
    meta = body.get("meta", {})
    path = path.partition("?")[0]
    if (method, path) == ("GET", "auth/webauthn/signup"):
        path = "account/authenticators/webauthn"
    if body["status"] == HTTPStatus.UNAUTHORIZED and not meta["is_authenticated"]:
        schema: str | None = f"{URI}#/components/schemas/AuthenticationResponse"
    else:
        schema = _schema(f"/_allauth/{{client}}/v1/{path}", method.lower(), str(body["status"]))
    if schema is None:
        return []
    if meta.get("is_authenticated", "") is None:
        body = {**body, "meta": {**meta, "is_authenticated": False}}
    validator = Draft202012Validator({"$ref": schema}, registry=_registry())
    return [f"{kind} {method} {path}: {error.message}" for error in validator.iter_errors(body)]


@cache
def _schema(path: str, method: str, status: str) -> str | None:
    responses = _document()["paths"].get(path, {}).get(method, {}).get("responses", {})
    response = responses.get(status)
    if response is None:
        return None
    place = f"#/paths/{path.replace('/', '~1')}/{method}/responses/{status}"
    while "$ref" in response:
        place = response["$ref"]
        response = _document()["components"]["responses"][place.rpartition("/")[2]]
    if "content" not in response:
        return None
    return f"{URI}{place}/content/application~1json/schema"


@cache
def _registry() -> Registry[Any]:
    resource: Resource[Any] = DRAFT202012.create_resource(_document())
    registry: Registry[Any] = Registry().with_resource(URI, resource)
    return registry


@cache
def _document() -> Json:
    text = (files("allauth") / "headless/spec/doc/openapi.yaml").read_text("utf-8")
    document: Json = _in_json_schema(yaml.safe_load(text))
    return document


def _in_json_schema(node: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON Schema, and allow for `DEPARTURES` and `OURS`."""
    if isinstance(node, list):
        return [_in_json_schema(child) for child in node]
    if not isinstance(node, dict):
        return node
    turned = {
        "anyOf" if name == "oneOf" else name: _in_json_schema(child) for name, child in node.items()
    }
    if turned.pop("nullable", False) is True and isinstance(turned.get("type"), str):
        turned["type"] = [turned["type"], "null"]
    if isinstance(turned.get("last_used_at"), dict):
        turned["last_used_at"] = {"anyOf": [turned["last_used_at"], {"type": "null"}]}
    if "mfa_reauthenticate" in turned.get("enum", ()):
        turned["enum"] = [*turned["enum"], *UNLISTED]
    if "is_current" in turned and isinstance(turned.get("id"), dict):
        turned["id"] = {"type": "string"}
    if "AuthenticatorID" in turned:
        turned["AuthenticatorID"] = {"type": "string"}
    return _with_others(turned)


def _with_others(turned: Json) -> Json:
    """Allow for authenticators of kinds that the document does not know."""
    if set(turned.get("enum", ())) == KINDS:
        del turned["enum"]
    if {"$ref": "#/components/schemas/TOTPAuthenticator"} in turned.get("anyOf", ()):
        turned["anyOf"].append(OTHER)
    return turned
