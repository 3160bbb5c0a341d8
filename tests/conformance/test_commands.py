"""The kit as others use it: a command, and a plugin of pytest, against a port."""

import asyncio
import json
import sys
import time
import tomllib
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli import countersign
from services.cli.conformance.device import CommandDevice, DeviceError, commanded, imported
from services.cli.conformance.rules import RULES
from shared.auth import PrivateKey
from tests.conformance.devices import Stick
from tests.conformance.flawed import Replays
from tests.conformance.serving import serving
from tests.conformance.subjects import AUDIT, SESSION, yubikey_factor
from tests.conformance.yubikey.factor import create_app
from tests.conformance.yubikey.keeper import Keeper

ROOT = Path(__file__).parents[2]
PLUGIN = "services.cli.conformance.plugin"
PROGRAM = f"{sys.executable} -m tests.conformance.yubikey.device"
NEEDS_NO_PROOF = "every-call-needs-a-credential"


@dataclass(frozen=True)
class Place:
    """Where the factor is, and where its callers' keys lie."""

    url: str
    keys: Path

    def arguments(self) -> list[str]:
        """What `countersign factor check` is always told."""
        key = str(self.keys / "session.json")
        return ["factor", "check", self.url, "--audience", "yubikey", "--key", key]


def written(key: PrivateKey) -> str:
    """Return a private key as it lies in a file."""
    raw = b64encode(key.key.private_bytes_raw()).decode()
    return json.dumps({"kid": key.id, "issuer": key.issuer, "key": raw})


@pytest.fixture(params=[Keeper])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """The fourth factor, on a port, by the time that it is."""
    for name, key in (("session", SESSION), ("audit", AUDIT)):
        (tmp_path / f"{name}.json").write_text(written(key))
    factor = yubikey_factor(clock=time.time, keeper=request.param)
    async with serving(create_app(factor)) as url:
        yield Place(url, tmp_path)
    factor.keeper.close()


async def run(*arguments: str, cwd: Path = ROOT) -> tuple[int, str]:
    """Run Python with these arguments; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.long
@pytest.mark.parametrize(
    "prover",
    [
        ("--prover", "tests.conformance.devices:Stick"),
        ("--prover-command", PROGRAM),
    ],
    ids=["function", "program"],
)
async def test_the_command_holds_a_factor_against_every_rule(
    place: Place, prover: tuple[str, str]
) -> None:
    stranger = ("--stranger", str(place.keys / "audit.json"))

    code, output = await run("-m", "services.cli", *place.arguments(), *prover, *stranger)

    assert code == 0, output
    lines = output.splitlines()
    assert len(lines) == len(RULES) + 1
    assert lines[-1] == f"{len(RULES) - 7} passed, 0 failed, 7 skipped"
    assert "skipped  revealing-shows-ones-own: it has no POST" in output


@pytest.mark.parametrize("place", [Replays], indirect=True)
async def test_the_command_says_what_is_not_kept_and_fails(place: Place) -> None:
    arguments = (*place.arguments(), "--prover", "tests.conformance.devices:Stick")

    code, output = await run("-m", "services.cli", *arguments)

    assert code == 1
    assert "FAILED   a-proof-is-good-once: a proof was accepted twice (authenticate)" in output


async def test_without_a_prover_the_rest_is_examined(place: Place) -> None:
    code, output = await run("-m", "services.cli", *place.arguments())

    assert code == 0, output
    assert f"passed   {NEEDS_NO_PROOF}" in output
    assert "skipped  a-proof-is-good-once: it takes a prover, and none was named" in output


async def test_what_does_not_answer_fails(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text(written(SESSION))
    place = Place("http://127.0.0.1:1", tmp_path)

    code, output = await run("-m", "services.cli", *place.arguments())

    assert code == 1
    assert "FAILED   session-is-let-in: it did not answer (ConnectError)" in output


def test_the_rules_are_listed() -> None:
    output = CliRunner().invoke(countersign, ["factor", "rules"]).output

    for rule in RULES:
        assert f"{rule.name}\n    {rule.summary}\n" in output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--prover", "nowhere:Device"), "nowhere:Device is not module:function"),
        (("--prover", "json:nothing"), "json:nothing is not module:function"),
        (("--prover", "string:digits"), "string:digits is not a function"),
        (("--prover", "a:b", "--prover-command", "c"), "one of them is enough"),
        (("--prover-command", "true", "--options", "{"), "--options"),
        (("--prover-command", "true", "--options", "[]"), "--options"),
        (("--rule", "no-such-rule"), "no-such-rule"),
    ],
)
def test_what_cannot_be_understood_is_said(
    arguments: tuple[str, ...], problem: str, tmp_path: Path
) -> None:
    (tmp_path / "session.json").write_text(written(SESSION))
    told = [*Place("http://127.0.0.1:1", tmp_path).arguments(), *arguments]

    result = CliRunner().invoke(countersign, told)

    assert result.exit_code == 2
    assert problem in result.output


def test_a_key_that_is_none_is_said_without_it(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text('{"kid": "secret"}')

    result = CliRunner().invoke(countersign, Place("http://x", tmp_path).arguments())

    assert result.exit_code == 2
    assert "must be JSON of the form" in result.output
    assert "secret" not in result.output


async def test_a_program_that_answers_nonsense_is_the_provers_fault() -> None:
    for command in ("true", "echo x", "echo []", "echo {}"):
        device = commanded(command)()
        with pytest.raises(DeviceError, match="the command"):
            await device.prove(None)
        await device.close()


def test_devices_are_made_by_whatever_is_named() -> None:
    assert imported("tests.conformance.devices:Stick") is Stick
    assert isinstance(commanded("x", options={"a": 1})(), CommandDevice)
    assert commanded("x", options={"a": 1})().options == {"a": 1}


@pytest.mark.long
async def test_the_plugin_runs_a_test_for_each_rule(place: Place, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_the_protocol_is_kept(factor_rule):\n    factor_rule()\n"
    )
    told = {
        "url": place.url,
        "key": str(place.keys / "session.json"),
        "audience": "yubikey",
        "type": "yubikey",
        "prover": "tests.conformance.devices:Stick",
    }
    options = [f"--factor-{name}={value}" for name, value in told.items()]

    code, output = await run(
        "-m", "pytest", "-q", "-rs", *unless_installed(), *options, cwd=tmp_path
    )

    assert code == 0, output
    assert f"{len(RULES) - 8} passed, 8 skipped" in output  # nor is a stranger's key known
    assert "proofs answer no challenge here" in output


@pytest.mark.long
@pytest.mark.parametrize("place", [Replays], indirect=True)
async def test_the_plugin_takes_a_fixture_and_fails_with_the_reason(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "test_mine.py").write_text(
        f"""
import pytest
from pathlib import Path
from services.cli.conformance.subject import Subject
from shared.auth import PrivateKey
from tests.conformance.devices import Stick

@pytest.fixture
def factor_subject():
    key = PrivateKey.parse(Path("session.json").read_text())
    return Subject(url={place.url!r}, key=key, audience="yubikey", type="yubikey", device=Stick)

def test_the_protocol_is_kept(factor_rule):
    factor_rule()
"""
    )

    code, output = await run("-m", "pytest", "-q", *unless_installed(), cwd=tmp_path)

    assert code == 1, output
    assert "FAILED test_mine.py::test_the_protocol_is_kept[a-proof-is-good-once]" in output
    assert "a proof was accepted twice (authenticate)" in output


async def test_the_plugin_asks_for_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("def test_it(factor_rule):\n    factor_rule()\n")

    code, output = await run("-m", "pytest", "-q", "-x", *unless_installed(), cwd=tmp_path)

    assert code == 1
    assert "--factor-url is needed, or a fixture factor_subject" in output


def test_the_plugin_is_where_pytest_looks() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]

    assert declared["pytest11"] == {"countersign": PLUGIN}
    assert import_module(PLUGIN).factor_rule


def unless_installed() -> list[str]:
    """Return what names the plugin to pytest where the package was installed before it had one."""
    names = {entry.value for entry in entry_points(group="pytest11")}
    return [] if PLUGIN in names else ["-p", PLUGIN]
