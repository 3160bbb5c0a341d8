"""The kit in pytest: a test that asks for `factor_rule` runs once for each rule.

    def test_the_protocol_is_kept(factor_rule):
        factor_rule()

Which factor it is, is said on the command line (`--factor-url` …), or by a fixture of one's own
named `factor_subject` that returns a `Subject`.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# The kit is imported only where it is asked for: this module is read in every run of pytest.
if TYPE_CHECKING:
    from services.cli.conformance.device import Device
    from services.cli.conformance.rules import Rule
    from services.cli.conformance.subject import Subject

NEEDED = ("url", "key", "audience", "type")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what says which factor is examined."""
    group = parser.getgroup("countersign", "a factor for Countersign")
    group.addoption("--factor-url", help="Where the factor is.")
    group.addoption("--factor-key", help="File with the private key of a caller it takes.")
    group.addoption("--factor-audience", help="The name that it is called by in credentials.")
    group.addoption("--factor-type", help="The type of its authenticators.")
    group.addoption("--factor-prover", help="module:function that makes a Device.")
    group.addoption("--factor-prover-command", help="A program that is one.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have a test run once for each rule."""
    if "factor_rule" not in metafunc.fixturenames:
        return
    from services.cli.conformance.rules import RULES  # noqa: PLC0415

    metafunc.parametrize("factor_rule", RULES, ids=lambda rule: rule.name, indirect=True)


class HeldRule:
    """A rule, and the factor that is held against it."""

    def __init__(self, rule: "Rule", subject: "Subject") -> None:
        self.rule = rule
        self.subject = subject

    def __call__(self) -> None:
        """Fail or skip the test unless the factor keeps the rule. Outside of an event loop."""
        asyncio.run(self.held())

    async def held(self) -> None:
        """Do the same within one."""
        from services.cli.conformance.check import Verdict, hold  # noqa: PLC0415

        finding = await hold(self.rule, self.subject)
        if finding.verdict is Verdict.FAILED:
            pytest.fail(f"{self.rule.summary}\n{finding.reason}", pytrace=False)
        if finding.verdict is Verdict.SKIPPED:
            pytest.skip(finding.reason)


@pytest.fixture
def factor_rule(request: pytest.FixtureRequest, factor_subject: "Subject") -> HeldRule:
    """Each rule in turn; called, it fails the test unless the factor keeps it."""
    return HeldRule(request.param, factor_subject)


@pytest.fixture
def factor_subject(request: pytest.FixtureRequest) -> "Subject":
    """The factor that the command line tells of."""
    from services.cli.conformance.subject import Subject  # noqa: PLC0415
    from shared.auth import PrivateKey  # noqa: PLC0415

    told = {name: request.config.getoption(f"--factor-{name}") for name in NEEDED}
    if missing := [name for name, value in told.items() if not value]:
        raise pytest.UsageError(f"--factor-{missing[0]} is needed, or a fixture factor_subject")
    return Subject(
        url=told["url"],
        key=PrivateKey.parse(Path(told["key"]).read_text()),
        audience=told["audience"],
        type=told["type"],
        device=_device(request.config),
    )


def _device(config: pytest.Config) -> "Callable[[], Device] | None":
    from services.cli.conformance.device import commanded, imported  # noqa: PLC0415

    if name := config.getoption("--factor-prover"):
        return imported(name)
    if command := config.getoption("--factor-prover-command"):
        return commanded(command)
    return None
