"""A process listens where it was told, for people and for operators."""

from pathlib import Path

import pytest

from services.cli import keys
from services.cli.environment import Suite, read
from services.cli.serve import create_listeners
from services.embedded import load_settings
from services.suite import SERVICES


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    keys.make(tmp_path / "keys")
    suite = read(
        None,
        {
            "VAR_DIR": str(tmp_path),
            "BROKER_URL": "redis://127.0.0.1:1",
            "SMTP_URL": "smtp://127.0.0.1:1",
        },
    )
    for name, value in suite.variables.items():
        monkeypatch.setenv(name, value)
    return suite


def test_factors_have_no_port_where_session_is_in_the_same_process(suite: Suite) -> None:
    together = create_listeners(SERVICES, suite, load_settings(SERVICES))
    alone = create_listeners(("totp",), suite, load_settings(("totp",)))

    assert [listener.port for listener in together] == [8003, 8000, 9000]
    assert [listener.port for listener in alone] == [8001, 9001]


def test_only_session_listens_for_everybody(suite: Suite) -> None:
    told = read(None, {**suite.variables, "HOST": "127.0.0.2"})

    listeners = create_listeners(SERVICES, told, load_settings(SERVICES))

    assert {listener.port: listener.host for listener in listeners} == {
        8000: "127.0.0.2",
        8003: "127.0.0.1",
        9000: "127.0.0.1",
    }
