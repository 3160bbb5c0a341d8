"""Every list that names the services, or the shared modules, says what the folders say."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli import COMMANDS, countersign
from services.cli.environment import KEY_FILES, SETTINGS
from services.session import settings as session_settings
from services.suite import FACTORS, SERVICES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {
    contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]
}
ROOMS = "Every service has the same rooms, and looks only downwards"
FOLDERS = {
    path.name
    for path in (ROOT / "services").iterdir()
    if (path / "__init__.py").exists() and path.name != "cli"
}
PURE = {"errors", "code_form"}
"""What rules may know of `shared`."""
SHARED = {
    path.stem
    for path in (ROOT / "shared").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
}


def test_the_suite_lists_every_service() -> None:
    assert set(SERVICES) == FOLDERS
    assert set(FACTORS) < FOLDERS


def test_no_factor_of_others_has_a_name_of_ours() -> None:
    """Section 3: whoever is called `audit` would be sent tokens that the ledger takes."""
    assert set(SERVICES) <= session_settings.OURS


def test_every_service_has_its_ports() -> None:
    named = {setting.name for setting in SETTINGS}

    for service in FOLDERS:
        own = "PORT" if service == "session" else f"{service.upper()}_PORT"
        assert {own, f"{service.upper()}_OPS_PORT", f"{service.upper()}_WORKER_OPS_PORT"} <= named


def test_no_two_ports_are_the_same_by_default() -> None:
    ports = [setting.default for setting in SETTINGS if setting.name.endswith("PORT")]

    assert len(set(ports)) == len(ports)


def test_every_service_has_an_extra_an_image_and_a_lock_file() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    images = re.findall(r"^FROM base AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert extras.keys() >= FOLDERS
    assert set(images) - {"wheel"} == FOLDERS
    for service in FOLDERS:
        assert (ROOT / "requirements" / f"{service}.txt").exists()
        assert service in extras["embedded"][0]


def test_the_walls_between_services_name_every_service() -> None:
    apart = CONTRACTS["Services stand alone; only the suite composes them"]["layers"][-3]
    inside = CONTRACTS[ROOMS]["containers"]

    assert set(apart.split(" | ")) == {f"services.{name}" for name in FOLDERS}
    assert set(inside) == {f"services.{name}" for name in FOLDERS}


@pytest.mark.parametrize(
    ("contract", "rooms"),
    [
        ("Rules are pure", {"domain"}),
        ("Only the edge knows HTTP", {"flows", "store", "domain", "gateway"}),
        ("Statements live in stores", {"flows", "api", "main"}),
    ],
)
def test_what_rooms_may_not_know_is_forbidden_in_every_service(
    contract: str, rooms: set[str]
) -> None:
    wanted = {
        f"services.{service}.{room}"
        for service in FOLDERS
        for room in rooms
        if list((ROOT / "services" / service).glob(f"{room}*"))
    }

    assert set(CONTRACTS[contract]["source_modules"]) == wanted


@pytest.mark.parametrize("service", sorted(FOLDERS))
def test_rules_know_only_what_is_pure_in_shared(service: str) -> None:
    room = ROOT / "services" / service
    files = [*room.glob("domain.py"), *room.glob("domain/*.py")]
    known = {name for file in files for name in _imports(file) if name.startswith("shared")}

    assert files
    assert known <= {f"shared.{module}" for module in PURE}


@pytest.mark.parametrize("module", sorted(PURE))
def test_what_is_pure_in_shared_needs_nothing(module: str) -> None:
    needed = {name.split(".")[0] for name in _imports(ROOT / "shared" / f"{module}.py")}

    assert needed <= sys.stdlib_module_names


def test_the_tests_mirror_the_source() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}

    assert folders >= FOLDERS | {"shared", "cli", "architecture", "journeys"}


@pytest.mark.parametrize("module", sorted(SHARED))
def test_a_shared_module_serves_two_services(module: str) -> None:
    """What one service needs stays in that service."""
    assert len(_served(module)) >= 2


@pytest.mark.parametrize("module", sorted(SHARED))
def test_a_shared_module_names_no_particular_factor(module: str) -> None:
    path = ROOT / "shared" / module
    files = list(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    names = "|".join(FACTORS)

    for file in files:
        code = ast.unparse(_without_docstrings(ast.parse(file.read_text())))
        assert not re.search(rf"\b(\w+[._])?({names})\b", code), file


def test_modules_are_named_for_one_thing_each() -> None:
    assert not SHARED & {"utils", "helpers", "common", "base", "misc"}


def test_every_module_opens_with_a_sentence() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (
            *_sources(),
            *(ROOT / "tests").rglob("*.py"),
            *(ROOT / "examples").rglob("*.py"),
        )
        if not ast.get_docstring(ast.parse(path.read_text())) and path.read_text().strip()
    ]

    assert not silent


def test_the_commands_say_the_same_of_themselves_as_the_list() -> None:
    helped = CliRunner().invoke(countersign, ["--help"]).output

    for name in COMMANDS:
        assert re.search(rf"^  {name}\s", helped, re.MULTILINE), name
        assert CliRunner().invoke(countersign, [name, "--help"]).exit_code == 0


def test_every_owner_of_keys_is_known() -> None:
    owners = {path.split("/")[0] for path in KEY_FILES.values()}

    assert owners <= FOLDERS | {"operator", "public"}


def test_lock_files_name_no_place() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in lock.read_text(), lock


def _served(module: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the services that use a shared module, themselves or through another one."""
    served: set[str] = set()
    for user in _users()[f"shared.{module}"]:
        top, name = user.split(".")
        if top == "shared" and name not in seen | {module}:
            served |= _served(name, seen | {module})
        elif user in ("services.cli", "services.embedded"):  # what runs every service
            served |= FOLDERS
        elif top == "services":
            served.add(name)
    return served


@cache
def _users() -> dict[str, set[str]]:
    """Return by shared module who imports it."""
    users: dict[str, set[str]] = defaultdict(set)
    for path in _sources():
        for module in _imports(path):
            users[module].add(_owner(path))
    return users


def _sources() -> list[Path]:
    return [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]


def _owner(path: Path) -> str:
    """Return the service, or shared module, that a file belongs to."""
    top, name = path.relative_to(ROOT).parts[:2]
    return f"{top}.{name.removesuffix('.py')}"


def _imports(path: Path) -> Iterator[str]:
    """Yield `shared.<module>` for each shared module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "shared":
            names = [f"shared.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        yield from (".".join(name.split(".")[:2]) for name in names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    return tree
