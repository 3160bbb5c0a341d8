"""The documents say what the code does."""

import ast
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.catalogue import catalogue
from services.cli.catalogue.command import FORMS
from services.cli.configuration import document
from services.cli.environment import DEFAULTS, parse
from services.embedded import settings_class
from services.suite import SERVICES
from tests import trail

ROOT = Path(__file__).parents[2]
PAGES_OF_EVENTS = {
    "markdown": "docs/events.md",
    "schemas": "docs/events.schema.json",
    "asyncapi": "docs/events.asyncapi.json",
    "python": "packages/countersign-events/countersign_events/types.py",
}


def known_settings() -> set[str]:
    fields = {name for service in SERVICES for name in settings_class(service).model_fields}
    return {name.upper() for name in fields} | DEFAULTS.keys()


def test_the_configuration_page_is_fresh() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text()

    assert written == document(), "run `make docs`"


def defaults_of_allauth() -> dict[str, ast.expr]:
    """Return the settings that allauth reads, by name, and what each is where it is not set."""
    return {
        f"{app.upper()}_{call.args[0].value!s}": call.args[1]
        for app in ("account", "headless", "mfa", "usersessions")
        for call in ast.walk(ast.parse((files("allauth") / app / "app_settings.py").read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "_setting"
        and isinstance(call.args[0], ast.Constant)
    }


def test_every_setting_of_allauth_is_here_or_said_not_to_be() -> None:
    """With a reason, for whoever carries a site's settings over."""
    theirs = defaults_of_allauth().keys()
    said = set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", (ROOT / "docs" / "contract.md").read_text()))

    assert len(theirs) > 80
    assert theirs - known_settings() - said == set()


def test_every_setting_has_the_default_of_allauth_beside_ours() -> None:
    """As allauth has it: told of all that both have, and held against what it says, where that
    is a number, a word or a yes or no.
    """
    ours = {
        name.upper(): field.json_schema_extra
        for service in SERVICES
        for name, field in settings_class(service).model_fields.items()
    }
    both = {name: told for name, told in defaults_of_allauth().items() if name in ours}
    said = {
        name: str(extra["allauth"])
        for name in both
        if isinstance(extra := ours[name], dict) and "allauth" in extra
    }
    plain = {
        name: str(told.value)
        for name, told in both.items()
        if isinstance(told, ast.Constant) and told.value not in (None, "")
    }

    assert both.keys() == said.keys()
    assert len(plain) > 40
    assert {name: said[name].partition(",")[0] for name in plain} == plain


@pytest.mark.parametrize(("form", "path"), PAGES_OF_EVENTS.items())
def test_the_catalogue_of_events_is_fresh(form: str, path: str) -> None:
    assert (ROOT / path).read_text() == FORMS[form](), "run `make docs`"


def test_every_event_says_what_it_means() -> None:
    for entry in catalogue():
        assert entry.meaning.endswith("."), entry.type
        assert entry.type.split(".")[1] == entry.service, entry.type


def test_the_asyncapi_document_refers_to_what_it_has() -> None:
    text = (ROOT / PAGES_OF_EVENTS["asyncapi"]).read_text()
    document: Any = json.loads(text)

    for target in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found = document
        for name in target.split("/"):
            found = found[name]
        assert found
    for message in document["components"]["messages"].values():
        assert message["name"] in document["components"]["schemas"]


def test_a_schema_takes_what_its_source_signs_and_nothing_else() -> None:
    whole = json.loads((ROOT / PAGES_OF_EVENTS["schemas"]).read_text())
    validator = jsonschema.Draft202012Validator(whole)
    validator.check_schema(whole)
    data = {"authenticator_id": "a"}
    event = json.loads(trail.signed(type="mfa.totp.accepted", data=data))

    assert validator.is_valid(event)
    assert not validator.is_valid(event | {"type": "mfa.totp.invented"})
    assert not validator.is_valid(event | {"data": {}})
    assert not validator.is_valid(event | {"data": {**data, "code": "123456"}})


def test_every_setting_says_what_it_does() -> None:
    for service in SERVICES:
        for name, field in settings_class(service).model_fields.items():
            assert field.description, f"{service}: {name}"


def test_the_development_file_names_only_settings_that_there_are() -> None:
    told = parse((ROOT / "deploy" / "development.env").read_text())

    assert told.keys() <= known_settings()


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert (ROOT / target).exists(), target


def test_every_make_target_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    for page in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / page).read_text()))
        assert named & targets == named - {"sure"}, page


def test_the_architecture_names_every_service_and_shared_module() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    shared = {
        path.stem
        for path in (ROOT / "shared").iterdir()
        if path.stem not in ("__init__", "__pycache__")
    }

    assert not [name for name in shared if f"`{name}`" not in text]
    assert not [name for name in SERVICES if f"{name}/" not in text]
