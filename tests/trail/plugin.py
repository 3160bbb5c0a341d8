"""What of the watch on events is pytest's: a test whose flows tell nobody fails.

When all tests are run, each type of the catalogue must have been seen.
"""

import re
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from countersign_events.types import TYPES
from tests.trail.watch import Watch, watching
from tests.whole import is_whole

FOLDERS = ("session", "totp", "recovery", "webauthn", "audit", "journeys", "races", "cli")
"""Where the tests are that see every event between them."""
HELD = re.compile(r"tests/(session|totp|recovery|webauthn)/test_(?!api|limits|pages|races)")
"""Tests that run use cases one after the other, and judge how each has ended."""
TOLD, WHOLE = "trail_types", "trail_whole"


class Plugin:
    """The watch of one process; the one that has others run tests gathers what they saw."""

    def __init__(self) -> None:
        self.watch = Watch()
        self._stack = ExitStack()
        self._whole: bool | None = None
        self._missing: list[str] = []

    def pytest_sessionstart(self) -> None:
        """Begin."""
        self._stack.enter_context(watching(self.watch))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session) -> None:
        """Note whether there are tests that are not run, but for those that no run of ours has.

        In a file there may be none but those; so it is noted before they are left out.
        """
        self._whole = is_whole(session, FOLDERS)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Fail a test in which something went unrecorded."""
        before = len(self.watch.faults)
        answer = yield
        faults = self.watch.faults[before:]
        if faults and HELD.search(item.nodeid):
            pytest.fail("\n".join(dict.fromkeys(faults)), pytrace=False)
        return answer

    def pytest_testnodedown(self, node: Any) -> None:
        """Take in what another process has seen."""
        output = getattr(node, "workeroutput", {})
        self.watch.types |= set(output.get(TOLD, ()))
        self._whole = output.get(WHOLE, False) and self._whole is not False

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End, and fail the run if an event was not seen that should have been."""
        self._stack.close()
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[TOLD], output[WHOLE] = sorted(self.watch.types), self._whole
        elif self._whole and not session.testsfailed:
            self._missing = missing(self.watch)
            if self._missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say which events were not seen."""
        for what in self._missing:
            terminalreporter.write_line(f"ERROR: {what}", red=True)


def missing(watch: Watch) -> list[str]:
    """Return which events of the catalogue no test has shown."""
    return [f"no test has seen {kind} happen" for kind in sorted(TYPES - watch.types)]
