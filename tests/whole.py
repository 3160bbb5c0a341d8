"""Tells a run of all tests from one of some, for what can only be asked of a whole one."""

import shlex
from collections.abc import Iterable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
NARROWING = ("keyword", "lf", "deselect")
"""Options that leave out some of the tests that were found."""


def is_whole(session: pytest.Session, folders: Iterable[str]) -> bool:
    """Tell whether all tests in these folders of `tests` are run, as far as any run has them.

    It is asked before any are left out.
    """
    config = session.config
    collected = {item.path for item in session.items}
    wanted = {path for name in folders for path in (TESTS / name).glob("test_*.py")}
    chosen = any("::" in argument for argument in config.args)
    return wanted <= collected and not chosen and not is_narrowed(config)


def is_narrowed(config: pytest.Config) -> bool:
    """Tell whether some of the tests that were found are left out, but for those always are.

    pyproject.toml has every run leave out what is marked as thorough or as long. So what is asked
    of a whole run is asked of `make test`, which has to answer it without those.
    """
    marks = config.getoption("markexpr", default="")
    if marks and marks != _by_default(config):
        return True
    return any(config.getoption(name, default=None) for name in NARROWING)


def _by_default(config: pytest.Config) -> str:
    """Return the expression of marks that pyproject.toml gives."""
    words = config.getini("addopts")
    words = shlex.split(words) if isinstance(words, str) else list(words)
    return str(words[words.index("-m") + 1]) if "-m" in words else ""
