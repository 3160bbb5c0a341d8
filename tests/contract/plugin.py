"""What of the watch is pytest's: on to the end, when lags that no answer showed are faults."""

from contextlib import ExitStack
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from tests.contract.lags import LAGS
from tests.contract.watch import Watch, watching
from tests.whole import is_whole

FOLDERS = ("session", "journeys", "reference", "conformance", "contract")
"""Where the tests are that see every lag between them."""
SEEN, WHOLE = "contract_lags_seen", "contract_whole"


class Plugin:
    """The watch of one process; the one that has others run tests gathers what they saw."""

    def __init__(self) -> None:
        self.watch = Watch()
        self._stack = ExitStack()
        self._whole: bool | None = None  # whether all of the folders' tests are run
        self._unneeded: list[str] = []

    def pytest_sessionstart(self) -> None:
        """Begin."""
        self._stack.enter_context(watching(self.watch))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session) -> None:
        """Note whether there are tests that are not run, but for those that no run of ours has.

        In a file there may be none but those; so it is noted before they are left out.
        """
        self._whole = is_whole(session, FOLDERS)

    def pytest_testnodedown(self, node: Any) -> None:
        """Take in what another process has seen."""
        output = getattr(node, "workeroutput", {})
        self.watch.used |= set(output.get(SEEN, ()))
        self._whole = output.get(WHOLE, False) and self._whole is not False

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End, and fail the run if a lag was not seen that should have been."""
        self._stack.close()
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[SEEN], output[WHOLE] = sorted(self.watch.used), self._whole
        elif self._whole and not session.testsfailed:
            self._unneeded = unneeded(self.watch.used)
            if self._unneeded:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say which lags were not seen."""
        for why in self._unneeded:
            terminalreporter.write_line(f"ERROR: a lag that no answer shows: {why}", red=True)


def unneeded(used: set[str]) -> list[str]:
    """Return the lags that no answer needed, in their order."""
    return [lag.why for lag in LAGS if lag.why not in used]
