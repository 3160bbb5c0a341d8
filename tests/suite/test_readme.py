"""The README's journey works, word for word."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.journeys.suite import PERIOD, SHORT_CODES
from tests.suites import ROOT, running_suite


@pytest.fixture
def journey() -> str:
    block = re.search(
        r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert block
    return block[1]


@pytest.mark.long
def test_the_journey_in_curl_works(tmp_path: Path, journey: str) -> None:
    with running_suite(tmp_path / "var", env=SHORT_CODES) as suite:
        script = journey.replace("http://localhost:8000", suite.base_url).replace(
            "sleep 30", f"sleep {PERIOD}"
        )

        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=suite.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    said = re.findall(r'^\{"status": ?(\d+)', ran.stdout, re.MULTILINE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert said == ["200", "401", "200", "200", "404", "200", "401", "401", "200"], ran.stdout
    assert "mfa.totp.activated" in ran.stdout
