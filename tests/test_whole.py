"""A whole run is told from one that leaves something out."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.contract.plugin import FOLDERS as CONTRACT_FOLDERS
from tests.suites import ROOT
from tests.whole import TESTS, is_narrowed, is_whole

FOLDERS = ("contract", "trail")
EVERYTHING = [path for name in FOLDERS for path in (TESTS / name).glob("test_*.py")]
DEFAULT = "not thorough and not long"


def config(request: pytest.FixtureRequest, *args: str, **options: Any) -> Any:
    """Return the configuration of a run of `args`, with this project's own settings."""

    def getoption(name: str, default: Any = None) -> Any:
        return options.get(name, default)

    return SimpleNamespace(args=args, getini=request.config.getini, getoption=getoption)


def run(config: Any, paths: list[Path]) -> Any:
    """Return a run in which there are tests at these paths."""
    return SimpleNamespace(config=config, items=[SimpleNamespace(path=path) for path in paths])


@pytest.mark.parametrize("marks", ["", DEFAULT])
def test_what_is_always_left_out_narrows_no_run(request: pytest.FixtureRequest, marks: str) -> None:
    whole = run(config(request, "tests", markexpr=marks), EVERYTHING)

    assert not is_narrowed(whole.config)
    assert is_whole(whole, FOLDERS)


@pytest.mark.parametrize(
    "option",
    [
        {"markexpr": "thorough"},
        {"markexpr": "long"},
        {"markexpr": "not long"},
        {"keyword": "totp"},
        {"lf": True},
        {"deselect": ["tests/a.py"]},
    ],
)
def test_what_is_left_out_besides_does(
    request: pytest.FixtureRequest, option: dict[str, Any]
) -> None:
    part = run(config(request, "tests", **{"markexpr": DEFAULT, **option}), EVERYTHING)

    assert is_narrowed(part.config)
    assert not is_whole(part, FOLDERS)


def test_a_run_without_one_of_the_files_is_not_whole(request: pytest.FixtureRequest) -> None:
    assert not is_whole(run(config(request, "tests"), EVERYTHING[1:]), FOLDERS)
    assert not is_whole(run(config(request, "tests/a.py::test_it"), EVERYTHING), FOLDERS)


def test_the_expression_of_this_very_run_is_read_as_pytest_has_it(
    request: pytest.FixtureRequest,
) -> None:
    """Or nothing that a whole run is asked would ever be asked."""
    assert DEFAULT in str(request.config.getini("addopts"))


def test_every_test_is_run_by_one_of_the_commands() -> None:
    """What is long by `make test-long`, and what is thorough by the one that runs one folder."""
    ci = (ROOT / ".ci" / "run").read_text()
    thorough = [
        path.relative_to(TESTS)
        for path in TESTS.rglob("test_*.py")
        if path != Path(__file__) and "mark.thorough" in path.read_text()
    ]

    assert {"make test", "make test-long", "make test-browser"} <= set(re.findall(r"make \S+", ci))
    assert {path.parts[0] for path in thorough} == {"browser"}


LONG = """
import pytest

pytestmark = pytest.mark.long


def test_it() -> None:
    pass
"""
CONFTEST = """
from pathlib import Path

from tests import whole
from tests.contract.plugin import Plugin

whole.TESTS = Path(__file__).parent


def pytest_configure(config):
    config.pluginmanager.register(Plugin(), "contract")
"""


@pytest.mark.parametrize(("options", "asked"), [([], True), (["-k", "it"], False)])
def test_a_file_of_long_tests_alone_makes_no_run_a_part(
    tmp_path: Path, options: list[str], *, asked: bool
) -> None:
    """What is asked of a whole run is asked all the same, and fails it."""
    for name in CONTRACT_FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / f"test_{name}.py").write_text(LONG)
    (tmp_path / "test_short.py").write_text("def test_it() -> None: pass")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -m 'not long'\nmarkers = long")

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 passed" in ran.stdout, ran.stdout
    assert ("a lag that no answer shows" in ran.stdout) is asked, ran.stdout
    assert (ran.returncode == pytest.ExitCode.TESTS_FAILED) is asked
