"""What the security requirements ask for is proved by tests that name them."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

CLAIMED = {
    "T": (1, 2, 3, 5, 6, 7, 9, 11, 12),  # one-time passwords
    "R": (1, 2, 3, 4, 5, 6, 7),  # recovery codes
    "L": (1, 2, 3, 4, 5, 6, 7, 8, 9),  # throttling
    "O": (1, 2, 3, 4, 5, 6, 7, 8, 9),  # login stages
    "N": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),  # sessions, tokens, reauthentication
    "K": (1, 2, 3, 4, 5, 6, 7, 8),  # trust in a browser
    "D": (1, 3, 4, 5, 6, 7),  # data at rest, logging, errors
}
"""The requirements that are met as a whole, by the letter and number of their row."""

LAST_ROWS = {"T": 12, "R": 7, "L": 9, "O": 9, "N": 11, "K": 8, "D": 7}
"""How many rows there are under each letter."""

ROWS = [f"{letter}{number}" for letter, numbers in CLAIMED.items() for number in numbers]
NAMED = re.compile(r"([A-Z]\d+(?:, [A-Z]\d+)*): ")
"""How the docstring of a test begins that proves one or several rows: `T1, O3: …`."""


@pytest.mark.parametrize("row", ROWS)
def test_a_claimed_row_has_a_test_that_names_it(row: str) -> None:
    assert proofs()[row], f"no test's docstring begins with {row}"


def test_no_test_names_a_row_that_there_is_not() -> None:
    unknown = {row: tests for row, tests in proofs().items() if not _is_row(row)}

    assert not unknown


@cache
def proofs() -> dict[str, list[str]]:
    """Return, for each row that is named, the tests that name it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test(node):
                named = NAMED.match(ast.get_docstring(node) or "")
                for row in named[1].split(", ") if named else ():
                    found[row].append(f"{path.relative_to(TESTS)}::{node.name}")
    return found


def _is_test(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return node.name.startswith("test_")


def _is_row(row: str) -> bool:
    return 1 <= int(row[1:]) <= LAST_ROWS.get(row[0], 0)
