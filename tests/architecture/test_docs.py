"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from services.cli.configuration import document
from services.cli.environment import DEFAULTS, parse
from services.embedded import settings_class
from services.suite import SERVICES

ROOT = Path(__file__).parents[2]


def known_settings() -> set[str]:
    fields = {name for service in SERVICES for name in settings_class(service).model_fields}
    return {name.upper() for name in fields} | DEFAULTS.keys()


def test_the_configuration_page_is_fresh() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text()

    assert written == document(), "run `make docs`"


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
