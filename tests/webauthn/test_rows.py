"""Every step of both ceremonies that asks something of us is proved by tests that name it."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

STEPS = {
    "7.1": (3, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 20, 21, 23, 24, 25, 26, 27, 28),
    "7.2": (5, 6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 24),
}
"""The steps of WebAuthn Level 3 that have a row in the security requirements; 3 of 7.1, and 8 of
7.2, stand for all that is read before the first comparison."""

ROWS = [f"W{section}-{step}" for section, steps in STEPS.items() for step in steps]
NAMED = re.compile(r"W7\.[12]-\d+(?=[:;,. ])")


def named() -> Counter[str]:
    """Return how many tests name each row in their docstring."""
    found: Counter[str] = Counter()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.update(set(NAMED.findall(ast.get_docstring(node) or "")))
    return found


@pytest.mark.parametrize("row", ROWS)
def test_each_step_has_a_test_that_names_it(row: str) -> None:
    assert named()[row]


def test_no_test_names_a_step_that_asks_nothing() -> None:
    assert named().keys() <= set(ROWS)
